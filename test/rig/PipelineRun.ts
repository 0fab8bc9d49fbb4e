/**
 * The steps of one execution of a pipeline, as its state machine takes them, for tests that call its functions.
 */
import type { Events } from "@bedrock-batch/emulator"
import { type Bench, execution, type Life } from "./Handlers.ts"

const terminal: ReadonlyArray<string> = ["Completed", "PartiallyCompleted", "Failed", "Stopped", "Expired"]

/** Prepares a run, in as many rounds as it takes. */
export const prepare = async (life: Life, input: object, from = execution): Promise<any> => {
  let run: any = null
  do {
    run = await life.call("prepare", { input, execution: from, run })
  } while (!run.prepared)
  return run
}

/** The items that the map reads. */
export const itemsOf = async (bench: Bench, run: any): Promise<Array<any>> => JSON.parse(await bench.get(run.list.key))

/** Submits a job with a token of its own; `answer` comes when that is answered. */
export const submit = (bench: Bench, life: Life, run: any, item: any, deadline = run.deadline) => {
  const { key, lane, timeoutSeconds } = item
  const task = bench.tokens.make(null, null)
  const event = { runId: run.runId, key, lane, timeoutSeconds, deadline, token: task.token }
  return { ...task, event, called: life.call("submit", event) }
}

const pause = (millis: number) => new Promise<void>((resolve) => void setTimeout(resolve, millis))

/** Waits until something holds. */
export const until = async (holds: () => boolean | Promise<boolean>): Promise<void> => {
  for (let tries = 0; !(await holds()); tries++) {
    if (tries > 3_000) throw new Error("it did not happen within a minute")
    await pause(20)
  }
}

/** The event of a job's end, when it was sent. */
export const endOf = async (bench: Bench, runId: string, key: string): Promise<Events.JobEvent> => {
  const find = () =>
    bench.events.find(({ detail }) =>
      detail.batchJobName.startsWith(`${runId}-${key}`) && terminal.includes(detail.status)
    )
  await until(() => find() !== undefined)
  return find()!
}

/** Whether a promise was settled. */
export const isSettled = async (promise: Promise<unknown>): Promise<boolean> => {
  const none = Symbol("none")
  return await Promise.race([promise.then(() => null, () => null), pause(50).then(() => none)]) !== none
}

/** How many jobs there are at Bedrock of one job of a run. */
export const jobsOf = (bench: Bench, runId: string, key: string): number =>
  new Set(
    bench.events.filter(({ detail }) => detail.batchJobName.startsWith(`${runId}-${key}`))
      .map(({ detail }) => detail.batchJobArn)
  ).size

/** What is still open in the table: jobs and tokens. */
export const openItems = async (bench: Bench): Promise<ReadonlyArray<string>> =>
  (await bench.items()).filter(({ open }) => open !== undefined).map(({ pk, sk }) => `${pk.S} ${sk.S}`)

/** A whole execution, whose events are delivered as they come. */
export const execute = async (bench: Bench, life: Life, input: object, from = execution): Promise<any> => {
  let run = await prepare(life, input, from)
  for (;;) {
    await Promise.all((await itemsOf(bench, run)).map(async (item) => {
      const task = submit(bench, life, run, item)
      await task.called
      if (!(await isSettled(task.answer))) await life.call("event", await endOf(bench, run.runId, item.key))
      await task.answer
      await life.call("collect", { runId: run.runId, key: item.key, format: run.format })
    }))
    const { attempt, deadline, runId } = run
    const finished = await life.call("finish", { runId, attempt, input, deadline })
    if (!finished.again) return finished
    run = await life.call("retry", { runId, attempt, input, deadline })
  }
}
