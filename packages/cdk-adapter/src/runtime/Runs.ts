/**
 * From the input of an execution to the options of the sdk.
 *
 * @internal
 */
import * as PromptLibrary from "@bedrock-batch/processors/PromptLibrary"
import { BatchError, RunConflict } from "@bedrock-batch/sdk/BatchError"
import { prepareStep } from "@bedrock-batch/sdk/prepareStep"
import * as Prompts from "@bedrock-batch/sdk/Prompts"
import * as Run from "@bedrock-batch/sdk/Run"
import * as Source from "@bedrock-batch/sdk/source/Source"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { fromUnknown, type Input, InvalidInput, type Rows } from "../Input.ts"
import { toInput } from "../internal/InputWords.ts"
import { Environment } from "./Environment.ts"

/** The input, checked. @internal */
export const inputOf = Effect.fnUntraced(function*(value: unknown) {
  const { defaults } = yield* Environment
  return yield* Effect.fromResult(fromUnknown(value, defaults))
})

/** The built-in prompts, and those of the bucket, which count where both have an id. */
const library = Effect.gen(function*() {
  const { bucket, promptsPrefix } = yield* Environment
  if (promptsPrefix === null) return PromptLibrary.builtIn
  const own = yield* Prompts.fromStore(`s3://${bucket}/${promptsPrefix}`).pipe(
    Effect.catchIf(
      ({ reason }) => reason._tag === "InvalidSource" && (reason.problem === "empty" || reason.problem === "not-found"),
      () => Effect.succeed(PromptLibrary.make({}))
    )
  )
  return PromptLibrary.merge(PromptLibrary.builtIn, own)
})

const promptOf = Effect.fnUntraced(function*({ prompt }: Input) {
  if (prompt === null) return undefined
  if ("prompt" in prompt) return prompt.prompt
  const found = PromptLibrary.get(yield* library, prompt.id)
  if (Result.isSuccess(found)) return found.success
  return yield* new InvalidInput({ problems: [{ field: "prompt_id", message: found.failure.message }] })
})

const sourceOf = (rows: Rows) => {
  if (rows.kind === "dataset") {
    const { config, id, revision, split } = rows
    return Source.huggingFace(id, { split, config, revision })
  }
  switch (rows.format) {
    case "csv":
      return Source.csv(rows.uri)
    case "jsonl":
      return Source.jsonl(rows.uri)
    case "parquet":
      return Source.parquet(rows.uri)
    case "arrow":
      return Source.arrow(rows.uri)
  }
}

/** What became of a run whose rows or prompt are no longer those that its first round found. */
const changed = (failure: BatchError): BatchError => {
  const { method, module, reason } = failure
  if (reason._tag !== "RunConflict" || reason.problem !== "different") return failure
  const { differs, problem, runId } = reason
  const message = `the ${differs.join(", ")} of run ${runId} changed while it was prepared, and nothing of it was ` +
    "submitted: start an execution with the same input, and it prepares a run of what is there now"
  return new BatchError({ module, method, reason: new RunConflict({ differs, problem, runId, message }) })
}

/** One round of preparing the run of an input; `runId` is that of earlier rounds. @internal */
export const prepareRound = Effect.fnUntraced(function*(input: Input, runId: string | undefined, millis: number) {
  const prompt = yield* promptOf(input)
  // Which columns there are is seen when the source is opened, and not by the compiler.
  const rename: {} = input.rename
  return yield* prepareStep({
    name: input.name,
    runId: runId ?? input.runId,
    source: sourceOf(input.rows),
    model: input.model,
    prompt,
    embed: input.embed,
    parameters: input.parameters,
    rename,
    maxRecordsTotal: input.maxRecordsTotal,
    maxJobs: input.maxJobs,
    maxRecordsPerJob: input.maxRecordsPerJob,
    timeoutHours: input.timeoutHours,
    belowMinimum: input.belowMinimum
  }, millis).pipe(
    // Of a run that the input names, the error says so itself.
    Effect.mapError((failure) => runId === undefined || input.runId !== undefined ? failure : changed(failure)),
    Effect.mapError(toInput)
  )
})

/**
 * A run at the attempt of a try: tries that found nothing to do made none.
 *
 * @internal
 */
export const runAt = Effect.fnUntraced(function*(runId: string, tried: number) {
  const last = yield* Run.open(runId)
  return tried >= last.attempt ? last : yield* Run.open(runId, { attempt: tried })
})
