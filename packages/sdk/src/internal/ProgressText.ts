/**
 * What is said of progress, in a line.
 *
 * @internal
 */
import type { Event } from "../Progress.ts"
import type { RunProgress, Summary, TimeLeft } from "../ProgressSummary.ts"

const number = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 })

const count = (many: number, what: string): string => `${number.format(many)} ${what}${many === 1 ? "" : "s"}`

const minute = 60_000
const hour = 60 * minute
const day = 24 * hour

const unitOf = (millis: number): readonly [millis: number, name: string] =>
  millis < minute ? [1_000, "s"] : millis < hour ? [minute, "min"] : millis < 36 * hour ? [hour, "h"] : [day, "days"]

const inUnit = (millis: number, unit: number): number => Math.round(millis / unit * 10) / 10

/** @internal */
export const timeLeft = ({ from, to }: TimeLeft): string => {
  const [unit, name] = unitOf(to)
  const [unitFrom, nameFrom] = unitOf(from)
  const until = `${inUnit(to, unit)} ${name} left`
  if (from === to) return `about ${until}`
  if (from === 0) return `less than ${until}`
  return `${inUnit(from, unitFrom)}${nameFrom === name ? "" : ` ${nameFrom}`} to ${until}`
}

/** A pace, to two digits. */
const rate = (perMinute: number): string => {
  const unit = 10 ** Math.max(0, Math.floor(Math.log10(Math.max(1, perMinute))) - 1)
  return `${number.format(Math.round(perMinute / unit) * unit)}/min`
}

/** What lines tell of one run, or of several. @internal */
export type Progressing = Pick<RunProgress, "records" | "jobs" | "recordsPerMinute" | "left"> & {
  readonly name: string
  readonly phase: RunProgress["phase"]
  readonly waiting: string | null
}

/** That jobs wait for others to end is how it should be, and not told. */
const whyOf = (run: RunProgress | undefined): string | null =>
  run === undefined || run.waiting === null || run.waiting.why === "slots" ? null : run.waiting.why

/** @internal */
export const ofRun = (run: RunProgress): Progressing => ({
  ...run,
  name: run.attempt > 1 ? `${run.runId} (attempt ${run.attempt})` : run.runId,
  waiting: whyOf(run)
})

/** @internal */
export const ofAll = ({ all, runs }: Summary): Progressing => ({
  ...all,
  name: `${runs.length} runs`,
  phase: runs.every(({ phase }) => phase === "preparing") ? "preparing" : "running",
  waiting: whyOf(runs.find((run) => whyOf(run) !== null))
})

const sum = (numbers: Readonly<Record<string, number>>): number =>
  Object.values(numbers).reduce((total, one) => total + one, 0)

const share = ({ records }: Progressing): number =>
  records.total === 0 ? 0 : (records.processed + records.notRun + records.unknown) / records.total

/** Rounded down: 100 means all. */
const percent = (part: number): string => `${Math.floor(part * 100)}%`

interface Part {
  readonly text: string
  /** What has a lower rank is left out first. */
  readonly rank: number
}

const partsOf = (one: Progressing): ReadonlyArray<Part> => {
  const { jobs, left, phase, records, recordsPerMinute } = one
  if (phase === "preparing") {
    return [
      { text: `preparing, ${count(records.total, "record")}`, rank: 9 },
      { text: count(jobs.total, "job"), rank: 8 }
    ]
  }
  if (phase === "prepared") {
    return [
      { text: `prepared ${count(records.total, "record")}`, rank: 9 },
      { text: count(jobs.total, "job"), rank: 8 }
    ]
  }
  const open = sum(jobs.open)
  const lost = records.failed + records.notRun
  return [
    {
      text: `${number.format(records.processed)}/${number.format(records.total)} records`,
      rank: 8
    },
    ...(lost > 0 ? [{ text: `${number.format(lost)} without an answer`, rank: 5 }] : []),
    { text: `${sum(jobs.ended)}/${jobs.total} jobs ended`, rank: 4 },
    ...(open > 0 ? [{ text: `${open} open`, rank: 3 }] : []),
    ...(phase === "collecting" || phase === "finished" ? [{ text: `${jobs.collected} collected`, rank: 3 }] : []),
    ...(recordsPerMinute === null || phase !== "running" ? [] : [{ text: rate(recordsPerMinute), rank: 2 }]),
    ...(left === null || phase !== "running" ? [] : [{ text: timeLeft(left), rank: 7 }]),
    ...(phase === "running" ? [] : [{ text: phase, rank: 6 }]),
    ...(one.waiting === null ? [] : [{ text: `waiting (${one.waiting})`, rank: 6 }])
  ]
}

const join = (parts: ReadonlyArray<Part>): string => parts.map(({ text }) => text).join(", ")

/** A line for a log. @internal */
export const line = (one: Progressing): string => {
  const parts = join(partsOf(one))
  const isBefore = one.phase === "preparing" || one.phase === "prepared"
  return `${one.name}: ${isBefore ? "" : `${percent(share(one))}, `}${parts}`
}

const bar = (part: number, width: number): string => {
  const full = Math.min(width, Math.floor(part * width))
  return `[${"=".repeat(full)}${full < width ? ">" : ""}${" ".repeat(Math.max(0, width - full - 1))}]`
}

const bars = { least: 10, most: 30 }

/** What is left of a long name at least, where there is one at all. */
const names = { least: 12 }

/**
 * A line of at most `width` characters, with a bar where there is room: what matters least is left out first, and a
 * long name is cut.
 *
 * @internal
 */
export const frame = (one: Progressing, width: number): string => {
  const isBefore = one.phase === "preparing" || one.phase === "prepared"
  const part = share(one)
  const between = isBefore ? ": " : " "
  const textOf = (parts: ReadonlyArray<Part>) => isBefore ? join(parts) : `${percent(part)} ${join(parts)}`
  let parts = partsOf(one)
  let text = textOf(parts)
  let withBar = !isBefore
  for (;;) {
    const room = width - one.name.length - text.length - 4
    if (withBar && room >= bars.least) return `${one.name} ${bar(part, Math.min(bars.most, room))} ${text}`
    const whole = `${one.name}${between}${text}`
    if (!withBar && whole.length <= width) return whole
    const least = parts.reduce((a, b) => b.rank < a.rank ? b : a)
    const forName = width - between.length - text.length
    if (withBar && (parts.length === 1 || least.rank >= 6)) withBar = false
    else if (!withBar && forName >= names.least) return `${one.name.slice(0, forName - 3)}...${between}${text}`
    else if (parts.length > 1) {
      parts = parts.filter((one) => one !== least)
      text = textOf(parts)
    } else break
  }
  return (text.length <= width || isBefore ? text : percent(part)).slice(0, Math.max(0, width))
}

/** What became of a run's rows. @internal */
export const finished = (event: Extract<Event, { readonly _tag: "Finished" }>): string => {
  const { attempt, counts, jobs, records, runId } = event
  const outcomes = Object.entries(counts).filter(([, rows]) => rows > 0).map(([outcome, rows]) =>
    `${number.format(rows)} ${outcome}`
  )
  const attempts = attempt > 1 ? ` in ${attempt} attempts` : ""
  return `${runId}: ${count(records, "row")}: ${outcomes.join(", ")}; ${count(jobs, "job")}${attempts}`
}

/** How a run that was left is taken up again; null where it has come to its end. @internal */
export const resumption = ({ jobs, phase, runId }: RunProgress): string | null => {
  if (phase === "finished") return null
  const open = sum(jobs.open)
  const resume = `resume(${JSON.stringify(runId)})`
  return open > 0
    ? `run ${runId} goes on at Bedrock with ${count(open, "open job")}; take it up again with ${resume}`
    : `run ${runId} is left where it is; take it up again with ${resume}`
}
