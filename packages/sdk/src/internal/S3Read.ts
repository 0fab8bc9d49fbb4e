/**
 * Reading an object of S3 as a stream that goes on where it was when a connection is cut.
 *
 * @internal
 */
import { GetObjectCommand, type GetObjectCommandOutput, type S3Client } from "@aws-sdk/client-s3"
import type * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Pull from "effect/Pull"
import * as Random from "effect/Random"
import * as Stream from "effect/Stream"
import { Readable } from "node:stream"
import { BatchError, Refused } from "../BatchError.ts"
import type { ByteRange } from "../store/ObjectStore.ts"
import { checkRange } from "./Blocks.ts"
import { call, CallFailed, damaged, fromCause, isPassing, toBatchError } from "./S3Call.ts"

/** Connections in a row that may bring nothing before the read fails. */
const maximumIdle = 6

/**
 * A pause before the next try: 0.1 s, doubled up to 5 s, between half and all of it.
 *
 * @internal
 */
export const pause = (tries: number): Effect.Effect<void> =>
  Effect.flatMap(Random.next, (chance) =>
    Effect.sleep(Duration.millis(Math.min(100 * 2 ** (tries - 1), 5000) * (0.5 + chance / 2))))

interface Body {
  readonly stream: Readable
  readonly chunks: AsyncIterator<unknown>
}

/** First byte and end (exclusive) of what an answer holds; null where it does not say. */
const extent = (answer: GetObjectCommandOutput): { readonly start: number; readonly end: number } | null => {
  if (answer.ContentRange === undefined) {
    return answer.ContentLength === undefined ? null : { start: 0, end: answer.ContentLength }
  }
  const match = /^bytes (\d+)-(\d+)\//.exec(answer.ContentRange)
  return match === null ? null : { start: Number(match[1]), end: Number(match[2]) + 1 }
}

/**
 * What to read.
 *
 * @internal
 */
export interface ReadOptions {
  readonly client: S3Client
  /** Whose errors they are. */
  readonly method: string
  readonly target: { readonly Bucket: string; readonly Key: string }
  /** The object's name in messages. */
  readonly uri: string
  /** Not empty. */
  readonly range: ByteRange | undefined
  /** The version that is meant, as S3 writes its ETag; null for the one that is there. */
  readonly etag?: string | null | undefined
}

/** Bytes of one of several calls, and calls at the same time: one connection alone is slower than what is done with the bytes. */
const callBytes = 8 * 1024 * 1024
const callsAtOnce = 3

/**
 * Whether a range is fetched by several calls.
 *
 * @internal
 */
export const isLarge = (start: number, end: number): boolean => end - start > 2 * callBytes

/**
 * The bytes of a large range, fetched ahead by several calls at a time. Memory holds about 32 MB.
 *
 * @internal
 */
export const readAhead = (
  options: ReadOptions & { readonly range: { readonly start: number; readonly end: number } }
): Stream.Stream<Uint8Array, BatchError> => {
  const { end, start } = options.range
  const starts = Array.from({ length: Math.ceil((end - start) / callBytes) }, (_, i) => start + i * callBytes)
  return Stream.fromIterable(starts).pipe(
    Stream.mapEffect(
      (from) => Stream.runCollect(read({ ...options, range: { start: from, end: Math.min(end, from + callBytes) } })),
      { concurrency: callsAtOnce }
    ),
    Stream.flattenIterable
  )
}

/**
 * The bytes of an object or of a range of it.
 *
 * @internal
 */
export const read = ({ client, etag: wanted, method, range, target, uri }: ReadOptions): Stream.Stream<Uint8Array, BatchError> =>
  Stream.scoped(Stream.fromPull(Effect.gen(function*() {
    yield* checkRange("S3", range)
    let position = range?.start ?? 0
    // Known with the first answer: where the bytes end, and of which version of the object they are.
    let end: number | null = null
    let etag: string | null = wanted ?? null
    let body: Body | null = null
    let idle = 0
    const close = () => {
      if (body !== null) discard(body.stream)
      body = null
    }
    yield* Effect.addFinalizer(() => Effect.sync(close))

    const refused = (code: string, message: string) =>
      new BatchError({ module: "S3", method, reason: new Refused({ code, message }) })

    /** Opens the body at `position`. */
    const open = Effect.gen(function*() {
      const last = end ?? range?.end
      const ranged = position > 0 || range?.end !== undefined
      const command = new GetObjectCommand({
        ...target,
        ...(ranged ? { Range: `bytes=${position}-${last === undefined ? "" : last - 1}` } : {}),
        ...(etag === null ? {} : { IfMatch: etag })
      })
      const answer = yield* call((abortSignal) => client.send(command, { abortSignal }))
      const stream = answer.Body
      if (!(stream instanceof Readable)) {
        return yield* broken("NoBody", "the answer has no body")
      }
      const held = extent(answer)
      if ((ranged && held?.start !== position) || (end !== null && held?.end !== end)) {
        discard(stream)
        return yield* refused("RangeIgnored", `the endpoint does not answer with the range of ${uri} it was asked for`)
      }
      end = held?.end ?? end
      etag = answer.ETag ?? etag
      body = { stream, chunks: stream[Symbol.asyncIterator]() }
    })

    const failed = (failure: CallFailed | BatchError): Effect.Effect<void, BatchError | Cause.Done> => {
      close()
      if (failure instanceof BatchError) return Effect.fail(failure)
      if (failure.detail.startsWith("Checksum mismatch")) {
        return Effect.fail(damaged(method, uri, "does not match its own checksum", failure.cause))
      }
      if (etag !== null && (failure.status === 412 || failure.status === 404)) {
        return Effect.fail(damaged(method, uri, "was replaced or removed while it was read", failure.cause))
      }
      // The range starts at or after the end of the object.
      if (etag === null && failure.status === 416) return Cause.done()
      if (failure.code === "NoSuchKey" || failure.code === "NotFound") {
        return Effect.fail(refused("NoSuchKey", `there is no object ${uri}`))
      }
      idle++
      return isPassing(failure) && idle < maximumIdle
        ? pause(idle)
        : Effect.fail(toBatchError(method, `cannot read ${uri} from byte ${position} on`, failure))
    }

    /** The next bytes of the open body; null when all have come. */
    const next = (from: Body) =>
      Effect.tryPromise({ try: () => from.chunks.next(), catch: fromCause }).pipe(
        Effect.flatMap((step) => {
          if (step.done !== true && step.value instanceof Uint8Array) return Effect.succeed(step.value)
          return end === null || position >= end
            ? Effect.succeed(null)
            : Effect.fail(broken("ECONNRESET", "the connection was cut"))
        })
      )

    const pull: Pull.Pull<Arr.NonEmptyReadonlyArray<Uint8Array>, BatchError> = Effect.gen(function*() {
      while (true) {
        if (body === null) {
          yield* Effect.catch(open, failed)
          continue
        }
        const chunk = yield* Effect.catch(next(body), (failure) => Effect.as(failed(failure), undefined))
        if (chunk === null) return yield* Cause.done()
        if (chunk === undefined || chunk.byteLength === 0) continue
        position += chunk.byteLength
        idle = 0
        return [chunk] as const
      }
    })
    return pull
  })))

/** Gives a body up; what it may still report has been dealt with. */
const discard = (stream: Readable): void => {
  stream.on("error", () => {})
  stream.destroy()
}

const broken = (code: string, detail: string) => new CallFailed({ status: null, code, detail, cause: undefined })
