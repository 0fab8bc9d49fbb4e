/**
 * What a run leaves in the store for good, write by write, in the order in which a run comes to them. The crash test
 * kills a process before and after each of them; a write that is not named here fails it.
 *
 * @internal
 */

/** What a process is about when it writes. @internal */
export type Phase = "prepare" | "submit" | "await" | "collect" | "retry" | "cancel"

/** One kind of write. @internal */
export interface DurableWrite {
  readonly name: string
  readonly phase: Phase
  /** Whether an object with this key is of this kind. Each key is of exactly one. */
  readonly matches: (key: string) => boolean
}

const run = "[A-Za-z0-9][A-Za-z0-9.-]*"
const prepareId = "[0-9a-f]{16}"
const first = "1"
const later = "(?:[2-9]|[1-9]\\d+)"
const number = "\\d{6,}"
const job = `\\d+-${number}`

const write = (name: string, phase: Phase, pattern: string): DurableWrite => {
  const whole = new RegExp(`^${run}/${pattern}$`)
  return { name, phase, matches: (key) => whole.test(key) }
}

/** Writes of an attempt: those of a later one are of phase `retry`, and have a name of their own. */
const ofAttempt = (name: string, phase: Phase, pattern: (attempt: string) => string): ReadonlyArray<DurableWrite> => [
  write(name, phase, pattern(first)),
  write(`${name} of a later attempt`, "retry", pattern(later))
]

/** @internal */
export const durableWrites: ReadonlyArray<DurableWrite> = [
  write("plan", "prepare", "plan\\.json"),
  ...ofAttempt("input file", "prepare", (attempt) => `inputs/${prepareId}/${attempt}-${number}/part-\\d+\\.jsonl`),
  ...ofAttempt(
    "copy of media",
    "prepare",
    (attempt) => `inputs/${prepareId}/${attempt}-${number}/media-[0-9a-f]{32}\\.[a-z0-9_-]+`
  ),
  ...ofAttempt("rows file", "prepare", (attempt) => `rows/${prepareId}/${attempt}-${number}\\.arrow`),
  write("checkpoint", "prepare", `prepare/${prepareId}/checkpoint-${number}`),
  write("job list", "prepare", `prepare/${prepareId}/jobs\\.json`),
  write("manifest", "prepare", "run\\.json"),
  write("manifest of a later attempt", "retry", `attempts/${later}\\.json`),
  ...ofAttempt("intent", "submit", (attempt) => `jobs/${attempt}-${number}\\.intent`),
  ...ofAttempt("claim", "submit", (attempt) => `jobs/${attempt}-${number}\\.claim-\\d+`),
  ...ofAttempt("refusal", "submit", (attempt) => `jobs/${attempt}-${number}\\.refused-\\d+`),
  ...ofAttempt("ARN", "submit", (attempt) => `jobs/${attempt}-${number}\\.arn`),
  ...ofAttempt("on-demand part", "submit", (attempt) => `ondemand/${attempt}-${number}/part-\\d+\\.jsonl\\.out`),
  ...ofAttempt("end", "await", (attempt) => `jobs/${attempt}-${number}\\.end`),
  ...ofAttempt("result file", "collect", (attempt) =>
    `results/${attempt}-[A-Za-z0-9-]+/${job}(?:-${number})?\\.(?:parquet|csv|jsonl|arrow)`),
  ...ofAttempt("job report", "collect", (attempt) => `results/${attempt}-[A-Za-z0-9-]+/${job}\\.json`),
  ...ofAttempt("report", "collect", (attempt) => `results/${attempt}-[A-Za-z0-9-]+/report\\.json`),
  write("cancellation", "cancel", "cancelled"),
  write("cancellation of an attempt", "cancel", "cancelled-\\d+"),
  ...ofAttempt("settlement by list", "cancel", (attempt) => `jobs/${attempt}-${number}\\.unlisted-\\d+`),
  write("supersession of an attempt", "retry", "cancelled-\\d+-retried")
]

/** The entries that a key is of; always one. @internal */
export const kindsOf = (key: string): ReadonlyArray<DurableWrite> => durableWrites.filter(({ matches }) => matches(key))
