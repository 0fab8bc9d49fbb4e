/**
 * Bulk removal of objects from S3.
 *
 * @internal
 */
import { DeleteObjectsCommand, type S3Client } from "@aws-sdk/client-s3"
import * as Effect from "effect/Effect"
import type { BatchError } from "../BatchError.ts"
import { call, CallFailed, isPassing, toBatchError } from "./S3Call.ts"
import { pause } from "./S3Read.ts"

/** What S3 takes in one call. */
const bulkKeys = 1000

/** Calls at the same time. @internal */
export const bulksAtOnce = 4

/** How often a call is made while S3 does not remove all of it for reasons that pass. */
const maximumTries = 6

/** S3 answers each key with a code and no status. */
const statusOf: { readonly [code: string]: number } = {
  AccessDenied: 403,
  InternalError: 500,
  ServiceUnavailable: 503,
  SlowDown: 503
}

/** The keys of each call. @internal */
export const bulks = (keys: ReadonlyArray<string>): Array<ReadonlyArray<string>> =>
  Array.from({ length: Math.ceil(keys.length / bulkKeys) }, (_, i) => keys.slice(i * bulkKeys, (i + 1) * bulkKeys))

/**
 * Removes objects by their whole keys, at most 1,000. Fails with the first that could not be removed.
 *
 * @internal
 */
export const removeBulk = Effect.fnUntraced(
  function*(client: S3Client, bucket: string, keys: ReadonlyArray<string>): Effect.fn.Return<void, BatchError> {
    let left = keys
    for (let tries = 1;; tries++) {
      const command = new DeleteObjectsCommand({
        Bucket: bucket,
        Delete: { Objects: left.map((Key) => ({ Key })), Quiet: true }
      })
      const answer = yield* call((abortSignal) => client.send(command, { abortSignal })).pipe(
        Effect.mapError((failure) =>
          toBatchError("removeAll", `cannot remove s3://${bucket}/${left[0]} and ${left.length - 1} more`, failure)
        )
      )
      const failed = (answer.Errors ?? []).flatMap(({ Code = "Unknown", Key, Message }) =>
        Key === undefined || Code === "NoSuchKey"
          ? []
          : [{ key: Key, failure: new CallFailed({
            status: statusOf[Code] ?? 400,
            code: Code,
            detail: Message ?? Code,
            cause: undefined
          }) }]
      )
      const first = tries === maximumTries ? failed[0] : failed.find(({ failure }) => !isPassing(failure))
      if (first !== undefined) {
        return yield* toBatchError("removeAll", `cannot remove s3://${bucket}/${first.key}`, first.failure)
      }
      if (failed.length === 0) return
      left = failed.map(({ key }) => key)
      yield* pause(tries)
    }
  }
)
