/**
 * A file of a dataset at a pinned commit, as a file that sources read.
 *
 * @internal
 */
import type * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Pull from "effect/Pull"
import * as Stream from "effect/Stream"
import type { BatchError } from "../../BatchError.ts"
import { invalidSource } from "./Failures.ts"
import { type Answer, ask, cut, type Hub, HubFailed, method, Patience, toBatchError, unusable } from "./HubHttp.ts"
import type { SourceFile } from "./SourceFile.ts"

/**
 * A file as the hub lists it.
 *
 * @internal
 */
export interface HubEntry {
  readonly path: string
  readonly size: number
  /** Git's name of the content, or the SHA-256 of what is stored outside of git. */
  readonly oid: string
}

/**
 * A path as part of a URL.
 *
 * @internal
 */
export const encodedPath = (path: string): string => path.split("/").map(encodeURIComponent).join("/")

/** Chunks of a body that are handed on together. */
const pieceBytes = 256 * 1024

/** Addresses that the hub has just given and that are refused, after which the file is given up. */
const maximumRefusals = 3

interface Body {
  readonly reader: { readonly read: () => Promise<{ readonly done: boolean; readonly value?: Uint8Array | undefined }> }
  readonly controller: AbortController
  /** Where the bytes of this answer end, exclusive. */
  readonly end: number
  /** Whether the answer says how many bytes it has: then no more can come. */
  readonly isCounted: boolean
}

const plainTag = (tag: string | null): string | null => tag?.replace(/^W\//, "").replaceAll("\"", "") ?? null

interface Extent {
  readonly start: number
  readonly end: number
  readonly size: number | null
}

const extentOf = (header: string | null): Extent | null => {
  const match = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15}|\*)$/.exec(header ?? "")
  if (match === null) return null
  return { start: Number(match[1]), end: Number(match[2]) + 1, size: match[3] === "*" ? null : Number(match[3]) }
}

/** What the hub has told of a file so far; shared by all that read it. */
class Resolved {
  readonly address: URL
  /** Where the hub sent us last; such an address expires. */
  location: URL | null = null
  private readonly tags = new Map<string, string>()

  constructor(address: URL) {
    this.address = address
  }

  /** Whether an answer is of the same content as those before it from the same server. */
  isSame({ first, response, url }: Answer, from: URL): boolean {
    const isFirst = from === this.address
    const hubTag = isFirst ? plainTag(first.get("x-linked-etag") ?? first.get("etag")) : null
    const own = isFirst && first === response.headers ? null : plainTag(response.headers.get("etag"))
    return this.holds("", hubTag) && this.holds(url.origin, own)
  }

  private holds(key: string, tag: string | null): boolean {
    const before = this.tags.get(key)
    if (tag !== null && before === undefined) this.tags.set(key, tag)
    return tag === null || before === undefined || tag === before
  }
}

/** What is wrong with an answer that should hold the bytes from `start` on; else where its bytes end. */
const endOf = (
  { response }: Answer,
  asked: { readonly start: number; readonly end: number; readonly size: number }
): number | HubFailed => {
  const length = response.headers.get("content-length")
  const counted = length === null || response.headers.has("content-encoding") ? null : Number(length)
  if (response.status === 200 && asked.start === 0 && asked.end === asked.size) {
    return counted === null || counted === asked.size ? asked.size : unusable("WrongSize")
  }
  const extent = response.status === 206 ? extentOf(response.headers.get("content-range")) : null
  if (extent === null || extent.start !== asked.start) return unusable("RangeIgnored")
  if (extent.size !== null && extent.size !== asked.size) return unusable("WrongSize")
  if (extent.end <= extent.start || extent.end > asked.end) return unusable("WrongLength")
  return counted === null || counted === extent.end - extent.start ? extent.end : unusable("WrongLength")
}

const goesOn = (reader: Body["reader"]): Promise<boolean> => reader.read().then(({ done }) => !done, () => false)

interface Piece {
  readonly chunks: Array<Uint8Array>
  readonly bytes: number
  readonly failure: HubFailed | null
}

/** The next chunks of a body; what came before a connection was cut is not lost. */
const nextPiece = async ({ controller, isCounted, reader }: Body, room: number): Promise<Piece> => {
  const chunks: Array<Uint8Array> = []
  let bytes = 0
  while (bytes < Math.min(room, pieceBytes)) {
    try {
      const { done, value } = await reader.read()
      if (done) return { chunks, bytes, failure: bytes === room ? null : cut(new Error("the body ended early")) }
      if (value === undefined || value.length === 0) continue
      chunks.push(value)
      bytes += value.length
    } catch (cause) {
      return { chunks, bytes, failure: cut(cause) }
    }
  }
  const isOver = bytes > room || (bytes === room && !isCounted && await goesOn(reader))
  if (!isOver) return { chunks, bytes, failure: null }
  controller.abort()
  return { chunks: [], bytes: 0, failure: unusable("WrongLength") }
}

interface Target {
  readonly hub: Hub
  readonly uri: string
  readonly size: number
  readonly resolved: Resolved
}

/** The bytes from `start` to `end` (exclusive), which go on where they were when a connection is cut. */
const read = (
  { hub, resolved, size, uri }: Target,
  start: number,
  end: number
): Stream.Stream<Uint8Array, BatchError> =>
  Stream.scoped(Stream.fromPull(Effect.gen(function*() {
    const patience = new Patience()
    let position = start
    let refusals = 0
    /** Whether nothing came since the last failure. */
    let isStuck = false
    let body: Body | null = null
    const close = () => {
      body?.controller.abort()
      body = null
    }
    yield* Effect.addFinalizer(() => Effect.sync(close))

    const open = Effect.gen(function*() {
      const isWhole = position === 0 && end === size
      const from: URL = resolved.location ?? resolved.address
      const answer = yield* ask(hub, from, {
        // Compressed on the way, the bytes could not be counted.
        "accept-encoding": "identity",
        ...(isWhole ? {} : { range: `bytes=${position}-${end - 1}` })
      })
      const until = resolved.isSame(answer, from) ? endOf(answer, { start: position, end, size }) : unusable("Changed")
      const { response: { body: stream }, controller } = answer
      if (until instanceof HubFailed || stream === null) {
        controller.abort()
        return yield* (until instanceof HubFailed ? until : unusable("WrongLength"))
      }
      resolved.location = answer.url.href === resolved.address.href ? null : answer.url
      const isCounted = answer.response.headers.has("content-length")
      body = { reader: stream.getReader(), controller, end: until, isCounted }
    })

    const failed = (failure: HubFailed): Effect.Effect<void, BatchError> => {
      close()
      // An address that the hub gave has expired, or is refused at once.
      if ([400, 401, 403, 404, 410].includes(failure.status ?? 0)) {
        const isKept = resolved.location !== null
        resolved.location = null
        if (isKept || (failure.storage && ++refusals < maximumRefusals)) return Effect.void
      }
      // Perhaps the hub knows a better address by now.
      if (isStuck) resolved.location = null
      isStuck = true
      return Effect.mapError(patience.after(failure), (last) =>
        toBatchError(hub, uri, `bytes ${position} to ${end} cannot be read`, last))
    }

    const pull: Pull.Pull<Arr.NonEmptyReadonlyArray<Uint8Array>, BatchError> = Effect.gen(function*() {
      while (position < end) {
        if (body === null) {
          yield* Effect.catch(open, failed)
          continue
        }
        const from: Body = body
        const { bytes, chunks, failure } = yield* Effect.promise(() => nextPiece(from, from.end - position))
        position += bytes
        if (bytes > 0) {
          patience.reset()
          refusals = 0
          isStuck = false
        }
        if (position === from.end) body = null
        else if (failure !== null) yield* failed(failure)
        const [first, ...others] = chunks
        if (first !== undefined) return [first, ...others] as const
      }
      return yield* Cause.done()
    })
    return pull
  })))

/**
 * A file at a pinned commit. Nothing is asked before it is read. What the hub says of where it lies is kept, and asked
 * for again when it has expired; a commit's content is fixed, so that it is the same when the reading ends.
 *
 * @internal
 */
export const hubFile = (hub: Hub, sha: string, entry: HubEntry): SourceFile => withHead(hub, sha, entry, null)

/**
 * A file of which the first bytes, at most `bytes`, are read already, so that it can be looked into; when it is read
 * whole, they are not asked for again.
 *
 * @internal
 */
export const hubFileAndHead = Effect.fnUntraced(function*(hub: Hub, sha: string, entry: HubEntry, bytes: number) {
  const head = yield* hubFile(hub, sha, entry).range(0, Math.min(bytes, entry.size))
  return { file: withHead(hub, sha, entry, head), head }
})

const withHead = (hub: Hub, sha: string, { oid, path, size }: HubEntry, head: Uint8Array | null): SourceFile => {
  const uri = `hf://datasets/${hub.dataset}@${sha}/${path}`
  const address = new URL(`${hub.hubUrl}/datasets/${hub.dataset}/resolve/${sha}/${encodedPath(path)}`)
  const target: Target = { hub, uri, size, resolved: new Resolved(address) }
  return {
    uri,
    size,
    identity: JSON.stringify([uri, oid, size]),
    description: { uri, oid, size },
    bytes: head === null || head.length === 0
      ? read(target, 0, size)
      : Stream.concat(Stream.succeed(head), read(target, head.length, size)),
    from: (start) => read(target, start, size),
    range: Effect.fnUntraced(function*(start: number, end: number) {
      if (!(start >= 0 && start <= end && end <= size)) {
        return yield* invalidSource(method, "malformed", `of ${size} bytes, ${start} to ${end} are wanted`, { uri })
      }
      const bytes = new Uint8Array(end - start)
      let length = 0
      yield* Stream.runForEachArray(read(target, start, end), (chunks) =>
        Effect.sync(() => {
          for (const chunk of chunks) {
            bytes.set(chunk, length)
            length += chunk.length
          }
        }))
      return bytes
    }),
    unchanged: Effect.void
  }
}
