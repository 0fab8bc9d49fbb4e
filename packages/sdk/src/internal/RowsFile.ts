/**
 * The sidecar of a job: its original rows, with their types, as one Arrow IPC stream. It is written once by prepare and
 * read back, message by message, for the join; any Arrow reader opens it too.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Column } from "../Column.ts"
import { loadArrow } from "./ArrowColumns.ts"
import { type ArrowField, ArrowFault, MessageCutter, type WholeMessage } from "./ArrowMessages.ts"
import { columnsIn, fits } from "./ArrowTypes.ts"
import { rowsOf, within } from "./ArrowValues.ts"
import { arrowWriter } from "./ArrowWriter.ts"
import { type Batch, slice } from "./Batch.ts"

const maxMessageRows = 10_000

/**
 * Encodes batches as one Arrow IPC stream, in messages of at most 10,000 rows. Memory holds one batch.
 *
 * @internal
 */
export const encode = <E, R>(
  columns: ReadonlyArray<Column>,
  batches: Stream.Stream<Batch, E, R>
): Stream.Stream<Uint8Array, E, R> =>
  Stream.unwrap(Effect.map(loadArrow, (arrow) => {
    const writer = arrowWriter(arrow, "stream", columns)
    const encodeBatch = (batch: Batch): ReadonlyArray<Uint8Array> => {
      const out: Array<Uint8Array> = []
      for (let from = 0; from < batch.length; from += maxMessageRows) {
        out.push(...writer.batch(slice(batch, from, Math.min(batch.length, from + maxMessageRows))))
      }
      return out
    }
    return Stream.fromIterable(writer.begin()).pipe(
      Stream.concat(batches.pipe(Stream.map(encodeBatch), Stream.flattenIterable)),
      Stream.concat(Stream.suspend(() => Stream.fromIterable(writer.end())))
    )
  }))

/** Reads the messages of a sidecar. */
class RowsReader {
  private readonly cutter = new MessageCutter()
  private fields: ReadonlyArray<ArrowField> | null = null
  private columns: ReadonlyArray<Column> = []

  /** Takes the next bytes, and gives the batches that are then all there. */
  push(piece: Uint8Array): ReadonlyArray<Batch> {
    return this.cutter.push(piece).flatMap((message) => this.batchOf(message))
  }

  end(): void {
    if (!this.cutter.ended) throw new ArrowFault("the file ends before its rows do")
  }

  private batchOf({ body, message }: WholeMessage): ReadonlyArray<Batch> {
    if (message.header === "schema" && this.fields === null) {
      this.fields = message.schema.fields
      this.columns = columnsIn(message.schema)
      const isOurs = this.columns.length === this.fields.length &&
        this.fields.every((field, j) => this.columns[j]!.name === field.name && fits(this.columns[j]!.type, field))
      if (!isOurs) throw new ArrowFault("the columns have no types of ours")
      return []
    }
    if (message.header !== "batch" || this.fields === null) throw new ArrowFault("a message is of another kind")
    const types = this.columns.map(({ type }) => type)
    const rows = rowsOf(this.fields, types, message.batch, within(body), new Map())
    return rows.length === 0 ? [] : [rows.read(0, rows.length)]
  }
}

/**
 * Reads the batches of a file that `encode` wrote, every value of the type and with the content it had. Memory holds
 * one message. `damaged` makes the failure when the bytes are not such a file, whole and unchanged in form.
 *
 * @internal
 */
export const read = <E, R, E2>(
  bytes: Stream.Stream<Uint8Array, E, R>,
  damaged: (message: string, cause: unknown) => E2
): Stream.Stream<Batch, E | E2, R> =>
  Stream.suspend(() => {
    const reader = new RowsReader()
    const attempt = <A>(run: () => A): Effect.Effect<A, E2> =>
      Effect.try({
        try: run,
        catch: (cause) =>
          cause instanceof ArrowFault
            ? damaged(cause.message, cause.cause)
            : damaged("the rows cannot be decoded", cause)
      })
    return bytes.pipe(
      Stream.mapEffect((piece) => attempt(() => reader.push(piece))),
      Stream.concat(Stream.fromEffectDrain(Effect.suspend(() => attempt(() => reader.end())))),
      Stream.flattenIterable
    )
  })
