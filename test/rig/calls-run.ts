// A share of the runs of which one call goes wrong: `node calls-run.ts <share as JSON>` gives what came of them as JSON.
import { Effect, Logger } from "effect"
import { all } from "./Calls.ts"

const summaries = await Effect.runPromise(
  Effect.scoped(all(JSON.parse(process.argv[2]!), 6)).pipe(Effect.provide(Logger.layer([])))
)
process.stdout.write(JSON.stringify(summaries))
