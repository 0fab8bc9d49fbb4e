/**
 * Where the objects of a run lie, as keys of the store.
 *
 * @internal
 */

/** @internal */
export const plan = (runId: string): string => `${runId}/plan.json`

/** @internal */
export const manifest = (runId: string): string => `${runId}/run.json`

/** The manifests of the attempts after the first. @internal */
export const attempts = (runId: string): string => `${runId}/attempts/`

/** The manifest of an attempt after the first. @internal */
export const attempt = (runId: string, attempt: number): string => `${attempts(runId)}${attempt}.json`

/** Present: nothing more of the run is submitted. @internal */
export const cancelled = (runId: string): string => `${runId}/cancelled`

/** Present: nothing more of this attempt is submitted. @internal */
export const cancelledAttempt = (runId: string, attempt: number): string => `${runId}/cancelled-${attempt}`

/** Present: nothing more of this attempt is submitted, since what it left is in the next one. @internal */
export const superseded = (runId: string, attempt: number): string => `${cancelledAttempt(runId, attempt)}-retried`

/** What lives of `prepare` leave beside the jobs' files: job lists and checkpoints. @internal */
export const prepares = (runId: string): string => `${runId}/prepare/`

/** How far a life of `prepare` has come: after so many jobs of the run. @internal */
export const checkpoint = (runId: string, prepareId: string, jobs: number): string =>
  `${prepares(runId)}${prepareId}/checkpoint-${String(jobs).padStart(6, "0")}`

/** @internal */
export const jobList = (runId: string, prepareId: string): string => `${prepares(runId)}${prepareId}/jobs.json`

/** @internal */
export const inputs = (runId: string, prepareId: string, jobKey: string): string =>
  `${runId}/inputs/${prepareId}/${jobKey}/`

/** @internal */
export const rows = (runId: string, prepareId: string, jobKey: string): string =>
  `${runId}/rows/${prepareId}/${jobKey}.arrow`

/** @internal */
export const ledger = (runId: string): string => `${runId}/jobs/`

/** @internal */
export const outputs = (runId: string, jobKey: string): string => `${runId}/outputs/${jobKey}/`

/** Answers of calls on demand. @internal */
export const onDemand = (runId: string, jobKey: string): string => `${runId}/ondemand/${jobKey}/`

/** All generations of results. @internal */
export const resultsOf = (runId: string): string => `${runId}/results/`

/** @internal */
export const results = (runId: string, generation: string): string => `${resultsOf(runId)}${generation}/`

/** @internal */
export const jobReport = (runId: string, generation: string, jobKey: string): string =>
  `${results(runId, generation)}${jobKey}.json`

/** Present: the generation of results is whole. @internal */
export const report = (runId: string, generation: string): string => `${results(runId, generation)}report.json`

/** @internal */
export const jobKey = (attempt: number, index: number): string => `${attempt}-${String(index).padStart(6, "0")}`

const lastDigits = Array.from({ length: 1000 }, (_, i) => String(i).padStart(3, "0"))

/** The thousand that was asked for last, with its digits: rows are asked for one after the other. */
let thousand = 0
let firstDigits = "r0000000"

/** The id of a record: its row number in the run, from 0. @internal */
export const recordId = (row: number): string => {
  const rest = row % 1000
  if (row - rest !== thousand) {
    thousand = row - rest
    firstDigits = `r${String(thousand / 1000).padStart(7, "0")}`
  }
  return firstDigits + lastDigits[rest]!
}

/** The row number of a record id, or -1 for an id that no record of ours has. @internal */
export const rowOf = (recordId: string): number => {
  if (recordId.length !== 11 || recordId.charCodeAt(0) !== 114) return -1
  let row = 0
  for (let i = 1; i < 11; i++) {
    const digit = recordId.charCodeAt(i) - 48
    if (digit < 0 || digit > 9) return -1
    row = row * 10 + digit
  }
  return row
}
