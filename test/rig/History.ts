/** What an execution did: its steps, its Maps, and how much its states carried. */

/** An item of a distributed Map, whose child execution a step belongs to. */
export interface Child {
  readonly map: string
  readonly item: number
}

/** A step. */
export interface Step {
  /** Milliseconds since 1970. */
  readonly at: number
  readonly child: Child | null
  readonly state: string
  readonly type: string
  readonly event: "entered" | "exited" | "failed" | "retried" | "caught"
  /** Of the input or output. */
  readonly bytes?: number
  /** The input or output. */
  readonly value?: unknown
  readonly error?: string
  readonly cause?: string
}

/** A distributed Map that ran. */
export interface MapRun {
  readonly map: string
  readonly items: number
  readonly succeeded: number
  readonly failed: number
  /** Most children that ran at once. */
  readonly mostAtOnce: number
}

/** The record of one execution. */
export class History {
  readonly steps: Array<Step> = []
  readonly mapRuns: Array<MapRun> = []
  /** The most that a state was given or gave. */
  largest: { readonly bytes: number; readonly state: string } = { bytes: 0, state: "" }

  add(step: Step): void {
    this.steps.push(step)
    if ((step.bytes ?? 0) > this.largest.bytes) this.largest = { bytes: step.bytes ?? 0, state: step.state }
  }

  /** The states of the machine itself, in the order in which they were entered. */
  get path(): ReadonlyArray<string> {
    return this.steps.filter(({ child, event }) => child === null && event === "entered").map(({ state }) => state)
  }

  /** How often something happened to a state, in the machine and in all children. */
  count(state: string, event: Step["event"]): number {
    return this.steps.filter((step) => step.state === state && step.event === event).length
  }

  /** The errors of a state, in the machine and in all children. */
  errors(state: string): ReadonlyArray<string> {
    return this.steps.flatMap((step) => step.state === state && step.error !== undefined ? [step.error] : [])
  }
}

const seconds = (millis: number) => (millis / 1000).toFixed(1)

const counted = (names: ReadonlyArray<string>): string => {
  const counts = new Map<string, number>()
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1)
  return [...counts].map(([name, count]) => count === 1 ? name : `${name} x${count}`).join(", ")
}

/** What became of one stay in a state. */
interface Stay {
  readonly state: string
  readonly from: number
  until: number
  readonly bytesIn: number
  bytesOut: number | null
  readonly errors: Array<string>
  ended: "succeeded" | "caught" | "failed"
}

const stays = (steps: ReadonlyArray<Step>): ReadonlyArray<Stay> => {
  const found: Array<Stay> = []
  for (const step of steps) {
    const { at, bytes = 0, error, event, state } = step
    if (event === "entered") {
      found.push({ state, from: at, until: at, bytesIn: bytes, bytesOut: null, errors: [], ended: "failed" })
      continue
    }
    const stay = found.findLast((one) => one.state === state)
    if (stay === undefined) continue
    stay.until = at
    if (error !== undefined) stay.errors.push(error)
    if (event === "caught") stay.ended = "caught"
    if (event === "exited") {
      stay.bytesOut = bytes
      if (stay.ended !== "caught") stay.ended = "succeeded"
    }
  }
  return found
}

/** Writes a history for people: a line for each stay in a state; of a Map's children, one for each of their states. */
export const format = ({ mapRuns, steps }: History): string => {
  const [first] = steps
  const lines: Array<string> = []
  const maps = [...mapRuns]
  for (const stay of stays(steps.filter(({ child }) => child === null))) {
    const errors = stay.errors.length === 0 ? "" : `  after ${counted(stay.errors)}`
    const sizes = `${stay.bytesIn} B in${stay.bytesOut === null ? "" : `, ${stay.bytesOut} B out`}`
    lines.push(
      `${seconds(stay.from - (first?.at ?? 0)).padStart(7)} s  ${stay.state.padEnd(12)} ${stay.ended.padEnd(9)} ` +
        `${seconds(stay.until - stay.from).padStart(6)} s  ${sizes}${errors}`
    )
    const map = maps.findIndex((run) => run.map === stay.state)
    if (map < 0) continue
    const [run] = maps.splice(map, 1)
    const { failed, items, mostAtOnce, succeeded } = run!
    const ends = `${succeeded} succeeded, ${failed} failed`
    lines.push(`${" ".repeat(11)}${items} children: ${ends}, at most ${mostAtOnce} at once`)
    const children = steps.filter(({ at, child }) => child?.map === stay.state && at >= stay.from && at <= stay.until)
    for (const state of new Set(children.map(({ state }) => state))) {
      const of = children.filter((step) => step.state === state)
      const many = (event: Step["event"]) => of.filter((step) => step.event === event).length
      const problems = of.flatMap(({ error }) => error === undefined ? [] : [error])
      lines.push(
        `${" ".repeat(13)}${state.padEnd(12)} entered ${many("entered")}, left ${many("exited")}` +
          (problems.length === 0 ? "" : `, retried ${many("retried")}, caught ${many("caught")}: ${counted(problems)}`)
      )
    }
  }
  return lines.join("\n")
}
