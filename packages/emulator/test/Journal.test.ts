import { assert, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import * as Emulator from "../src/Emulator.ts"
import * as Journal from "../src/Journal.ts"
import * as Storage from "../src/Storage.ts"
import { answers, folder, lines, put, request } from "./Fixture.ts"

const timing = {
  submitted: "1 minute",
  validating: "1 minute",
  queued: "1 minute",
  running: "10 minutes",
  stopping: "1 minute"
} as const

/** One process life over a folder: it ends when the effect does. */
const life = <A, E>(
  directory: string,
  use: (emulator: Emulator.Emulator["Service"]) => Effect.Effect<A, E>,
  options: Partial<Emulator.Options> = {}
) =>
  Effect.scoped(Effect.flatMap(
    Emulator.make({ storage: Storage.folder(directory), journal: Journal.folder(directory), timing, ...options }),
    use
  ))

const prepared = Effect.gen(function*() {
  const directory = yield* folder
  yield* put(Storage.folder(directory), "s3://bucket/in/a.jsonl", lines(200))
  return directory
})

const tagged = request({ clientRequestToken: "t", tags: [{ key: "a", value: "b" }] })

it.effect("goes on with the jobs of a process that died, as if it had not", () =>
  Effect.gen(function*() {
    const directory = yield* prepared
    const { jobArn } = yield* life(directory, (emulator) => emulator.create(tagged))
    yield* TestClock.adjust("5 minutes")
    yield* life(directory, (emulator) =>
      Effect.gen(function*() {
        const job = yield* emulator.get(jobArn)
        assert.deepInclude(
          job,
          { status: "InProgress", processedRecordCount: 40, submitTime: "1970-01-01T00:00:00.000Z" }
        )
        assert.strictEqual((yield* emulator.create(tagged)).jobArn, jobArn)
        yield* emulator.tag({ resourceARN: jobArn, tags: [{ key: "c", value: "d" }] })
      }))
    yield* TestClock.adjust("1 day")
    const ended = yield* life(directory, (emulator) => emulator.get(jobArn))
    assert.deepInclude(ended, { status: "Completed", successRecordCount: 200, endTime: "1970-01-01T00:13:00.000Z" })
    const out = yield* answers(Storage.folder(directory), `s3://bucket/out/${jobArn.slice(-12)}/a.jsonl.out`)
    assert.strictEqual(out.length, 200)
    const before = fs.statSync(path.join(directory, "bucket/out", jobArn.slice(-12), "a.jsonl.out"))
    yield* life(directory, (emulator) =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* emulator.get(jobArn), ended)
        assert.deepInclude(yield* emulator.stats, { jobsCreated: 1, recordsProcessed: 200 })
        assert.strictEqual((yield* emulator.listTags({ resourceARN: jobArn })).tags.length, 2)
      }))
    assert.strictEqual(
      fs.statSync(path.join(directory, "bucket/out", jobArn.slice(-12), "a.jsonl.out")).ino,
      before.ino
    )
  }))

it.effect("shows two processes one set of jobs, and lets one token make one job", () =>
  Effect.gen(function*() {
    const directory = yield* prepared
    yield* life(directory, (one) =>
      life(directory, (other) =>
        Effect.gen(function*() {
          const { jobArn } = yield* one.create(request({ clientRequestToken: "t" }))
          assert.strictEqual((yield* other.create(request({ clientRequestToken: "t" }))).jobArn, jobArn)
          yield* TestClock.adjust("8 minutes")
          yield* other.stop(jobArn)
          assert.strictEqual((yield* one.get(jobArn)).status, "Stopping")
          yield* TestClock.adjust("1 minute")
          const [seen, known] = yield* Effect.all([one.get(jobArn), other.get(jobArn)], { concurrency: 2 })
          assert.deepStrictEqual(seen, known)
          assert.deepInclude(seen, { status: "Stopped", processedRecordCount: 100 })
          assert.strictEqual((yield* one.list({})).invocationJobSummaries.length, 1)
          assert.strictEqual((yield* one.stats).jobsCreated, 1)
        })))
    yield* life(directory, (later) =>
      Effect.map(later.list({}), (page) => assert.strictEqual(page.invocationJobSummaries[0]?.status, "Stopped")))
  }))

it.effect("keeps the jobs of Regions and accounts apart", () =>
  Effect.gen(function*() {
    const directory = yield* prepared
    const body = request({ clientRequestToken: "t" })
    const east = yield* life(directory, (one) => one.create(body), { seed: "s" })
    const own = { seed: "s", region: "eu-west-1", limits: { maxOpenJobs: 1 } }
    yield* life(directory, (west) =>
      Effect.gen(function*() {
        assert.deepStrictEqual((yield* west.list({})).invocationJobSummaries, [])
        assert.strictEqual((yield* Effect.flip(west.get(east.jobArn))).name, "ResourceNotFoundException")
        assert.strictEqual((yield* Effect.flip(west.get(east.jobArn.slice(-12)))).name, "ResourceNotFoundException")
        const { jobArn } = yield* west.create(body)
        assert.match(jobArn, /^arn:aws:bedrock:eu-west-1:123456789012:/)
        assert.notStrictEqual(jobArn.slice(-12), east.jobArn.slice(-12))
      }), own)
    yield* life(directory, (other) =>
      Effect.gen(function*() {
        assert.deepStrictEqual((yield* other.list({})).invocationJobSummaries, [])
      }), { accountId: "999999999999" })
    yield* TestClock.adjust("1 hour")
    yield* life(directory, (one) =>
      Effect.gen(function*() {
        assert.strictEqual((yield* one.get(east.jobArn)).status, "Completed")
        assert.strictEqual((yield* one.stats).jobsCreated, 1)
      }))
  }))

it("makes an entry void whose token was taken by an entry before it", () => {
  // Both processes saw no such token, then both wrote: the first line counts.
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "journal-"))
  try {
    const journal = Journal.folder(directory)
    const faults = {
      end: null,
      unprocessed: "expired",
      failAllRecords: false,
      missingLines: 0,
      duplicateLines: 0,
      unknownIds: 0,
      malformedLines: 0,
      throttledRecords: 0,
      brokenRecords: 0
    } as const
    const base = {
      jobName: "a",
      roleArn: "r",
      clientRequestToken: "t",
      modelId: "m",
      modelInvocationType: "Converse",
      inputUri: "s3://a/b",
      inputFormat: null,
      inputBucketOwner: null,
      outputUri: "s3://a/c",
      outputKmsKeyId: null,
      outputBucketOwner: null,
      vpcConfig: null,
      timeoutDurationInHours: 24,
      tags: []
    } as const
    for (const id of ["aaaaaaaaaaaa", "bbbbbbbbbbbb"]) {
      journal.append({
        type: "created",
        id,
        region: "us-east-1",
        accountId: "123456789012",
        request: base,
        at: 0,
        seed: "s",
        exclusive: true,
        faults
      })
    }
    const arns = Effect.runSync(Effect.scoped(Effect.gen(function*() {
      const emulator = yield* Emulator.make(
        { storage: Storage.memory(), journal: Journal.folder(directory), timing: { submitted: "1 hour" } }
      )
      return (yield* emulator.list({})).invocationJobSummaries.map((job) => job.jobArn.slice(-12))
    })).pipe(Effect.provide(TestClock.layer())))
    assert.deepStrictEqual(arns, ["aaaaaaaaaaaa"])
  } finally {
    fs.rmSync(directory, { recursive: true })
  }
})

it.effect("passes over a line that a dying process left unfinished", () =>
  Effect.gen(function*() {
    const directory = yield* prepared
    const first = yield* life(directory, (emulator) => emulator.create(request()))
    fs.appendFileSync(path.join(directory, ".bedrock-batch-emulator/jobs.jsonl"), "{\"type\":\"created\",\"id\":\"abc")
    const second = yield* life(directory, (emulator) => emulator.create(request({ jobName: "job-2" })))
    const listed = yield* life(directory, (emulator) => emulator.list({}))
    assert.deepStrictEqual(listed.invocationJobSummaries.map((job) => job.jobArn), [second.jobArn, first.jobArn])
  }))

it.effect("keeps the emulated time when the speed changes", () =>
  Effect.gen(function*() {
    const directory = yield* prepared
    yield* life(directory, () => TestClock.adjust("1 hour"), { speed: 10 })
    const now = yield* life(
      directory,
      (emulator) => Effect.andThen(TestClock.adjust("1 hour"), emulator.now),
      { speed: 2 }
    )
    assert.strictEqual(now, 12 * 3_600_000)
  }))

it.effect("leaves nothing running when its scope closes in the middle of a job", () =>
  Effect.gen(function*() {
    const directory = yield* prepared
    const scope = yield* Scope.make()
    const emulator = yield* Scope.provide(Emulator.make({ storage: Storage.folder(directory), timing }), scope)
    const { jobArn } = yield* emulator.create(request())
    yield* TestClock.adjust("12 minutes")
    yield* Scope.close(scope, Exit.void)
    yield* TestClock.adjust("1 hour")
    assert.isFalse(fs.existsSync(path.join(directory, "bucket/out", jobArn.slice(-12))))
  }))
