/**
 * The state changes of jobs, in the shape in which EventBridge delivers them.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as PubSub from "effect/PubSub"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Faults } from "./Faults.ts"

/**
 * An event as it is documented, with its odd names: the failure text is `failureMessage`, and `creationTime` is a
 * date for people.
 *
 * @since 0.1.0
 * @category models
 */
export interface JobEvent {
  readonly version: "0"
  readonly id: string
  readonly "detail-type": "Batch Inference Job State Change"
  readonly source: "aws.bedrock"
  readonly account: string
  /** ISO 8601 without fractions of a second. */
  readonly time: string
  readonly region: string
  readonly resources: ReadonlyArray<string>
  readonly detail: {
    readonly version: "0.0"
    readonly accountId: string
    readonly batchJobName: string
    readonly batchJobArn: string
    readonly batchModelId: string
    readonly status: string
    readonly failureMessage: string
    /** For example `Aug 28, 2024, 10:47:53 PM`. */
    readonly creationTime: string
  }
}

/**
 * What an event is about. Times are in milliseconds since 1970.
 *
 * @since 0.1.0
 * @category models
 */
export interface StateChange {
  readonly eventId: string
  readonly region: string
  readonly accountId: string
  readonly jobName: string
  readonly jobArn: string
  readonly modelArn: string
  readonly status: string
  readonly message: string | null
  readonly submittedAt: number
  readonly at: number
}

const forPeople = new Intl.DateTimeFormat("en-US", { dateStyle: "medium", timeStyle: "medium", timeZone: "UTC" })

/**
 * Writes a state change as an event.
 *
 * @since 0.1.0
 * @category converting
 */
export const toEvent = (change: StateChange): JobEvent => ({
  version: "0",
  id: change.eventId,
  "detail-type": "Batch Inference Job State Change",
  source: "aws.bedrock",
  account: change.accountId,
  time: new Date(change.at).toISOString().replace(/\.\d+Z$/, "Z"),
  region: change.region,
  resources: [change.jobArn],
  detail: {
    version: "0.0",
    accountId: change.accountId,
    batchJobName: change.jobName,
    batchJobArn: change.jobArn,
    batchModelId: change.modelArn,
    status: change.status,
    failureMessage: change.message ?? "",
    // Newer ICU data puts a narrow no-break space before AM and PM.
    creationTime: forPeople.format(change.submittedAt).replaceAll("\u202f", " ")
  }
})

/**
 * The bus of an emulator.
 *
 * @since 0.1.0
 * @category models
 */
export interface EventBus {
  /** Sends the event of a change, unless a fault drops it, doubles it, holds it back or delays it. */
  readonly send: (change: StateChange) => void
  /** Every event from the moment the stream is run, behind the newest 1,000 of those before. */
  readonly stream: Stream.Stream<JobEvent>
}

const reorderLimit = "1 second"

/**
 * Creates a bus. Late events are sent from fibers of the scope.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make: (faults: Faults) => Effect.Effect<EventBus, never, Scope.Scope> = Effect.fnUntraced(
  function*(faults: Faults) {
    // Written as events by whoever takes them: mostly there is nobody.
    const hub = yield* PubSub.unbounded<StateChange>({ replay: 1000 })
    const scope = yield* Effect.scope
    const context = yield* Effect.context<never>()
    const run = Effect.runForkWith(context)
    let held: StateChange | null = null
    const publish = (change: StateChange) => void PubSub.publishUnsafe(hub, change)
    const release = () => {
      if (held !== null) publish(held)
      held = null
    }
    const later = (millis: number | typeof reorderLimit, act: () => void) =>
      void run(Effect.forkIn(Effect.andThen(Effect.sleep(millis), Effect.sync(act)), scope))
    const deliver = (change: StateChange) => {
      if (held === null && faults.strikes("reorderEvents")) {
        held = change
        later(reorderLimit, () => held === change && release())
        return
      }
      publish(change)
      release()
    }
    const send = (change: StateChange) => {
      if (faults.strikes("dropEvents")) return
      const copies = faults.strikes("duplicateEvents") ? 2 : 1
      const delay = faults.delay("delayEvents")
      for (let i = 0; i < copies; i++) delay > 0 ? later(delay, () => publish(change)) : deliver(change)
    }
    return { send, stream: Stream.map(Stream.fromPubSub(hub), toEvent) }
  }
)
