/**
 * Puts records into jobs as the plan says, and writes the jobs' files.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import { BatchError, Refused } from "../BatchError.ts"
import type { Job } from "../Job.ts"
import type { Impossible, Planner } from "../Planner.ts"
import * as HeldBack from "./HeldBack.ts"
import type { JobWriter } from "./JobWriter.ts"
import type { Segment } from "./RecordEncoder.ts"

/** Above so many bytes, records that wait for their job wait in a temporary file. */
const heldBackBytes = 32_000_000

/** @internal */
export interface PlannedJobs {
  /** Takes the records of a segment, as many as the plan has room for; gives how many. */
  readonly take: (segment: Segment) => Effect.Effect<number, BatchError, Scope.Scope>
  /** Ends the plan; gives all jobs, as soon as they are stored. */
  readonly end: Effect.Effect<ReadonlyArray<Job>, BatchError, Scope.Scope>
}

/**
 * `impossible` makes the failure of records that no plan can place; `method` is the verb, for messages. Jobs are batch
 * jobs where the plan does not say otherwise, or all of the given `lane`. `closed` is run at each job that is closed
 * before the end; where it is true, nothing more is written.
 *
 * @internal
 */
export const make = Effect.fnUntraced(function*(
  planner: Planner,
  writer: JobWriter,
  method: "prepare" | "retry",
  impossible: (why: Impossible) => BatchError,
  { closed, lane }: {
    readonly lane?: Job["lane"] | undefined
    readonly closed?: Effect.Effect<boolean, BatchError> | undefined
  } = {}
) {
  const held = yield* HeldBack.make(heldBackBytes)

  const keep = <A>(run: () => A) => Effect.try({ try: run, catch: (cause) => unkept(method, cause) })

  const write = Effect.fnUntraced(function*(closed: Effect.Effect<boolean, BatchError> = Effect.succeed(false)) {
    for (const step of planner.takeSteps()) {
      yield* writer.write(step, yield* keep(() => held.take(step.records)), lane ?? (planner.few ? "on-demand" : "batch"))
      if (step.closes && (yield* closed)) return
    }
  })

  const jobs: PlannedJobs = {
    take: Effect.fnUntraced(function*(segment: Segment) {
      let taken = 0
      let start = 0
      for (const end of segment.ends) {
        const added = planner.add(end - start)
        if (Result.isFailure(added)) return yield* impossible(added.failure)
        if (!added.success) break
        start = end
        taken++
      }
      if (taken > 0) yield* keep(() => held.push(HeldBack.head(segment, taken)))
      yield* write(closed)
      return taken
    }),
    end: Effect.gen(function*() {
      const ended = planner.end()
      if (Result.isFailure(ended)) return yield* impossible(ended.failure)
      yield* write()
      return yield* writer.jobs
    })
  }
  return jobs
})

const unkept = (method: string, cause: unknown): BatchError =>
  new BatchError({
    module: method,
    method,
    reason: new Refused({
      code: "TemporaryFile",
      message: "records that wait for their job cannot be kept in a temporary file",
      cause
    })
  })
