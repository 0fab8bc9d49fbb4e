/**
 * Kills a function of a pipeline after each of its calls to AWS in turn, lets others go on, and says what came of it.
 */
import { type Bench, type Life, topics } from "./Handlers.ts"
import { inputOf } from "./Handlers.ts"
import { endOf, isSettled, itemsOf, jobsOf, openItems, prepare, submit } from "./PipelineRun.ts"

/** Who is killed: while it submits, while it hears of the end, or while it sweeps after the event was lost. */
export type Victim = "submit" | "event" | "sweep"

/** What came of one death. */
export interface Death {
  /** After so many calls. */
  readonly calls: number
  /** The last call that arrived, and whether it was answered. */
  readonly last: string
  readonly answered: boolean
  /** What the task that was tried again was told. */
  readonly status: string
  /** Jobs at Bedrock of this one job. */
  readonly jobs: number
  /** What is open in the inventory afterwards. */
  readonly open: ReadonlyArray<string>
}

/** Options of `kills`. */
export interface Options {
  readonly victim: Victim
  /** Whether the last call is answered before the death. */
  readonly answered: boolean
  /** Every how many-th call is tried; default each. */
  readonly every?: number
}

/** The run of the deaths of one kind: a job for each. */
const most = 60

const lifeOf = async (life: Life, work: Promise<unknown>): Promise<"done" | "killed"> =>
  await Promise.race([work.then(() => "done" as const), life.killed.then(() => "killed" as const)])

/** Tries deaths after ever more calls, until the function comes to its end. */
export const kills = async (bench: Bench, { answered, every = 1, victim }: Options): Promise<ReadonlyArray<Death>> => {
  const name = `kills-${victim}-${answered ? "a" : "b"}`
  await bench.put(`inputs/${name}.csv`, topics(100 * most))
  const helper = await bench.life()
  const run = await prepare(helper, inputOf(name))
  const items = await itemsOf(bench, run)
  const deaths: Array<Death> = []
  for (const [i, item] of items.entries()) {
    const calls = 1 + i * every
    const dying = await bench.life({ calls, answered })
    let waiting: { readonly answer: Promise<unknown> }
    let fate: "done" | "killed"
    if (victim === "submit") {
      const first = submit(bench, dying, run, item)
      fate = await lifeOf(dying, first.called)
      // A task whose function died fails, and is tried again with a token of its own.
      waiting = fate === "killed" ? submit(bench, await bench.life(), run, item) : first
      if (fate === "killed") await (waiting as ReturnType<typeof submit>).called
    } else {
      const task = submit(bench, helper, run, item)
      await task.called
      waiting = task
      const end = await endOf(bench, run.runId, item.key)
      fate = await lifeOf(dying, dying.call(victim, victim === "event" ? end : {}))
    }
    const end = await endOf(bench, run.runId, item.key)
    const other = await bench.life()
    // An event is delivered again by Lambda; what was lost is found by the next sweep.
    if (victim !== "sweep") await other.call("event", end)
    if (!(await isSettled(waiting.answer)) || victim === "sweep") await other.call("sweep", {})
    const told = await waiting.answer as { readonly status: string }
    const last = dying.calls.at(-1)
    deaths.push({
      calls,
      last: last === undefined ? "" : `${last.service} ${last.method} ${last.url.split("?")[0]}`,
      answered,
      status: told.status,
      jobs: jobsOf(bench, run.runId, item.key),
      open: (await openItems(bench)).filter((id) => id.includes(`${run.runId}-${item.key}`))
    })
    if (fate === "done") return deaths
  }
  throw new Error(`${victim} made more than ${most} calls`)
}
