/**
 * From an effect to the function that Lambda calls: its services are made once, its time is kept, and a failure becomes
 * an error of a name that the state machine knows.
 *
 * @internal
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { Progress } from "@bedrock-batch/sdk/Progress"
import { InvalidInput } from "../Input.ts"
import { traceId } from "./Environment.ts"
import { type Failure, NamedError, OutOfTime, toError } from "./Failure.ts"
import * as Logging from "./Logging.ts"
import { layer, type Services } from "./Services.ts"

/** What is used of Lambda's context. @internal */
export interface LambdaContext {
  readonly awsRequestId: string
  readonly getRemainingTimeInMillis: () => number
}

/** One call of the function. @internal */
export class Call extends Context.Service<Call, {
  /** Lambda's id of the call; a retry of Lambda's own has the same. */
  readonly requestId: string
  /** Milliseconds until Lambda ends it. */
  readonly remaining: () => number
}>()("@bedrock-batch/cdk-adapter/Call") {}

/** @internal */
export interface HandlerOptions<A> {
  readonly name: string
  readonly event: Schema.ConstraintDecoder<A>
  /** Whether the call ends itself before Lambda ends it; default true. */
  readonly keepsTime?: boolean | undefined
}

/** Milliseconds before Lambda's end at which a call ends itself: a tenth of its time, within bounds. */
const margin = (remaining: number): number => Math.min(45_000, Math.max(1_000, remaining / 10))

const inTime = <A, E, R>(name: string, effect: Effect.Effect<A, E, R>) =>
  Effect.flatMap(Call, ({ remaining }) => {
    const left = remaining()
    return Effect.timeoutOrElse(effect, {
      duration: Math.max(1, left - margin(left)),
      orElse: () => {
        const message = `the time of ${name} is nearly over; what was done is kept, call it again`
        return Effect.fail(new OutOfTime({ message }))
      }
    })
  })

/** Makes what Lambda calls. Logs of a call name it, and never hold what is in its event. @internal */
export const handlerOf = <A, B>(
  options: HandlerOptions<A>,
  run: (event: A) => Effect.Effect<B, Failure, Services | Call>
): (event: unknown, context: LambdaContext) => Promise<B> => {
  const { keepsTime = true, name } = options
  const decode = Schema.decodeUnknownEffect(options.event)
  const runtime = ManagedRuntime.make(Layer.provideMerge(layer, Logging.layer))
  const handle = Effect.fnUntraced(function*(event: unknown) {
    const decoded = yield* decode(event).pipe(Effect.mapError(({ message }) =>
      new InvalidInput({ problems: [{ field: "event", message: `is not what ${name} takes: ${message}` }] })
    ))
    const listener = yield* Logging.listener
    const running = Effect.provideService(run(decoded), Progress, listener)
    return yield* keepsTime ? inTime(name, running) : running
  })
  return async (event, { awsRequestId, getRemainingTimeInMillis }) => {
    const call = Call.of({ requestId: awsRequestId, remaining: getRemainingTimeInMillis })
    const logged = handle(event).pipe(
      Effect.tapError((failure) => {
        const error = toError(failure)
        return Effect.logError(`${error.name}: ${error.message}`)
      }),
      Effect.tapDefect((defect) => Effect.logError(`${name} died`, defect)),
      Effect.annotateLogs({
        function: name,
        requestId: awsRequestId,
        ...(traceId() === undefined ? {} : { traceId: traceId() })
      }),
      Effect.provideService(Call, call)
    )
    const exit = await runtime.runPromiseExit(logged)
    if (Exit.isSuccess(exit)) return exit.value
    const failure = Cause.findErrorOption(exit.cause)
    if (Option.isSome(failure)) throw toError(failure.value)
    const defect = Cause.squash(exit.cause)
    const { message, name: named } = defect instanceof Error ? defect : new Error(String(defect))
    throw new NamedError(named, message)
  }
}
