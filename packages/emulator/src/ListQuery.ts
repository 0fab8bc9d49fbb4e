/**
 * The query of a list call, and the pages that it gives.
 *
 * @since 0.1.0
 */
import type { OpenStatus, TerminalStatus } from "@bedrock-batch/sdk/Job"
import type { JobRecord } from "./JobRecord.ts"
import { isObject, member, parse } from "./Json.ts"
import { constraints, type Findings } from "./Validation.ts"

/**
 * Query parameters as they come in the URL: strings.
 *
 * @since 0.1.0
 * @category models
 */
export interface ListParameters {
  readonly submitTimeAfter?: string | undefined
  readonly submitTimeBefore?: string | undefined
  readonly statusEquals?: string | undefined
  readonly nameContains?: string | undefined
  readonly maxResults?: string | undefined
  readonly nextToken?: string | undefined
  readonly sortBy?: string | undefined
  readonly sortOrder?: string | undefined
}

/**
 * A query that passed the parameter checks.
 *
 * @since 0.1.0
 * @category models
 */
export interface ListQuery {
  readonly after: number
  readonly before: number
  readonly status: OpenStatus | TerminalStatus | null
  readonly name: string | null
  readonly size: number
  readonly ascending: boolean
  /** Index of the job that the page begins behind; null for the first page. */
  readonly behind: number | null
}

const statuses = [
  "Submitted",
  "InProgress",
  "Completed",
  "Failed",
  "Stopping",
  "Stopped",
  "PartiallyCompleted",
  "Expired",
  "Validating",
  "Scheduled"
] as const
const defaultPage = 100
const timestamp = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/

const readTime = (findings: Findings, path: string, value: string | undefined): number | null => {
  if (value === undefined) return null
  const time = timestamp.test(value) ? Date.parse(value) : Number.NaN
  if (!Number.isNaN(time)) return time
  findings.mistyped(path, "Timestamp")
  return null
}

const encodeToken = (behind: number, ascending: boolean) =>
  Buffer.from(JSON.stringify({ behind, ascending })).toString("base64url")

/**
 * Reads the parameters of a list call; what is wrong with them is noted in `findings`.
 *
 * @since 0.1.0
 * @category parsing
 */
export const read = (findings: Findings, parameters: ListParameters): ListQuery => {
  const { maxResults, nextToken } = parameters
  findings.text("nameContains", parameters.nameContains, constraints.jobName)
  findings.text("nextToken", nextToken, constraints.nextToken)
  findings.oneOf("sortBy", parameters.sortBy, ["CreationTime"])
  const order = findings.oneOf("sortOrder", parameters.sortOrder, ["Ascending", "Descending"])
  const size = findings.integer(
    "maxResults",
    maxResults === undefined ? undefined : /^-?\d+$/.test(maxResults) ? Number(maxResults) : maxResults,
    1,
    1000
  )
  const cursor = nextToken === undefined ? null : parse(Buffer.from(nextToken, "base64url").toString("utf8"))
  const behind = member(cursor, "behind")
  const valid = isObject(cursor) && typeof behind === "number" && Number.isInteger(behind) && behind >= 0
  if (nextToken !== undefined && !valid) {
    findings.fail("nextToken", nextToken, "Member must be a token of an earlier answer")
  }
  return {
    after: readTime(findings, "submitTimeAfter", parameters.submitTimeAfter) ?? Number.NEGATIVE_INFINITY,
    before: readTime(findings, "submitTimeBefore", parameters.submitTimeBefore) ?? Number.POSITIVE_INFINITY,
    status: findings.oneOf("statusEquals", parameters.statusEquals, statuses) ?? null,
    name: parameters.nameContains ?? null,
    size: size ?? defaultPage,
    ascending: nextToken === undefined ? order === "Ascending" : member(cursor, "ascending") === true,
    behind: valid ? behind : null
  }
}

/**
 * A page of jobs, and the token of the next one.
 *
 * @since 0.1.0
 * @category models
 */
export interface Page {
  readonly jobs: ReadonlyArray<JobRecord>
  readonly nextToken: string | null
}

/** Index of the first job that may have been submitted after a time: processes that share jobs order them loosely. */
const firstAfter = (jobs: ReadonlyArray<JobRecord>, after: number): number => {
  let low = 0
  let high = jobs.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((jobs[middle]?.latestAt ?? 0) <= after) low = middle + 1
    else high = middle
  }
  return low
}

/**
 * Finds the page of a query. `jobs` are in the order of their creation; those submitted after `visibleUntil` are passed
 * over. Pages stay where they are when jobs are added meanwhile.
 *
 * @since 0.1.0
 * @category paging
 */
export const page = (query: ListQuery, jobs: ReadonlyArray<JobRecord>, visibleUntil: number): Page => {
  const found: Array<JobRecord> = []
  const step = query.ascending ? 1 : -1
  const least = firstAfter(jobs, query.after)
  const first = query.behind === null ? (query.ascending ? least : jobs.length - 1) : query.behind + step
  for (let index = first; index >= least && index < jobs.length; index += step) {
    const job = jobs[index]
    if (
      job === undefined || job.submittedAt > visibleUntil ||
      job.submittedAt <= query.after || job.submittedAt >= query.before ||
      (query.status !== null && job.status !== query.status) ||
      (query.name !== null && !job.request.jobName.includes(query.name))
    ) continue
    if (found.length === query.size) {
      return { jobs: found, nextToken: encodeToken(found.at(-1)?.index ?? 0, query.ascending) }
    }
    found.push(job)
  }
  return { jobs: found, nextToken: null }
}
