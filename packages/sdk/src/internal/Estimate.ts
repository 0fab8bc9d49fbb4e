/**
 * How long a run will take, from what was seen of it.
 *
 * Two ways of reckoning, which are both taken into account where both say something:
 *
 * - by records: what is left, at the pace at which records were processed so far, and at that of the last minutes;
 * - by jobs: what is left of the open jobs and the whole of those that wait, if they last as long as those that have
 *   ended, on as many slots as there are jobs open: between `work / slots` and the time of one long job more. A long job
 *   is one that lasts longer than the mean by twice the standard deviation.
 *
 * Each is widened by how little it rests on: the pace by a factor of 2 at the beginning down to 1.1, the duration of
 * jobs by half after one job, by a quarter after four. The range that is told holds both, and goes out to round
 * numbers.
 *
 * @internal
 */

/** What was seen. All times in milliseconds. @internal */
export interface Evidence {
  /** Records of which it is not known yet what they came to. */
  readonly remaining: number
  /** Jobs that are not submitted. */
  readonly waiting: number
  /** How long each open job has been open. */
  readonly open: ReadonlyArray<number>
  /** Records that were seen to be processed, and in which time. */
  readonly observed: number
  readonly observedMillis: number
  /** Records a minute of late; null where that is not known. */
  readonly recent: number | null
  /** Jobs that were seen from their beginning to their end, and how long they took together. */
  readonly ended: number
  readonly endedMillis: number
  /** By how much they differ: the standard deviation. */
  readonly spreadMillis: number
}

/** From so many to so many milliseconds. @internal */
export interface Range {
  readonly from: number
  readonly to: number
}

const second = 1_000
const minute = 60 * second
const hour = 60 * minute
const day = 24 * hour

/** Round numbers; a range begins and ends at one of them. @internal */
export const steps: ReadonlyArray<number> = [
  0,
  ...[5, 10, 20, 30].map((n) => n * second),
  ...[1, 2, 3, 5, 10, 15, 20, 30, 45].map((n) => n * minute),
  ...[1, 1.5, 2, 3, 4, 5, 6, 8, 10, 12, 18].map((n) => n * hour),
  ...[1, 1.5, 2, 3, 4, 5, 7, 10, 14, 21, 30, 45, 60, 90].map((n) => n * day)
]

const byRecords = ({ observed, observedMillis, recent, remaining }: Evidence): Range | null => {
  if (observed <= 0 || observedMillis <= 0) return null
  const share = remaining / (observed + remaining)
  const doubt = 1.1 + 0.9 * share * share
  const overall = remaining * (observedMillis / observed)
  const late = recent === null || recent <= 0 ? overall : remaining / recent * minute
  return { from: Math.min(overall, late) / doubt, to: Math.max(overall, late) * doubt }
}

const byJobs = ({ ended, endedMillis, open, spreadMillis, waiting }: Evidence): Range | null => {
  if (ended <= 0 || open.length === 0) return null
  const mean = endedMillis / ended
  const long = mean + 2 * spreadMillis
  // What has lasted longer than expected may last for a while yet.
  const left = open.map((age) => Math.max(mean - age, age / 4))
  const work = left.reduce((sum, millis) => sum + millis, 0) + waiting * mean
  const longest = left.reduce((most, millis) => Math.max(most, millis), waiting > 0 ? mean : 0)
  const last = open.reduce((most, age) => Math.max(most, long - age, age / 4), 0)
  const doubt = 1 + 0.5 / Math.sqrt(ended)
  return {
    from: Math.max(work / open.length, longest) / doubt,
    to: (waiting > 0 ? work / open.length + Math.max(long, last) : last) * doubt
  }
}

/**
 * The time until the last job ends, or null where there is nothing to go by: no record was seen to be processed and no
 * job to end, or jobs wait and none is open.
 *
 * @internal
 */
export const timeLeft = (evidence: Evidence): Range | null => {
  const { open, remaining, waiting } = evidence
  if (open.length === 0) return remaining === 0 && waiting === 0 ? { from: 0, to: 0 } : null
  const ranges = [byRecords(evidence), byJobs(evidence)].filter((range) => range !== null)
  if (ranges.length === 0) return null
  const from = Math.min(...ranges.map((range) => range.from))
  // A job whose records are all processed has not ended yet.
  const to = Math.max(minute, ...ranges.map((range) => range.to))
  const roundTo = steps.find((step) => step >= to)
  return roundTo === undefined ? null : { from: steps.findLast((step) => step <= from) ?? 0, to: roundTo }
}
