/**
 * Prepares the run of an execution, one round a call: the state machine calls again until the run is prepared.
 *
 * @internal
 */
import * as Run from "@bedrock-batch/sdk/Run"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Environment } from "../runtime/Environment.ts"
import { PreparedRun } from "../runtime/Events.ts"
import { Call, handlerOf } from "../runtime/Lambda.ts"
import { writeJobList } from "../runtime/RunFiles.ts"
import { inputOf, prepareRound } from "../runtime/Runs.ts"

const PrepareEvent = Schema.Struct({
  input: Schema.Json,
  execution: Schema.Struct({ name: Schema.String, id: Schema.String, startedAt: Schema.String }),
  /** The last answer; null at first. */
  run: Schema.optionalKey(Schema.NullOr(PreparedRun))
})

const deadlineOf = (startedAt: string, hours: number | null): string | null =>
  hours === null ? null : new Date(Date.parse(startedAt) + hours * 3_600_000).toISOString()

/** The least time of a round, in milliseconds: with less its error says that there is too little. */
const leastTime = 1_000

const options = { name: "prepare", event: PrepareEvent, keepsTime: false }

/** @internal */
export const handler = handlerOf(options, Effect.fnUntraced(function*(event) {
  const input = yield* inputOf(event.input)
  const { roundMargin } = yield* Environment
  const { remaining } = yield* Call
  const last = event.run ?? null
  const time = Math.max(leastTime, remaining() - roundMargin * 1000)
  const { jobs, prepared, records, runId } = yield* prepareRound(input, last?.runId, time)
  const list = prepared ? yield* writeJobList(runId, 1, (yield* Run.load(runId, { attempt: 1 })).jobs) : null
  yield* Effect.logInfo(prepared ? "prepared" : "prepared in part").pipe(
    Effect.annotateLogs({ runId, execution: event.execution.name, records, jobs })
  )
  const run: PreparedRun = {
    runId,
    prepared,
    round: (last?.round ?? 0) + 1,
    records,
    jobs,
    attempt: 1,
    list,
    deadline: deadlineOf(event.execution.startedAt, input.deadlineHours),
    format: input.format
  }
  return run
}))
