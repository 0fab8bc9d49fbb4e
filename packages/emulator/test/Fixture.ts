import { Effect, Stream } from "effect"
import { TestClock } from "effect/testing"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import * as Emulator from "../src/Emulator.ts"
import { memory, type Storage } from "../src/Storage.ts"

export const haiku = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
export const role = "arn:aws:iam::123456789012:role/batch"

/** A folder that is gone when the test is over. */
export const folder = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "emulator-"))),
  (directory) => Effect.sync(() => fs.rmSync(directory, { recursive: true, force: true }))
)

export const anthropic = (text: string) => ({
  anthropic_version: "bedrock-2023-05-31",
  max_tokens: 100,
  messages: [{ role: "user", content: text }]
})

export const converse = (text: string) => ({
  messages: [{ role: "user", content: [{ text }] }],
  inferenceConfig: { maxTokens: 100 }
})

export const lines = (count: number, body: (index: number) => unknown = (index) => anthropic(`question ${index}`)) =>
  Array.from({ length: count }, (_, index) => {
    const record = { recordId: `r${index}`, modelInput: body(index) }
    return `${JSON.stringify(record)}\n`
  }).join("")

export const put = (storage: Storage, uri: string, text: string) =>
  storage.write(uri, Stream.make(new TextEncoder().encode(text)))

export const text = (storage: Storage, uri: string) =>
  storage.read(uri).pipe(Stream.decodeText(), Stream.mkString)

/** The lines of an output file, parsed. */
export const answers = (storage: Storage, uri: string) =>
  Effect.map(text(storage, uri), (content): Array<any> => content.trimEnd().split("\n").map((line) => JSON.parse(line)))

export const request = (overrides: Record<string, unknown> = {}) => ({
  jobName: "job-1",
  roleArn: role,
  modelId: haiku,
  inputDataConfig: { s3InputDataConfig: { s3Uri: "s3://bucket/in/" } },
  outputDataConfig: { s3OutputDataConfig: { s3Uri: "s3://bucket/out" } },
  ...overrides
})

/** An emulator over memory with one input of 200 records, whose jobs take a minute in each phase and ten to run. */
export const emulate = Effect.fnUntraced(function*(options: Partial<Emulator.Options> = {}) {
  const storage = memory()
  yield* put(storage, "s3://bucket/in/a.jsonl", lines(200))
  const emulator = yield* Emulator.make({
    storage,
    seed: "test",
    timing: {
      submitted: "1 minute",
      validating: "1 minute",
      queued: "1 minute",
      running: "10 minutes",
      stopping: "1 minute"
    },
    ...options
  })
  /** Creates a job and returns it as it is after `time`. */
  const after = Effect.fnUntraced(function*(
    time: Parameters<typeof TestClock.adjust>[0],
    overrides: Record<string, unknown> = {}
  ) {
    const { jobArn } = yield* emulator.create(request(overrides))
    yield* TestClock.adjust(time)
    return yield* emulator.get(jobArn)
  })
  /** The output lines of a job. */
  const output = (job: { readonly jobArn: string }) =>
    Effect.suspend(() => {
      const uri = `s3://bucket/out/${job.jobArn.slice(-12)}/a.jsonl.out`
      return storage.objects.has(uri) ? answers(storage, uri) : Effect.succeed([])
    })
  return { emulator, storage, after, output }
})
