/**
 * Whether a job's files are still those that `prepare` wrote: asked before anything is paid for.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import { BatchError, Damaged } from "../BatchError.ts"
import type { Job } from "../Job.ts"
import { type ObjectInfo, ObjectStore } from "../store/ObjectStore.ts"
import { digest } from "./Blocks.ts"
import * as MediaCopies from "./MediaCopies.ts"

const fail = (reason: Damaged) => new BatchError({ module: "submit", method: "submit", reason })

/**
 * Compares the job's files with what `prepare` wrote: the whole key list of the input folder, since Bedrock runs all
 * that lies there, sizes and content; names and sizes of the media that the records name; and the rows, without which an
 * answer that is paid for could not be joined.
 *
 * @internal
 */
export const checkFiles = Effect.fnUntraced(function*(job: Job) {
  const store = yield* ObjectStore
  const { objects } = yield* store.list(job.input)
  const rows = yield* store.head(job.rows.key)
  const expected = new Map([...job.files, job.rows].map((file) => [file.key, file]))
  const { media } = job
  const copies: Array<ObjectInfo> = []
  for (const object of rows === null ? objects : [...objects, rows]) {
    if (media !== undefined && MediaCopies.isCopyIn(job.input, object.key)) {
      copies.push(object)
      continue
    }
    const file = expected.get(object.key)
    if (file === undefined) {
      return yield* fail(
        new Damaged({
          key: object.key,
          message: `${object.key} lies in the input folder of job ${job.key} and is not part of it; ` +
            `Bedrock would run and bill it, so remove it first`
        })
      )
    }
    const intact = object.size === file.size &&
      (object.etag === file.etag || (yield* digest(store.read(object.key))) === file.sha256)
    if (!intact) {
      return yield* fail(
        new Damaged({ key: object.key, message: `${object.key} is not what prepare wrote; nothing was submitted` })
      )
    }
    expected.delete(object.key)
  }
  if (media !== undefined && MediaCopies.entryOf(job.input, copies).sha256 !== media.sha256) {
    const what = copies.length === media.count ? "they are others" : `there are ${copies.length}`
    const wanted = `${media.count} objects that its records name`
    return yield* fail(
      new Damaged({
        key: job.input,
        message: `the input folder of job ${job.key} should hold ${wanted}, and ${what}; nothing was submitted`
      })
    )
  }
  for (const key of expected.keys()) {
    return yield* fail(new Damaged({ key, message: `the file ${key} of job ${job.key} is gone; nothing was submitted` }))
  }
})
