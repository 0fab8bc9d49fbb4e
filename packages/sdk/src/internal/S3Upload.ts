/**
 * One multipart upload to S3 from a stream, in bounded memory.
 *
 * @internal
 */
import type { S3Client } from "@aws-sdk/client-s3"
import { Upload } from "@aws-sdk/lib-storage"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { PassThrough } from "node:stream"
import { join, Tally } from "./Blocks.ts"
import { type CallFailed, fromCause } from "./S3Call.ts"

/** The size of a part, and of the largest object that goes in one piece. */
export const partBytes = 8 * 1024 * 1024

/** Parts under way at the same time: about 64 MB of memory for an open upload. */
const partsAtOnce = 3

/** How long an upload that was given up may take to end its open parts and to be aborted. */
const settleTime = "10 seconds"

/** The upload reads no more; its own failure says why. */
class Stopped extends Data.TaggedError("Stopped") {}

/** What came of an upload: `sha256` is null when it failed before the stream had ended. */
export interface Uploaded {
  readonly failure: CallFailed | null
  readonly size: number
  readonly sha256: string | null
}

/**
 * Uploads a stream under a key that must be free, with `metadata`. A failure of S3 is a value; the error channel is that of
 * the stream. When the stream fails or the fiber is interrupted, the upload is aborted and nothing becomes visible.
 *
 * @internal
 */
export const upload = <E, R>(
  client: S3Client,
  target: { readonly Bucket: string; readonly Key: string; readonly Metadata: Record<string, string> },
  bytes: Stream.Stream<Uint8Array, E, R>
): Effect.Effect<Uploaded, E, R> =>
  Effect.acquireUseRelease(
    Effect.sync(() => {
      const body = new PassThrough({ objectMode: true, highWaterMark: 1 })
      body.on("error", () => {})
      const answer = new Upload({
        client,
        partSize: partBytes,
        queueSize: partsAtOnce,
        params: { ...target, Body: body, IfNoneMatch: "*" }
      }).done().then(() => null, fromCause)
      return { answer, body, tally: new Tally() }
    }),
    ({ answer, body, tally }) => {
      let sha256: string | null = null
      const offer = (block: Uint8Array) =>
        Effect.callback<void, Stopped>((resume) => {
          body.write(block, (error) => resume(error == null ? Effect.void : Effect.fail(new Stopped())))
        })
      const fill = Stream.runForEachArray(bytes, (chunks) => {
        const blocks = join(chunks)
        for (const block of blocks) tally.add(block)
        return Effect.forEach(blocks, offer, { discard: true })
      }).pipe(
        Effect.andThen(Effect.sync(() => {
          sha256 = tally.digest()
          body.end()
        })),
        Effect.andThen(Effect.never),
        Effect.catchIf((error) => error instanceof Stopped, () => Effect.never)
      )
      return Effect.raceFirst(Effect.promise(() => answer), fill).pipe(
        Effect.map((failure): Uploaded => ({ failure, size: tally.size, sha256 }))
      )
    },
    ({ answer, body }) =>
      Effect.suspend(() => {
        body.destroy(new Error("the upload was given up"))
        return Effect.promise(() => answer)
      }).pipe(Effect.timeoutOption(settleTime), Effect.asVoid)
  )
