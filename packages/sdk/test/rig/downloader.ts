/** A process that downloads a run from a folder store, for tests that kill it: `<store> <run id> <folder>`. */
import { Effect } from "effect"
import { downloadRun } from "../../src/downloadRun.ts"
import * as FileSystem from "../../src/store/FileSystem.ts"

const [directory = "", runId = "", folder = ""] = process.argv.slice(2)

await Effect.runPromise(
  downloadRun(runId, folder, { concurrency: 3 }).pipe(Effect.provide(FileSystem.layer({ directory })))
)
