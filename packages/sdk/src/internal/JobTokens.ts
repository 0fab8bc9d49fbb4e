/**
 * The tokens that a job was billed for: by the manifest of its output, or by its answers.
 *
 * @internal
 */
import type { Json, Processor, Reading } from "@bedrock-batch/processors/Processor"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { BatchError } from "../BatchError.ts"
import type { EndedJob } from "../Job.ts"
import type { ObjectStore } from "../store/ObjectStore.ts"
import { filesOf, folderOf } from "./Outputs.ts"
import { forEachLine, whole } from "./OutputSlice.ts"

type Store = ObjectStore["Service"]

/** What is known of a job's tokens. @internal */
export interface JobTokens {
  readonly from: "manifest" | "answers" | "counters" | null
  /** Records that were run, where that is known. */
  readonly processed: number | null
  /** Those of caches among them. */
  readonly input: number | null
  readonly output: number | null
  /** Read from or written to a prompt cache; they have prices of their own. */
  readonly cached: number
  /** Why tokens are not known; null where they are. */
  readonly unknown: string | null
}

const count = Schema.optionalKey(Schema.NullOr(Schema.Natural))

/** What is read of `manifest.json.out`. */
const decodeManifest = Schema.decodeUnknownResult(Schema.fromJsonString(Schema.Struct({
  processedRecordCount: count,
  inputTokenCount: Schema.Natural,
  outputTokenCount: Schema.Natural,
  cacheReadInputTokenCount: count,
  cacheWriteInputTokenCount: count
})))

const ofManifest = Effect.fnUntraced(function*(store: Store, job: EndedJob) {
  const bytes = yield* store.get(`${folderOf(job)}manifest.json.out`)
  const manifest = bytes === null ? null : decodeManifest(Buffer.from(bytes).toString("utf8"))
  if (manifest === null || Result.isFailure(manifest)) return null
  const { inputTokenCount, outputTokenCount, processedRecordCount } = manifest.success
  const cached = (manifest.success.cacheReadInputTokenCount ?? 0) + (manifest.success.cacheWriteInputTokenCount ?? 0)
  const tokens: JobTokens = {
    from: "manifest",
    processed: processedRecordCount ?? job.counters?.processed ?? null,
    // The manifest counts those of caches beside the others.
    input: inputTokenCount + cached,
    output: outputTokenCount,
    cached,
    unknown: null
  }
  return tokens
})

const isObject = (value: Json | undefined): value is { readonly [key: string]: Json } =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** A line that is not JSON tells nothing, and neither does a processor of the user's own that throws. */
const attempt = <A>(evaluate: () => A): A | null => {
  try {
    return evaluate()
  } catch {
    return null
  }
}

const ofAnswers = Effect.fnUntraced(function*(store: Store, job: EndedJob, processor: Processor<object>) {
  const files = yield* filesOf(store, job)
  const embeds = processor.accepts === "embed"
  let [lines, untold, input, output, cached] = [0, 0, 0, 0, 0]
  const add = ({ cacheReadTokens, cacheWriteTokens, inputTokens, outputTokens }: Reading<object>["usage"]): void => {
    if (inputTokens === null || (outputTokens === null && !embeds)) untold++
    input += inputTokens ?? 0
    output += outputTokens ?? 0
    cached += (cacheReadTokens ?? 0) + (cacheWriteTokens ?? 0)
  }
  for (const slice of whole(files)) {
    yield* forEachLine(store, slice, (line) => {
      lines++
      const parsed: Json = attempt((): Json => JSON.parse(line.toString("utf8")))
      const { error, modelOutput } = isObject(parsed) ? parsed : {}
      // A record with an error has no tokens.
      if (error !== undefined && error !== null) return
      const reading = modelOutput === undefined || modelOutput === null
        ? null
        : attempt(() => processor.decode(modelOutput))
      if (reading === null) untold++
      else add(reading.usage)
    })
  }
  if (lines === 0) return null
  const tokens: JobTokens = {
    from: "answers",
    processed: lines,
    input: untold === 0 ? input : null,
    output: untold === 0 ? output : null,
    cached,
    unknown: untold === 0 ? null : `${untold} of ${lines} answers tell no number of tokens`
  }
  return tokens
})

/** @internal */
export const jobTokens = Effect.fnUntraced(function*(
  store: Store,
  job: EndedJob,
  processor: Processor<object>
): Effect.fn.Return<JobTokens, BatchError> {
  const told = (job.lane === "batch" ? yield* ofManifest(store, job) : null) ??
    (yield* ofAnswers(store, job, processor))
  if (told !== null) return told
  const processed = job.counters?.processed ?? null
  return processed === 0
    ? { from: "counters", processed, input: 0, output: 0, cached: 0, unknown: null }
    : {
      from: null,
      processed,
      input: null,
      output: null,
      cached: 0,
      unknown: "its output has no manifest with token counts, and no answers"
    }
})
