/**
 * What an emulator remembers when its process ends: the requests, not the states, since a job's state follows from its
 * request and the time.
 *
 * @since 0.1.0
 */
import { TerminalStatus } from "@bedrock-batch/sdk/Job"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as fs from "node:fs"
import * as path from "node:path"

const Tag = Schema.Struct({ key: Schema.String, value: Schema.String })
const Trigger = Schema.Union([Schema.Finite, Schema.Struct({ next: Schema.Natural })])
const maybe = Schema.NullOr(Schema.String)

const Request = Schema.Struct({
  jobName: Schema.String,
  roleArn: Schema.String,
  clientRequestToken: maybe,
  modelId: Schema.String,
  modelInvocationType: Schema.Literals(["InvokeModel", "Converse"]),
  inputUri: Schema.String,
  inputFormat: Schema.NullOr(Schema.Literal("JSONL")),
  inputBucketOwner: maybe,
  outputUri: Schema.String,
  outputKmsKeyId: maybe,
  outputBucketOwner: maybe,
  vpcConfig: Schema.NullOr(Schema.Struct({
    subnetIds: Schema.Array(Schema.String),
    securityGroupIds: Schema.Array(Schema.String)
  })),
  timeoutDurationInHours: Schema.Natural,
  tags: Schema.Array(Tag)
})

/**
 * Schema for an entry. Times are emulated, in milliseconds since 1970, but for `clock`.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Entry = Schema.Union([
  /** From the time `clock` of the machine on, emulated time runs from `emulated` at `speed`. */
  Schema.Struct({ type: Schema.Literal("clock"), clock: Schema.Finite, emulated: Schema.Finite, speed: Schema.Finite }),
  Schema.Struct({
    type: Schema.Literal("created"),
    id: Schema.String,
    region: Schema.String,
    accountId: Schema.String,
    request: Request,
    at: Schema.Finite,
    seed: Schema.String,
    /** Whether the entry is void if another entry with the same token stands before it. */
    exclusive: Schema.Boolean,
    faults: Schema.Struct({
      end: Schema.NullOr(Schema.Literals(["failed", "failed-with-output", "expired", "partial"])),
      unprocessed: Schema.Literals(["expired", "missing"]),
      failAllRecords: Schema.Boolean,
      missingLines: Trigger,
      duplicateLines: Trigger,
      unknownIds: Trigger,
      malformedLines: Trigger,
      throttledRecords: Trigger,
      brokenRecords: Trigger
    })
  }),
  Schema.Struct({ type: Schema.Literal("stopping"), id: Schema.String, at: Schema.Finite }),
  Schema.Struct({ type: Schema.Literal("tagged"), id: Schema.String, tags: Schema.Array(Tag) }),
  Schema.Struct({
    type: Schema.Literal("ended"),
    id: Schema.String,
    status: TerminalStatus,
    message: maybe,
    changedAt: Schema.Finite,
    endedAt: Schema.Finite,
    totals: Schema.NullOr(Schema.Struct({
      total: Schema.Natural,
      processed: Schema.Natural,
      success: Schema.Natural,
      error: Schema.Natural
    }))
  })
])

/**
 * An entry.
 *
 * @since 0.1.0
 * @category models
 */
export type Entry = typeof Entry.Type

/**
 * Entries in the order in which they were written. Its functions throw what the file system throws.
 *
 * @since 0.1.0
 * @category models
 */
export interface Journal {
  /** Adds an entry; it is safe when this returns. */
  readonly append: (entry: Entry) => void
  /** Returns the entries that were added since the last call, by whomever. */
  readonly read: () => ReadonlyArray<Entry>
}

/**
 * Keeps entries in memory: they are gone with the process.
 *
 * @since 0.1.0
 * @category constructors
 */
export const memory = (): Journal => {
  let entries: Array<Entry> = []
  return {
    append: (entry) => void entries.push(entry),
    read: () => {
      const added = entries
      entries = []
      return added
    }
  }
}

const decode = Schema.decodeUnknownOption(Schema.fromJsonString(Entry))
const folderName = ".bedrock-batch-emulator"
const lineFeed = 0x0a

/**
 * Keeps entries in the file `.bedrock-batch-emulator/jobs.jsonl` of a folder. Several processes may share it: each sees
 * the others' entries, and a whole line is written at a time. A line that a dying process left unfinished is passed
 * over.
 *
 * @since 0.1.0
 * @category constructors
 */
export const folder = (directory: string): Journal => {
  const file = path.join(directory, folderName, "jobs.jsonl")
  let offset = 0
  let descriptor: number | undefined
  // A job must be on disk before its creation is answered, and nothing may come between: hence synchronous calls.
  const open = () => {
    if (descriptor !== undefined) return descriptor
    fs.mkdirSync(path.dirname(file), { recursive: true })
    descriptor = fs.openSync(file, "a+")
    const { size } = fs.fstatSync(descriptor)
    const last = Buffer.from("\n")
    if (size > 0) fs.readSync(descriptor, last, 0, 1, size - 1)
    if (last[0] !== lineFeed) fs.writeSync(descriptor, "\n")
    return descriptor
  }
  return {
    append: (entry) => void fs.writeSync(open(), `${JSON.stringify(entry)}\n`),
    read: () => {
      const opened = open()
      const { size } = fs.fstatSync(opened)
      if (size <= offset) return []
      const bytes = Buffer.alloc(size - offset)
      const read = fs.readSync(opened, bytes, 0, bytes.length, offset)
      const end = bytes.subarray(0, read).lastIndexOf(lineFeed) + 1
      offset += end
      const lines = bytes.toString("utf8", 0, end).split("\n")
      return lines.flatMap((line) => line === "" ? [] : Option.toArray(decode(line)))
    }
  }
}
