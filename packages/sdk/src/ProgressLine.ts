/**
 * Draws what runs are doing: one line that is drawn again in a terminal, a line every few seconds elsewhere.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { isTerminal } from "./Job.ts"
import { type Event, type Listener, Progress } from "./Progress.ts"

/**
 * Where lines are written, for instance `process.stderr`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Output {
  readonly write: (text: string) => unknown
  /** Whether a line can be drawn again; `columns` is then its width. */
  readonly isTTY?: boolean | undefined
  readonly columns?: number | undefined
}

interface RunState {
  prepared: number
  done: boolean
  jobs: number
  readonly open: Map<string, number>
  ended: number
  /** Records of ended jobs. */
  records: number
  collected: number
  waiting: string
  startedAt: number | null
}

const number = new Intl.NumberFormat("en-US")

const lineOf = (runId: string, state: RunState, now: number): string => {
  if (!state.done) return `${runId}: prepared ${number.format(state.prepared)} records, ${state.jobs} jobs`
  let processed = state.records
  for (const records of state.open.values()) processed += records
  const seconds = state.startedAt === null ? 0 : (now - state.startedAt) / 1000
  const rate = seconds > 0 ? Math.round(processed / seconds) : 0
  return `${runId}: ${number.format(processed)}/${number.format(state.prepared)} records, ` +
    `${state.ended}/${state.jobs} jobs done, ${state.open.size} open, ${state.collected} collected, ` +
    `${number.format(rate)} records/s${state.waiting}`
}

const follow = (state: RunState, event: Event, now: number): void => {
  switch (event._tag) {
    case "Prepared":
      state.prepared = event.records
      state.jobs = event.jobs
      state.done = event.done
      return
    case "JobChanged":
      state.startedAt ??= now
      state.waiting = ""
      if (isTerminal(event.status)) {
        state.open.delete(event.job)
        state.ended++
        state.records += event.records
      } else state.open.set(event.job, event.processed)
      return
    case "Waiting":
      state.waiting = `, waiting (${event.why})`
      return
    case "Collected":
      state.collected++
  }
}

/** Shortest time between two drawings, in milliseconds. */
const pace = { terminal: 100, lines: 2_000 }

/**
 * Makes a listener that draws to `output`: records and jobs done, open jobs, and records a second since the first job
 * was seen. In a terminal the line of the run that changed last is drawn again, ten times a second at most; elsewhere a
 * line is written every two seconds and at the end of each phase.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (output: Output): Listener => {
  const runs = new Map<string, RunState>()
  const live = output.isTTY === true
  let drawnAt = -Infinity
  let drawn = false
  return Effect.fnUntraced(function*(event: Event) {
    const now = yield* Clock.currentTimeMillis
    let state = runs.get(event.runId)
    if (state === undefined) {
      state = { prepared: 0, done: false, jobs: 0, open: new Map(), ended: 0, records: 0, collected: 0, waiting: "", startedAt: null }
      runs.set(event.runId, state)
    }
    follow(state, event, now)
    const milestone = (event._tag === "Prepared" && event.done) ||
      (event._tag === "Collected" && state.collected === state.jobs)
    if (!milestone && now - drawnAt < (live ? pace.terminal : pace.lines)) return
    drawnAt = now
    const line = lineOf(event.runId, state, now)
    if (!live) output.write(`${line}\n`)
    else {
      output.write(`${drawn ? "\r\u001b[2K" : ""}${line.slice(0, (output.columns ?? 120) - 1)}${milestone ? "\n" : ""}`)
      drawn = !milestone
    }
  })
}

/**
 * Layer that draws to the process's standard error.
 *
 * @since 0.1.0
 * @category layers
 * @example
 * ```ts
 * import { ProgressLine } from "@bedrock-batch/sdk"
 * import { Effect } from "effect"
 *
 * declare const program: Effect.Effect<void>
 *
 * const drawn = program.pipe(Effect.provide(ProgressLine.layer))
 * ```
 */
export const layer: Layer.Layer<never> = Layer.sync(Progress, () => make(process.stderr))
