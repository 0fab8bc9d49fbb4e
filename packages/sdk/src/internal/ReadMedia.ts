/**
 * The media of rows, read before they are encoded: some rows at a time, so that memory holds some of them and not those
 * of a whole batch.
 *
 * @internal
 */
import * as Media from "@bedrock-batch/processors/Media"
import type { Processor } from "@bedrock-batch/processors/Processor"
import type { Attachment, CompiledAttachment, Media as OneMedia } from "@bedrock-batch/processors/Prompt"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { constants } from "node:fs"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { BatchError, InvalidOption } from "../BatchError.ts"
import type { OpenSource } from "../source/Source.ts"
import type { ObjectStore } from "../store/ObjectStore.ts"
import type { Batch } from "./Batch.ts"
import { cellError } from "./CellProblem.ts"
import { attempt, type FileFailed } from "./Files.ts"
import { nameOf } from "./MediaCopies.ts"
import type { RowMedia } from "./RecordEncoder.ts"

type Store = ObjectStore["Service"]

/** A window of rows ends after so many rows, or so many bytes of media. */
const window = { rows: 64, bytes: 16_000_000 }

/** Rows that are read at the same time. */
const atOnce = 16

/**
 * The most bytes of one medium inside a request. InvokeModel takes no body of more (its `body` has at most 25,000,000
 * bytes), Nova documents 25 MB inline (user guides, autumn 2026), and base64 makes a third more of them.
 */
const mostInline = 25_000_000

/** What a medium that is not written in its row is read as. */
interface Bytes {
  readonly bytes: Uint8Array
  readonly name: string
}

/** @internal */
export interface MediaReader {
  /**
   * The media of the rows of a batch from row `from` on, at least of one row and of as many as a window holds; the
   * first row of the batch is row `firstRow` of the run.
   */
  readonly read: (batch: Batch, from: number, firstRow: number) => Effect.Effect<ReadonlyArray<RowMedia>, BatchError>
}

/** What the rows are of, for messages, and how they are asked. @internal */
export interface Of {
  readonly processor: Pick<Processor<object>, "invocationType">
  readonly source: Pick<OpenSource, "uri">
}

/** Where a cell is. */
interface Cell {
  readonly row: number
  readonly attachment: Attachment
}

const isAbsent = ({ reason }: BatchError): boolean =>
  reason._tag === "Refused" && (reason.code === "NoSuchKey" || reason.code === "NoSuchBucket")

/** The error of an object that a row names; one that may pass stays what it is. */
const objectError = (
  source: Pick<OpenSource, "uri">,
  row: number,
  column: string,
  uri: string,
  what: string,
  failed: BatchError
): BatchError =>
  failed.reason._tag === "InvalidSource" || failed.isRetryable
    ? failed
    : isAbsent(failed)
    ? cellError(source, row, column, "not-found", `there is no object ${uri}`, failed)
    : cellError(source, row, column, "failed", `${uri} cannot be ${what}: ${failed.reason.message}`, failed)

/** The error of an object that could not be copied into a job's folder. @internal */
export const uncopied = (
  source: Pick<OpenSource, "uri">,
  row: number,
  column: string | null,
  uri: string,
  failed: BatchError
): BatchError => column === null ? failed : objectError(source, row, column, uri, "copied", failed)

/**
 * `folder` is the URI of the folder of copies, as far as it is known when requests are made.
 *
 * @internal
 */
export const make = (
  store: Store,
  { processor, source }: Of,
  attachments: ReadonlyArray<CompiledAttachment>,
  folder: string
): MediaReader => {
  const converse = processor.invocationType === "Converse"
  const wrong = (
    { attachment, row }: Cell,
    message: string,
    problem: Parameters<typeof cellError>[3] = "malformed",
    cause?: unknown
  ) => cellError(source, row, attachment.column, problem, message, cause)

  const roots = new Map<string, string>()

  /** The directory of an attachment as it is on the disk. */
  const rootOf = Effect.fnUntraced(function*(directory: string) {
    const known = roots.get(directory)
    if (known !== undefined) return known
    const root = yield* Effect.mapError(attempt(() => fs.realpath(directory)), ({ code, cause }) =>
      new BatchError({
        module: "prepare",
        method: "prepare",
        reason: new InvalidOption({
          path: "directory",
          message: `the directory ${JSON.stringify(directory)} cannot be read (${code}): give one that is there`,
          cause
        })
      }))
    roots.set(directory, root)
    return root
  })

  const readPath = Effect.fnUntraced(function*(cell: Cell, directory: string, relative: string) {
    const root = yield* rootOf(directory)
    const named = `${JSON.stringify(relative)} in ${JSON.stringify(directory)}`
    const broken = ({ cause, code }: FileFailed) =>
      code === "ENOENT" || code === "ENOTDIR"
        ? wrong(cell, `there is no file ${named}`, "not-found", cause)
        : wrong(cell, `the file ${named} cannot be read (${code})`, "failed", cause)
    const file = yield* Effect.mapError(attempt(() => fs.realpath(path.join(root, relative))), broken)
    const inside = root === path.parse(root).root || file.startsWith(root + path.sep)
    if (!inside) return yield* wrong(cell, `the file ${named} is a link out of that directory`)
    const read = attempt(async () => {
      // The path has no links any more; one that takes its place now is not followed.
      const handle = await fs.open(file, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0))
      try {
        const stat = await handle.stat()
        if (!stat.isFile()) return null
        return stat.size > mostInline ? stat.size : await handle.readFile()
      } finally {
        await handle.close()
      }
    })
    const bytes = yield* Effect.mapError(read, broken)
    if (bytes === null) return yield* wrong(cell, `${named} is not a regular file`)
    if (typeof bytes === "number") return yield* tooLarge(cell, bytes)
    const found: Bytes = { bytes, name: relative }
    return found
  })

  const tooLarge = (cell: Cell, size: number | null) => {
    const has = size === null ? "too many" : `${size}`
    return wrong(
      cell,
      `the ${cell.attachment.kind} has ${has} bytes, and no request takes more than ${mostInline}: make it smaller, or ` +
        `leave it in S3 and give s3: "reference" where the model takes that`,
      "record-too-large"
    )
  }

  const readObject = Effect.fnUntraced(function*(cell: Cell, uri: string) {
    const pieces: Array<Uint8Array> = []
    let size = 0
    yield* Stream.runForEachArray(store.read(uri), (chunks) => {
      for (const chunk of chunks) {
        size += chunk.byteLength
        if (size <= mostInline) pieces.push(chunk)
      }
      return size > mostInline ? Effect.fail(tooLarge(cell, null)) : Effect.void
    }).pipe(Effect.mapError((failed) => objectError(source, cell.row, cell.attachment.column, uri, "read", failed)))
    const found: Bytes = { bytes: pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces), name: uri }
    return found
  })

  /** One warning a run for media that Converse's own documentation calls too large. */
  let warned = false
  const warn = ({ attachment, row }: Cell, size: number) => {
    const most = Media.documentedBytes[attachment.kind]
    if (warned || !converse || most === null || size <= most) return Effect.void
    warned = true
    return Effect.logWarning(
      `row ${row + 1}, column ${JSON.stringify(attachment.column)}: the ${attachment.kind} has ${size} bytes, and ` +
        `Converse documents at most ${most} for one; models that keep to that refuse the record`
    )
  }

  const inline = Effect.fnUntraced(function*(
    cell: Cell,
    bytes: Uint8Array,
    of: { readonly mimeType?: string | null; readonly name?: string | null }
  ) {
    if (bytes.length === 0) return yield* wrong(cell, `the ${cell.attachment.kind} is empty`)
    if (bytes.length > mostInline) return yield* tooLarge(cell, bytes.length)
    yield* warn(cell, bytes.length)
    const media = Media.fromBytes(bytes, cell.attachment, of)
    return Result.isSuccess(media) ? media.success : yield* wrong(cell, media.failure)
  })

  const readCell = Effect.fnUntraced(function*(cell: Cell, value: unknown) {
    const { attachment } = cell
    const content = Media.contentOf(value, attachment)
    if (Result.isFailure(content)) return yield* wrong(cell, content.failure)
    const is = content.success
    if (is === null) return { media: null, size: 0, reference: null }
    if (is.type === "bytes") return { media: yield* inline(cell, is.bytes, is), size: is.bytes.length, reference: null }
    if (is.type === "s3" && attachment.s3 === "reference") {
      const media = Media.fromUri(is.uri, attachment)
      if (Result.isFailure(media)) return yield* wrong(cell, media.failure)
      const name = nameOf(is.uri, media.success.format)
      const placed: OneMedia = { ...media.success, source: { type: "s3", uri: folder + name } }
      return { media: placed, size: 0, reference: { row: cell.row, column: attachment.column, from: is.uri, name } }
    }
    const { bytes, name } = yield* is.type === "s3"
      ? readObject(cell, is.uri)
      : readPath(cell, attachment.directory ?? ".", is.path)
    return { media: yield* inline(cell, bytes, { name }), size: bytes.length, reference: null }
  })

  const readRow = Effect.fnUntraced(function*(batch: Batch, at: number, row: number) {
    const cells = yield* Effect.forEach(attachments, ({ attachment, column }) =>
      readCell({ row, attachment }, batch.columns[column]![at]))
    const own: RowMedia = {
      media: cells.map(({ media }) => media),
      references: cells.flatMap(({ reference }) => (reference === null ? [] : [reference]))
    }
    return { own, size: cells.reduce((sum, { size }) => sum + size, 0) }
  })

  return {
    read: Effect.fnUntraced(function*(batch, from, firstRow) {
      let bytes = 0
      const rows = Array.from({ length: Math.min(window.rows, batch.length - from) }, (_, i) => from + i)
      // Rows are begun in their order, so that those that are left for the next window are the last ones.
      const found = yield* Effect.forEach(rows, (at) =>
        Effect.suspend(() => {
          if (bytes >= window.bytes) return Effect.succeed(null)
          return Effect.map(readRow(batch, at, firstRow + at), ({ own, size }) => {
            bytes += size
            return own
          })
        }), { concurrency: atOnce })
      return found.flatMap((own) => (own === null ? [] : [own]))
    })
  }
}
