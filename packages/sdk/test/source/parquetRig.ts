import { Effect, Stream } from "effect"
import type { BatchError, InvalidSource, Reason } from "../../src/BatchError.ts"
import type { Column } from "../../src/Column.ts"
import type { Batch } from "../../src/internal/Batch.ts"
import { toRows } from "../../src/internal/Rows.ts"
import type { AnyFileOptions } from "../../src/source/internal/FileColumns.ts"
import { openParquet } from "../../src/source/internal/ParquetSource.ts"
import type { SourceFile } from "../../src/source/internal/SourceFile.ts"

/** A file in memory; `reads` tells which ranges were asked for. */
export const memoryFile = (
  content: Uint8Array,
  options: { readonly uri?: string; readonly reads?: Array<readonly [number, number]> } = {}
): SourceFile => {
  const uri = options.uri ?? "memory://file.parquet"
  return {
    uri,
    size: content.length,
    identity: uri,
    description: { uri },
    bytes: Stream.succeed(content),
    from: (start) => Stream.succeed(content.subarray(start)),
    range: (start, end) =>
      Effect.sync(() => {
        options.reads?.push([start, end])
        return Buffer.from(content.subarray(start, end))
      }),
    unchanged: Effect.void
  }
}

export interface Read {
  readonly columns: ReadonlyArray<Column>
  readonly count: number | null
  readonly batches: ReadonlyArray<Batch>
  readonly rows: ReadonlyArray<Record<string, unknown>>
}

/** Reads all of one or several files. */
export const read = (
  files: SourceFile | Uint8Array | ReadonlyArray<SourceFile>,
  options: AnyFileOptions = {}
): Effect.Effect<Read, BatchError> =>
  Effect.scoped(Effect.gen(function*() {
    const all = files instanceof Uint8Array ? [memoryFile(files)] : "uri" in files ? [files] : files
    const { batches, columns, count } = yield* openParquet("parquet", all, options)
    const read = yield* Stream.runCollect(batches)
    return { columns, count, batches: read, rows: read.flatMap((batch) => toRows(columns, batch)) }
  }))

/** The values of a column over all batches. */
export const valuesOf = ({ batches, columns }: Read, name: string): ReadonlyArray<unknown> => {
  const j = columns.findIndex((column) => column.name === name)
  return batches.flatMap((batch) => batch.columns[j]!)
}

export const reasonOf = <A, R>(effect: Effect.Effect<A, BatchError, R>): Effect.Effect<Reason, A, R> =>
  Effect.map(Effect.flip(effect), (error) => error.reason)

/** The reason, which must be that of a source. */
export const faultOf = <A, R>(effect: Effect.Effect<A, BatchError, R>): Effect.Effect<InvalidSource, unknown, R> =>
  Effect.flatMap(reasonOf(effect), (reason) =>
    reason._tag === "InvalidSource" ? Effect.succeed(reason) : Effect.fail(reason))
