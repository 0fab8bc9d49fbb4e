/**
 * Asks Bedrock itself whether batch inference takes a model: the only one who knows.
 *
 * @since 0.2.0
 */
import { forModel } from "@bedrock-batch/processors/Families"
import { isModelId } from "@bedrock-batch/processors/ModelId"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { BatchError, InvalidOption } from "./BatchError.ts"
import { BatchJobs, type JobState } from "./bedrock/BatchJobs.ts"
import { ObjectStore } from "./store/ObjectStore.ts"

/**
 * Options of `probe`.
 *
 * @since 0.2.0
 * @category configuration
 */
export interface ProbeOptions {
  /**
   * A model that batch inference is known to take, asked in the same way: Bedrock looks at permissions first, so
   * without them every model is refused alike. With it, a refusal that both meet proves nothing against the model.
   */
  readonly control?: string | undefined
  /** Which API the records would follow; default that of the model's built-in processor, else `InvokeModel`. */
  readonly invocationType?: "InvokeModel" | "Converse" | undefined
}

/**
 * What Create said of one model.
 *
 * @since 0.2.0
 * @category models
 */
export interface ProbeAnswer {
  readonly model: string
  /** Name of Bedrock's exception, or of the kind of failure; null where the job was accepted. */
  readonly code: string | null
  /** Bedrock's own words; null where the job was accepted. */
  readonly message: string | null
  /** ARN of the job, where it was accepted against expectation; else null. */
  readonly jobArn: string | null
  /** Whether that job was stopped; false where there is none, or it could not be. It had no input and costs nothing. */
  readonly isStopped: boolean
}

/**
 * What a probe found out: `supported` where Create accepted the model, or got as far as its input; `unsupported` where
 * it refused the model; `unknown` where it stopped before. `why` says so in a sentence.
 *
 * @since 0.2.0
 * @category models
 */
export interface Probe extends ProbeAnswer {
  readonly verdict: "supported" | "unsupported" | "unknown"
  readonly why: string
  /** What Create said of the control model; null without one. */
  readonly control: ProbeAnswer | null
}

const pauses = Schedule.exponential("500 millis").pipe(Schedule.jittered, Schedule.upTo({ times: 4 }))

/** Tries a call again for some seconds. */
const again = <A>(call: Effect.Effect<A, BatchError>, also: (error: BatchError) => boolean) =>
  Effect.retry(call, { while: (error) => error.isRetryable && also(error), schedule: pauses })

/** Bedrock did not read the request, so it may be sent again. */
const isUnread = ({ reason }: BatchError): boolean => reason._tag === "Unavailable" && reason.code === "throttled"

const invalid = (path: string, message: string) =>
  new BatchError({ module: "probe", method: "probe", reason: new InvalidOption({ path, message }) })

const hex = Effect.map(
  Effect.forEach(Array.from({ length: 4 }), () => Random.nextIntBetween(0, 0x1_0000_0000)),
  (parts) => parts.map((part) => part.toString(16).padStart(8, "0").slice(-8)).join("")
)

/** Sends one create call for a job that has nothing to do, and stops the job if there is one. */
const ask = Effect.fnUntraced(function*(model: string, invocationType: "InvokeModel" | "Converse") {
  const jobs = yield* BatchJobs
  const store = yield* ObjectStore
  const id = yield* hex
  const folder = `probes/${id}`
  const { objects } = yield* store.list(`${folder}/`)
  if (objects.length > 0) {
    return yield* invalid("model", `there are objects below ${store.uri(folder)}, where none should be: probe again`)
  }
  const jobName = `probe-${id}`
  const request = {
    ...jobs.settings,
    jobName,
    clientRequestToken: id,
    modelId: model,
    modelInvocationType: invocationType,
    inputUri: `${store.uri(`${folder}/inputs`)}/`,
    outputUri: `${store.uri(`${folder}/outputs`)}/`,
    timeoutHours: 24
  }
  const stop = (arn: string) =>
    Effect.map(Effect.result(again(jobs.stop(arn), () => true)), (stopped): ProbeAnswer => ({
      model,
      code: null,
      message: null,
      jobArn: arn,
      isStopped: Result.isSuccess(stopped)
    }))
  const isOurs = ({ name }: JobState) => name === jobName
  return yield* Effect.uninterruptible(Effect.gen(function*() {
    const created = yield* Effect.result(again(jobs.create(request), isUnread))
    if (Result.isSuccess(created)) return yield* stop(created.success.arn)
    const { reason } = created.failure
    const answer: ProbeAnswer = {
      model,
      code: reason._tag === "Refused" || reason._tag === "Unavailable" ? reason.code : reason._tag,
      message: reason.message,
      jobArn: null,
      isStopped: false
    }
    if (reason._tag !== "Unavailable" || reason.code === "throttled" || reason.code === "quota") return answer
    // The answer was lost: the job may exist.
    const listed = Stream.runHead(Stream.filter(jobs.list({ nameContains: jobName }), isOurs))
    const found = Option.flatten(yield* Effect.option(again(listed, () => true)))
    return Option.isNone(found) ? answer : yield* stop(found.value.arn)
  }))
})

/** How far a create call came. */
type Reach = "accepted" | "input" | "model" | "before"

const reachOf = ({ code, jobArn, message }: ProbeAnswer): Reach => {
  if (jobArn !== null) return "accepted"
  if (code !== "ValidationException" || message === null) return "before"
  if (/not supported|isn.t supported|model identifier is invalid/i.test(message)) return "model"
  // The patterns of parameters are checked before all else.
  if (/validation errors? detected|failed to satisfy constraint/i.test(message)) return "before"
  return /\bs3\b|input|prefix|object|bucket/i.test(message) ? "input" : "before"
}

/** After these it is not known whether Bedrock made the job, and the list did not show it. */
const lost: ReadonlySet<string> = new Set(["network", "server", "conflict"])

const judge = (answer: ProbeAnswer, control: ProbeAnswer | null): Pick<Probe, "verdict" | "why"> => {
  const told = answer.message === null ? "" : ` Bedrock said: ${answer.message}`
  const controlReach = control === null ? null : reachOf(control)
  switch (reachOf(answer)) {
    case "accepted": {
      const end = answer.isStopped ? "was stopped at once" : "could not be stopped"
      return { verdict: "supported", why: `Bedrock accepted the job, which has no input and ${end}: ${answer.jobArn}` }
    }
    case "input":
      return { verdict: "supported", why: `Bedrock takes the model, and refused the probe's input.${told}` }
    case "model":
      return controlReach === "model"
        ? { verdict: "unknown", why: `Bedrock refuses the control model in the same way: this proves nothing.${told}` }
        : { verdict: "unsupported", why: `Bedrock refuses batch jobs of the model.${told}` }
    case "before": {
      if (answer.code !== null && lost.has(answer.code)) {
        const message = "no answer came that can be read; a job without input may exist, which fails and costs nothing"
        return { verdict: "unknown", why: `${message}.${told}` }
      }
      const hint = control === null
        ? "give a control model to tell why"
        : controlReach === "before"
        ? "the control model met the like, so permissions or the role may be at fault"
        : "the control model came further"
      return { verdict: "unknown", why: `Bedrock refused the call before it looked at the model; ${hint}.${told}` }
    }
  }
}

/**
 * Asks Bedrock whether batch inference takes a model here, by a create call whose input does not exist: a folder below
 * `probes/` in the store, of a name that is new each time, and that is looked at first. So nothing can be billed.
 * Bedrock looks at permissions and at the model before the input: which of them it refuses tells. Should it accept the
 * job all the same, the job is stopped at once, and its ARN is reported; so is the job of a call whose answer was lost.
 *
 * Needs the permissions of `submit`, `bedrock:StopModelInvocationJob` and, where an answer was lost,
 * `bedrock:ListModelInvocationJobs`. One open job of the model's quota may be taken for a moment. Fails with
 * `InvalidOption` for a name that Bedrock does not take, and with what the store fails with.
 *
 * @since 0.2.0
 * @category verbs
 * @example
 * ```ts
 * import { probe } from "@bedrock-batch/sdk"
 * import { Effect } from "effect"
 *
 * const program = Effect.map(
 *   probe("us.anthropic.claude-opus-5", { control: "us.amazon.nova-micro-v1:0" }),
 *   ({ verdict, why }) => `${verdict}: ${why}`
 * )
 * ```
 */
export const probe = Effect.fn("probe")(function*(
  model: string,
  options: ProbeOptions = {}
): Effect.fn.Return<Probe, BatchError, BatchJobs | ObjectStore> {
  for (const [path, name] of [["model", model], ["control", options.control]] as const) {
    if (name !== undefined && !isModelId(name)) {
      const message = `${JSON.stringify(name)} is not a model id, inference profile id or ARN that Bedrock takes`
      return yield* invalid(path, message)
    }
  }
  const typeOf = (name: string) => {
    const processor = forModel(name)
    return options.invocationType ?? (Result.isSuccess(processor) ? processor.success.invocationType : "InvokeModel")
  }
  const answer = yield* ask(model, typeOf(model))
  const control = options.control === undefined ? null : yield* ask(options.control, typeOf(options.control))
  return { ...answer, ...judge(answer, control), control }
})
