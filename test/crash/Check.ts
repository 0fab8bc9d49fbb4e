/**
 * What a run of the crash test came to: what the service created, what the store holds and what the result files say,
 * read with other readers than the sdk's own.
 */
import { DeleteObjectsCommand, GetObjectCommand, ListObjectsV2Command, type S3Client } from "@aws-sdk/client-s3"
import type { Emulator } from "@bedrock-batch/emulator"
import { Job } from "@bedrock-batch/sdk"
import { Effect } from "effect"
import { createHash } from "node:crypto"
import { readers } from "../rig/Audit.ts"
import type { Ended } from "./Lives.ts"
import { prompt, rowsOf, type Scenario } from "./scenarios.ts"

/** The objects of a run. */
export class Folder {
  readonly client: S3Client
  readonly bucket: string
  readonly prefix: string

  constructor(client: S3Client, bucket: string, prefix: string) {
    this.client = client
    this.bucket = bucket
    this.prefix = prefix
  }

  /** All keys, relative to the folder. */
  async keys(): Promise<ReadonlyArray<string>> {
    const keys: Array<string> = []
    let token: string | undefined
    do {
      const page = await this.client.send(
        new ListObjectsV2Command({ Bucket: this.bucket, Prefix: `${this.prefix}/`, ContinuationToken: token })
      )
      for (const { Key } of page.Contents ?? []) keys.push(Key!.slice(this.prefix.length + 1))
      token = page.NextContinuationToken
    } while (token !== undefined)
    return keys.sort()
  }

  async get(key: string): Promise<Uint8Array> {
    const answer = await this.client.send(new GetObjectCommand({ Bucket: this.bucket, Key: `${this.prefix}/${key}` }))
    return await answer.Body!.transformToByteArray()
  }

  async json(key: string): Promise<any> {
    return JSON.parse(Buffer.from(await this.get(key)).toString("utf8"))
  }

  async remove(): Promise<void> {
    const keys = await this.keys()
    for (let at = 0; at < keys.length; at += 1000) {
      const Objects = keys.slice(at, at + 1000).map((key) => ({ Key: `${this.prefix}/${key}` }))
      await this.client.send(new DeleteObjectsCommand({ Bucket: this.bucket, Delete: { Objects, Quiet: true } }))
    }
  }
}

/** What came of a run. */
export interface Checked {
  /** Batch jobs over all attempts, without those that were refused, or that came after a cancellation or deadline. */
  readonly jobsPlanned: number
  readonly jobsCreated: number
  readonly rowsIn: number
  readonly rowsOut: number
  readonly duplicates: number
  readonly missing: number
  /** Result files of all generations, by their keys: digests of what is in them. */
  readonly results: ReadonlyMap<string, string>
  /** What is not as it must be. */
  readonly violations: ReadonlyArray<string>
}

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex")

/**
 * Checks a finished run; `reference` are the results of one that nobody disturbed, and `repeated` the on-demand calls that
 * a model answered for the second time or more.
 */
export const check = async (
  scenario: Scenario,
  folder: Folder,
  emulator: Emulator.Emulator["Service"],
  done: NonNullable<Ended["done"]>,
  reference: ReadonlyMap<string, string> | null,
  repeated: number
): Promise<Checked> => {
  const violations: Array<string> = []
  const keys = await folder.keys()
  const manifestKey = keys.find((key) => key.endsWith("/run.json"))!
  const runId = manifestKey.slice(0, -"/run.json".length)

  // What was planned, over all attempts, and what the service made of it.
  const manifests = [manifestKey, ...keys.filter((key) => key.startsWith(`${runId}/attempts/`))]
  const planned: Array<{ readonly key: string; readonly name: string; readonly lane: string }> = []
  for (const key of manifests) planned.push(...await folder.json((await folder.json(key)).jobs.key))
  const batch = planned.filter(({ lane }) => lane === "batch")
  const { invocationJobSummaries: created } = await Effect.runPromise(emulator.list({ maxResults: "1000" }))
  // A job that is refused, or comes after a cancellation or a deadline, is not created.
  const least = scenario.ending === "retry" ? 1 : 0
  for (const { key, name } of batch) {
    const times = created.filter(({ jobName }) => jobName === name).length
    if (times < least || times > 1) violations.push(`job ${key} was created ${times} times`)
    if (times === 1 && !keys.includes(`${runId}/jobs/${key}.end`)) {
      violations.push(`the ledger does not know the end of job ${key}`)
    }
  }
  const names = new Set(batch.map(({ name }) => name))
  for (const { jobName, status } of created) {
    if (!names.has(jobName)) violations.push(`job ${jobName} was created and never planned`)
    if (!Job.isTerminal(status)) violations.push(`job ${jobName} is open: ${status}`)
  }

  // Calls on demand have no token: some may be repeated, and are counted then.
  let recorded = 0
  for (const { key, lane } of planned) {
    const end = `${runId}/jobs/${key}.end`
    if (lane === "on-demand" && keys.includes(end)) recorded += (await folder.json(end)).repeatedCalls
  }
  if (repeated > recorded) violations.push(`${repeated} on-demand calls were repeated, and the ledger tells of ${recorded}`)

  // The rows.
  const rows = rowsOf(scenario)
  const seen = new Map<string, number>()
  let rowsOut = 0
  for (const file of done.files) {
    const { columns, rows: cells } = await readers[scenario.format](
      await folder.get(file.slice(`s3://${folder.bucket}/${folder.prefix}/`.length))
    )
    const at = (name: string) => columns.indexOf(name)
    const [id, topic, response, status] = [at("id"), at("topic"), at("response"), at("batch_status")]
    for (const row of cells) {
      const there = String(row[id])
      seen.set(there, (seen.get(there) ?? 0) + 1)
      const source = rows[rowsOut]
      if (source === undefined || there !== source.id || row[topic] !== source.topic) {
        violations.push(`row ${rowsOut} of the result is not row ${rowsOut} of the input`)
      } else {
        const answer = `echo: ${prompt.replace("{id}", source.id).replace("{topic}", source.topic)}`
        const isMissing = scenario.ending === "cancel" && row[status] === "missing"
        if (!isMissing && (row[status] !== "succeeded" || row[response] !== answer)) {
          violations.push(`row ${rowsOut} is ${row[status]}: ${JSON.stringify(row[response])}, not ${JSON.stringify(answer)}`)
        }
      }
      rowsOut++
    }
  }
  const duplicates = [...seen.values()].reduce((sum, times) => sum + times - 1, 0)
  const missing = rows.filter(({ id }) => !seen.has(id)).length
  if (duplicates > 0) violations.push(`${duplicates} rows are in the result more than once`)
  if (missing > 0) violations.push(`${missing} rows are not in the result`)
  const counted = Object.values(done.counts).reduce((sum, count) => sum + count, 0)
  if (counted !== rows.length) violations.push(`the report counts ${counted} rows of ${rows.length}`)

  // Byte by byte what an undisturbed run writes. Which job is refused, and how much one has done when it is stopped, is
  // left to chance: there only the last results are the same, and those of a cancelled run never.
  const results = new Map<string, string>()
  const base = `s3://${folder.bucket}/${folder.prefix}/`
  const compared = scenario.ending === "retry"
    ? keys.filter((key) => key.startsWith(`${runId}/results/`) && key.endsWith(`.${scenario.format}`))
    : scenario.ending !== "cancel"
    ? done.files.map((file) => file.slice(base.length))
    : []
  for (const key of compared) {
    const name = least === 1 ? key : key.slice(key.lastIndexOf("/") + 1)
    results.set(name, sha256(await folder.get(key)))
  }
  for (const key of new Set([...results.keys(), ...(reference ?? results).keys()])) {
    if ((reference ?? results).get(key) !== results.get(key)) violations.push(`the result file ${key} is not that of an undisturbed run`)
  }

  return {
    jobsPlanned: least === 1 ? batch.length : batch.filter(({ key }) => keys.includes(`${runId}/jobs/${key}.end`)).length,
    jobsCreated: created.length,
    rowsIn: rows.length,
    rowsOut,
    duplicates,
    missing,
    results,
    violations: violations.length > 10 ? [...violations.slice(0, 10), `and ${violations.length - 10} more`] : violations
  }
}
