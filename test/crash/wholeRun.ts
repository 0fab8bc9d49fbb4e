/** A whole run by the public verbs. */
import {
  awaitAll,
  type AwaitOptions,
  collect,
  mapSubmission,
  ObjectStore,
  prepare,
  prepareStep,
  Prompt,
  retry,
  Run,
  Source,
  submit,
  Wait
} from "@bedrock-batch/sdk"
import { Clock, Deferred, Effect, Fiber } from "effect"
import type { Phase } from "../../packages/sdk/src/internal/DurableWrites.ts"
import { ticking } from "../../packages/sdk/test/rig/ticking.ts"
import { haiku, photos, prompt, rowsOf, type Scenario } from "./scenarios.ts"

/** Long enough for a job or two, by a clock that goes on when it is looked at. */
const secondsOfRound = 6

/** Prepares a scenario's run. */
const preparing = Effect.fnUntraced(function*(scenario: Scenario) {
  const rows = rowsOf(scenario)
  const options = {
    name: scenario.name,
    model: haiku,
    maxRecordsPerJob: scenario.rowsPerJob,
    belowMinimum: "on-demand"
  } as const
  if (!scenario.photos) {
    const definition = { ...options, source: Source.rows(rows), prompt: Prompt.make(prompt) }
    const clock = yield* Clock.Clock
    const round = ticking(prepareStep(definition, `${secondsOfRound} seconds`), (duration) => clock.sleep(duration))
    let prepared = !scenario.rounds
    while (!prepared) ({ prepared } = yield* round)
    return yield* prepare(definition)
  }
  const { base } = yield* ObjectStore.ObjectStore
  const beside = base.slice(0, base.lastIndexOf("/"))
  const run: Run.Run<object> = yield* prepare({
    ...options,
    source: Source.rows(rows.map((row, i) => ({ ...row, photo: `${beside}/${photos[i % photos.length]}` }))),
    prompt: Prompt.make(prompt, { media: [Prompt.image("photo", { s3: "reference" })] })
  })
  return run
})

/** Runs a scenario to its end, and tells in which phase it is. */
export const wholeRun = Effect.fnUntraced(function*(scenario: Scenario, enter: (phase: Phase) => void) {
  let phase: Phase | null = null
  const now = (next: Phase) =>
    Effect.sync(() => {
      phase = next
      enter(next)
    })
  const settings = { format: scenario.format, partBytes: scenario.partBytes }
  /** Completes when a job is open, or no more than that can be expected. */
  const begun = yield* Deferred.make<void>()

  /** Submits all jobs and waits for them; from the last one's acceptance on, it only waits. */
  const finish = (run: Run.Run<object>, options: Pick<AwaitOptions<never, never>, "deadline"> = {}) => {
    let open = run.jobs.length
    const submissions = run.jobs.map((job) =>
      mapSubmission(submit(job), (submission) =>
        Effect.tap(submission, () => --open === 0 && phase === "submit" ? now("await") : Effect.void).pipe(
          Effect.ensuring(Deferred.succeed(begun, undefined))
        ))
    )
    const wait = Wait.polling({ from: "20 millis", to: "200 millis" })
    return awaitAll(submissions, { ...options, concurrency: 3, wait })
  }

  yield* now("prepare")
  const run: Run.Run<object> = yield* preparing(scenario)
  yield* now("submit")
  if (scenario.ending === "cancel") {
    const jobs = yield* Effect.forkChild(Effect.ensuring(finish(run), Deferred.succeed(begun, undefined)))
    yield* Deferred.await(begun)
    yield* now("cancel")
    yield* Run.cancel(run.id)
    return yield* collect(run, yield* Fiber.join(jobs), settings)
  }
  const isTimed = scenario.ending === "deadline"
  const ended = yield* finish(run, isTimed ? { deadline: "1 second" } : {})
  yield* now("collect")
  let collected = yield* collect(run, ended, settings)
  yield* now("retry")
  let last = run
  do {
    const again = yield* retry(last)
    if (again.jobs.length === 0) break
    const jobs = yield* finish(again, isTimed && again.attempt === 2 ? { deadline: "2 seconds" } : {})
    collected = yield* collect(again, jobs, settings)
    last = again
  } while (isTimed)
  return collected
})
