/**
 * Bedrock's own numbers of a job, held against its output.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { BatchError } from "../BatchError.ts"
import type { Difference } from "../Report.ts"
import type { ObjectStore } from "../store/ObjectStore.ts"
import { isEnded } from "./Merge.ts"
import { folderOf } from "./Outputs.ts"
import type { Settled } from "./Settled.ts"

/** What is compared of `manifest.json.out`. */
const decodeManifest = Schema.decodeUnknownResult(Schema.fromJsonString(Schema.Struct({
  totalRecordCount: Schema.Natural,
  processedRecordCount: Schema.Natural,
  successRecordCount: Schema.Natural,
  errorRecordCount: Schema.Natural
})))

/** The differences of a job of which so many lines were read. A manifest that is not there or not known says nothing. @internal */
export const differencesOf = Effect.fnUntraced(function*(
  store: ObjectStore["Service"],
  job: Settled,
  { errors, outputs }: { readonly errors: number; readonly outputs: number }
): Effect.fn.Return<ReadonlyArray<Difference>, BatchError> {
  if (!isEnded(job) || job.lane === "on-demand") return []
  const read = { total: job.records, processed: outputs + errors, succeeded: outputs, failed: errors }
  const compare = (from: Difference["from"], bedrock: { readonly [what in Difference["what"]]: number }) =>
    (["total", "processed", "succeeded", "failed"] as const).flatMap((what) =>
      // A job that never read its input counts nothing.
      bedrock[what] === read[what] || (what === "total" && bedrock.total === 0) ? [] : [{ job: job.key, from, what, bedrock: bedrock[what], read: read[what] }]
    )
  const bytes = yield* store.get(`${folderOf(job)}manifest.json.out`)
  const manifest = bytes === null ? null : decodeManifest(Buffer.from(bytes).toString("utf8"))
  return [
    ...(job.counters === null ? [] : compare("counters", job.counters)),
    ...(manifest === null || Result.isFailure(manifest) ? [] : compare("manifest", {
      total: manifest.success.totalRecordCount,
      processed: manifest.success.processedRecordCount,
      succeeded: manifest.success.successRecordCount,
      failed: manifest.success.errorRecordCount
    }))
  ]
})
