/** A process that waits for a job for ever, for tests that interrupt it; `runner`: with its own listener of the signal. */
import { Effect, Fiber } from "effect"
import { Progress } from "../../src/Progress.ts"
import * as ProgressLine from "../../src/ProgressLine.ts"

const program = Effect.gen(function*() {
  const tell = yield* Progress
  const submittedAt = new Date(0).toISOString()
  yield* tell({ _tag: "Awaiting", runId: "run", attempt: 1, records: 1, jobs: 1 })
  yield* tell({ _tag: "Submitted", runId: "run", job: "1-000000", records: 1, arn: "arn", how: "sent", submittedAt })
  yield* Effect.sync(() => process.stdout.write("ready\n"))
  yield* Effect.forever(Effect.sleep("1 second"))
})

const fiber = Effect.runFork(Effect.provide(program, ProgressLine.layer))
if (process.argv.includes("runner")) {
  process.on("SIGINT", () => {
    fiber.addObserver(() => process.exit(130))
    Effect.runFork(Fiber.interrupt(fiber))
  })
}
