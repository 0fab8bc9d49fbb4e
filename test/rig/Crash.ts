/** Runs in processes of their own, to be killed. */
import { type Collected, Prompt, run } from "@bedrock-batch/sdk"
import { Effect, Layer } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import { plainTable, sourceOf } from "./Data.ts"
import { haiku, soon, type Stack } from "./Stack.ts"

/** What the process is told, as JSON in its argument. */
export interface Task {
  readonly options: Stack["options"]
  readonly rows: number
  readonly rowsPerJob: number
}

export const askPlain = (cells: ReadonlyMap<string, unknown>) => `${cells.get("id")}: ${cells.get("topic")}`

/** The run that all processes share. */
export const shared = ({ rows, rowsPerJob }: Omit<Task, "options">) =>
  run({
    name: "crashing",
    source: sourceOf(plainTable(rows)),
    model: haiku,
    prompt: Prompt.make("{id}: {topic}"),
    maxRecordsPerJob: rowsPerJob,
    wait: soon,
    concurrency: 3
  })

/** The shared run in this process, with clients of its own. */
export const here = (
  stack: Stack,
  task: Omit<Task, "options">
): Effect.Effect<Collected<object>, unknown> =>
  Effect.provide(shared(task), Layer.fresh(stack.layer({ quotaPause: "100 millis" })))

const script = fileURLToPath(new URL("./crashing-run.ts", import.meta.url))

/** Another process: `begun` when it has loaded, `ended` with its exit code, or null when it was killed. */
export interface Child {
  readonly begun: Promise<unknown>
  readonly ended: Promise<number | null>
  readonly kill: () => void
  readonly output: () => string
}

/** Starts the shared run in another process. */
export const start = (task: Task): Child => startScript(script, task)

/** Starts a script in another process, and gives it its task. */
export const startScript = (script: string, task: unknown): Child => {
  const child: ChildProcess = spawn(process.execPath, [script, JSON.stringify(task)], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { PATH: process.env["PATH"] }
  })
  let output = ""
  child.stdout!.on("data", (part) => output += part)
  child.stderr!.on("data", (part) => output += part)
  const ended: Promise<number | null> = once(child, "close").then(([code]) => code)
  return {
    begun: Promise.race([once(child.stdout!, "data"), ended]),
    ended,
    kill: () => void child.kill("SIGKILL"),
    output: () => output
  }
}
