import { assert, it } from "@effect/vitest"
import * as Journal from "../src/Journal.ts"
import * as ListQuery from "../src/ListQuery.ts"
import * as Register from "../src/Register.ts"
import { Findings } from "../src/Validation.ts"

const never = 0
const faults = {
  end: null,
  unprocessed: "expired",
  failAllRecords: false,
  missingLines: never,
  duplicateLines: never,
  unknownIds: never,
  malformedLines: never,
  throttledRecords: never,
  brokenRecords: never
} as const

/** Jobs that were added in this order, submitted at these minutes. */
const jobsAt = (minutes: ReadonlyArray<number>) => {
  const journal = Journal.memory()
  minutes.forEach((minute, i) =>
    journal.append({
      type: "created",
      id: `job${String(i).padStart(9, "0")}`,
      region: "us-east-1",
      accountId: "123456789012",
      at: minute * 60_000,
      seed: "",
      exclusive: false,
      faults,
      request: {
        jobName: `job-${minute}`,
        roleArn: "arn:aws:iam::123456789012:role/x",
        clientRequestToken: null,
        modelId: "amazon.titan-embed-text-v2:0",
        modelInvocationType: "InvokeModel",
        inputUri: "s3://b/in/",
        inputFormat: "JSONL",
        inputBucketOwner: null,
        outputUri: "s3://b/out/",
        outputKmsKeyId: null,
        outputBucketOwner: null,
        vpcConfig: null,
        timeoutDurationInHours: 24,
        tags: []
      }
    })
  )
  const ignore = () => undefined
  const { jobs } = Register.make({
    journal,
    remembered: journal.read(),
    region: "us-east-1",
    accountId: "123456789012",
    submitted: () => 0,
    created: ignore,
    stopping: ignore,
    ended: ignore
  })
  return jobs
}

const list = (minutes: ReadonlyArray<number>, after: number, sortOrder: "Ascending" | "Descending") => {
  const findings = new Findings()
  const submitTimeAfter = new Date(after * 60_000).toISOString()
  const names: Array<string> = []
  let nextToken: string | undefined
  do {
    const query = ListQuery.read(findings, { submitTimeAfter, sortOrder, maxResults: "2", nextToken })
    const page = ListQuery.page(query, jobsAt(minutes), Infinity)
    names.push(...page.jobs.map(({ request }) => request.jobName))
    nextToken = page.nextToken ?? undefined
  } while (nextToken !== undefined)
  assert.isNull(findings.problem)
  return names
}

it("finds every job that was submitted after a time, though processes that share them added some late", () => {
  const minutes = [1, 4, 2, 3, 7, 5, 6, 5]
  for (const after of [0, 1, 2, 3, 4, 5, 6, 7, 8]) {
    const expected = minutes.filter((minute) => minute > after).map((minute) => `job-${minute}`)
    assert.deepStrictEqual(list(minutes, after, "Ascending"), expected)
    assert.deepStrictEqual(list(minutes, after, "Descending"), expected.toReversed())
  }
})
