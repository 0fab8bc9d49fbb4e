/**
 * One multipart upload to S3 from a stream, in bounded memory.
 *
 * @internal
 */
import { AbortMultipartUploadCommand, CreateMultipartUploadCommand, type S3Client } from "@aws-sdk/client-s3"
import { Upload } from "@aws-sdk/lib-storage"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { PassThrough } from "node:stream"
import type { WriteOptions } from "../store/ObjectStore.ts"
import { join, Tally } from "./Blocks.ts"
import { type CallFailed, fromCause } from "./S3Call.ts"

/** The size of a part, and of the largest object that goes in one piece. */
export const partBytes = 8 * 1024 * 1024

/** Parts under way at the same time: about 64 MB of memory for an open upload. */
const partsAtOnce = 3

/** How long an upload that was given up may take to end its open parts and to be aborted. */
const settleTime = "5 seconds"

/** The upload reads no more; its own failure says why. */
class Stopped extends Data.TaggedError("Stopped") {}

/** What came of an upload: `sha256` is null when it failed before the stream had ended. */
export interface Uploaded {
  readonly failure: CallFailed | null
  readonly size: number
  readonly sha256: string | null
}

/**
 * A client for one upload. The library neither cancels the calls it has open nor stops waiting for more bytes when one
 * of them fails; this client does both. Only the calls that begin and abort an upload are left alone: cut short, they
 * would leave parts behind.
 */
const guarded = (client: S3Client, signal: AbortSignal, onFailure: (error: unknown) => void): S3Client =>
  new Proxy(client, {
    get: (target, name) => {
      if (name !== "send") return Reflect.get(target, name)
      return (command: Parameters<S3Client["send"]>[0]) => {
        const whole = command instanceof AbortMultipartUploadCommand || command instanceof CreateMultipartUploadCommand
        const answer = target.send(command, whole ? {} : { abortSignal: signal })
        answer.catch(onFailure)
        return answer
      }
    }
  })

/** An upload that has begun and waits for bytes. */
class Open {
  readonly tally: Tally
  /** What came of it; null is good. Never rejects. */
  readonly answer: Promise<CallFailed | null>
  readonly #body = new PassThrough({ objectMode: true, highWaterMark: 1 })
  readonly #controller = new AbortController()
  #failure: unknown = undefined

  constructor(client: S3Client, target: Target, options: WriteOptions | undefined) {
    this.tally = new Tally(options)
    this.#body.on("error", () => {})
    this.answer = new Upload({
      client: guarded(client, this.#controller.signal, (error) => this.giveUp(error)),
      partSize: partBytes,
      queueSize: partsAtOnce,
      params: { ...target, Body: this.#body, IfNoneMatch: "*" }
    }).done().then(() => null, (error: unknown) => fromCause(this.#failure ?? error))
  }

  /** Offers the next bytes; completes when there is room for more, and fails when no more are wanted. */
  offer(block: Uint8Array): Effect.Effect<void, Stopped> {
    return Effect.callback((resume) => {
      this.#body.write(block, (error) => resume(error == null ? Effect.void : Effect.fail(new Stopped())))
    })
  }

  /** There are no more bytes. */
  end(): void {
    this.#body.end()
  }

  /** Cancels what is open; the first reason is the upload's failure. */
  giveUp(reason: unknown): void {
    this.#failure ??= reason
    this.#body.destroy(new Error("the upload was given up"))
    this.#controller.abort()
  }
}

/** Where an upload goes. */
interface Target {
  readonly Bucket: string
  readonly Key: string
  readonly Metadata: Record<string, string>
}

/**
 * Uploads a stream under a key that must be free, with `metadata`. A failure of S3 is a value; the error channel is
 * that of the stream. When the stream fails or the fiber is interrupted, the upload is aborted and nothing becomes
 * visible.
 *
 * @internal
 */
export const upload = <E, R>(
  client: S3Client,
  target: Target,
  bytes: Stream.Stream<Uint8Array, E, R>,
  options?: WriteOptions
): Effect.Effect<Uploaded, E, R> =>
  Effect.acquireUseRelease(
    Effect.sync(() => new Open(client, target, options)),
    (open) => {
      let sha256: string | null = null
      const fill = Stream.runForEachArray(bytes, (chunks) => {
        const blocks = join(chunks)
        for (const block of blocks) open.tally.add(block)
        return Effect.forEach(blocks, (block) => open.offer(block), { discard: true })
      }).pipe(
        Effect.andThen(Effect.sync(() => {
          sha256 = open.tally.digest()
          open.end()
        })),
        Effect.catchIf((error) => error instanceof Stopped, () => Effect.void),
        // What has come of it, the upload says.
        Effect.andThen(Effect.never)
      )
      return Effect.raceFirst(Effect.promise(() => open.answer), fill).pipe(
        Effect.map((failure): Uploaded => ({ failure, size: open.tally.size, sha256 }))
      )
    },
    (open) =>
      Effect.suspend(() => {
        open.giveUp(new Error("the upload was given up"))
        return Effect.interruptible(Effect.promise(() => open.answer))
      }).pipe(Effect.timeoutOption(settleTime), Effect.asVoid)
  )
