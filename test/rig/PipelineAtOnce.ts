/**
 * The functions of a pipeline at work on the same jobs at the same time, with calls that are on their way for as long
 * as chance says: two executions that submit, events that are lost or come twice, and sweeps.
 */
import { type Bench, inputOf, type Life, topics } from "./Handlers.ts"
import { itemsOf, jobsOf, openItems, prepare, submit } from "./PipelineRun.ts"

/** Numbers from 0 to 1, the same each time. */
const generator = (seed: number) => {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

/** What came of it: each different answer of a task, and number of jobs at Bedrock for one; and what is left open. */
export interface AtOnce {
  readonly told: ReadonlyArray<string>
  readonly jobs: ReadonlyArray<number>
  readonly open: ReadonlyArray<string>
}

/** The longest time, in milliseconds, that a call is on its way. */
const longest = 25

/** Delivers events of a run until told, each up to twice. */
const hear = async (bench: Bench, life: Life, runId: string, random: () => number, isOver: () => boolean) => {
  const seen = new Set<string>()
  while (!isOver()) {
    const events = bench.events.filter(({ detail, id }) => detail.batchJobName.startsWith(runId) && !seen.has(id))
    for (const event of events) {
      seen.add(event.id)
      const times = Math.floor(random() * 3)
      await Promise.all(Array.from({ length: times }, () => life.call("event", event)))
    }
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

/** Lets two executions submit the same jobs, and gives what came of it. */
export const atOnce = async (bench: Bench, seed: number, jobs: number): Promise<AtOnce> => {
  const random = generator(seed)
  const name = `at-once-${seed}`
  await bench.put(`inputs/${name}.csv`, topics(100 * jobs))
  const calm = await bench.life()
  const run = await prepare(calm, inputOf(name))
  const items = await itemsOf(bench, run)
  const delay = () => Math.floor(random() * longest)
  const [one, two, hearing, sweeping] = await Promise.all([1, 2, 3, 4].map(() => bench.life({ delay })))
  let over = false
  const sweep = async () => {
    while (!over) await sweeping!.call("sweep", {})
  }
  const around = [hear(bench, hearing!, run.runId, random, () => over), sweep()]
  /** As the state machine does: where there is no slot now, the task is tried again with another token. */
  const persist = async (life: Life, item: any): Promise<{ readonly status: string }> => {
    for (;;) {
      const task = submit(bench, life, run, item)
      const failure: unknown = await task.called.then(() => null, (error) => error)
      if (failure === null) return await task.answer as { readonly status: string }
      if (!(failure instanceof Error) || failure.name !== "CapacityFull") throw failure
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }
  const told = await Promise.all(items.flatMap((item) => [persist(one!, item), persist(two!, item)]))
  over = true
  await Promise.all(around)
  await calm.call("sweep", {})
  return {
    told: [...new Set(told.map(({ status }) => status))],
    jobs: [...new Set(items.map(({ key }) => jobsOf(bench, run.runId, key)))],
    open: (await openItems(bench)).filter((id) => id.includes(run.runId))
  }
}
