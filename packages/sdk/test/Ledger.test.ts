import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import type { EndedJob, Job, SubmittedJob } from "../src/Job.ts"
import * as Ledger from "../src/Ledger.ts"
import { ObjectStore } from "../src/store/ObjectStore.ts"
import { folder } from "./rig/Bench.ts"
import { settings } from "./rig/ScriptedJobs.ts"

const job: Job = {
  version: 1,
  runId: "run",
  key: "1-000001",
  attempt: 1,
  index: 1,
  lane: "batch",
  model: "m",
  region: "us-east-1",
  invocationType: "Converse",
  name: "run-1-000001-00000000",
  token: "t",
  prepareId: "p",
  input: "run/inputs/p/1-000001/",
  output: "run/outputs/1-000001/",
  files: [],
  rows: { key: "rows", size: 0, etag: "", sha256: "", records: 0 },
  firstRow: 0,
  lastRow: 1,
  records: 0,
  bytes: 0,
  timeoutHours: 72
}
const request = {
  ...settings,
  jobName: job.name,
  clientRequestToken: job.token,
  modelId: job.model,
  modelInvocationType: "Converse",
  inputUri: "s3://b/in/",
  outputUri: "s3://b/out/",
  timeoutHours: 72
} as const
const submitted: SubmittedJob = { ...job, arn: "arn:1", submittedAt: "2026-11-23T00:00:00.000Z", adopted: false }
const ended: EndedJob = { ...submitted, status: "Completed", message: null, counters: null, repeatedCalls: 0 }
const refusal = { version: 1, sent: true, code: "quota", message: "full" } as const

const make = Effect.fnUntraced(function*(options?: Ledger.Options) {
  const { store } = yield* folder
  const layer = Ledger.layer(options).pipe(Layer.provide(Layer.succeed(ObjectStore, store)))
  return { store, ledger: yield* Effect.provide(Ledger.Ledger, layer) }
})

describe("Ledger", () => {
  it.effect("keeps what was written first, whoever writes after", () =>
    Effect.gen(function*() {
      const { ledger } = yield* make()
      const other = { ...request, roleArn: "arn:other" }
      assert.deepStrictEqual(yield* ledger.intend(job, request), request)
      assert.deepStrictEqual(yield* ledger.intend(job, other), request)
      assert.isTrue(yield* ledger.claim(job, 1))
      assert.isFalse(yield* ledger.claim(job, 1))
      assert.deepStrictEqual(yield* ledger.accept(submitted), submitted)
      assert.deepStrictEqual(yield* ledger.accept({ ...submitted, arn: "arn:2" }), submitted)
      assert.deepStrictEqual(yield* ledger.accepted(job), submitted)
      assert.deepStrictEqual(yield* ledger.end(ended), ended)
      assert.deepStrictEqual(yield* ledger.end({ ...ended, status: "Failed" }), ended)
      assert.deepStrictEqual(yield* ledger.ended(job), ended)
      yield* ledger.refuse(job, 2, refusal)
      yield* ledger.refuse(job, 2, { ...refusal, code: "other" })
      assert.deepStrictEqual(yield* ledger.refusal(job, 2), refusal)
    }))

  it.effect("rebuilds each job's state from one list", () =>
    Effect.gen(function*() {
      const { ledger, store } = yield* make()
      yield* TestClock.setTime(1_000_000)
      const later = { ...job, key: "1-000010" }
      for (let number = 1; number <= 11; number++) {
        assert.isTrue(yield* ledger.claim(later, number))
        yield* TestClock.adjust(1000)
      }
      yield* ledger.refuse(later, 1, refusal)
      yield* ledger.refuse(later, 10, refusal)
      yield* ledger.intend(job, request)
      yield* ledger.accept(submitted)
      yield* ledger.end({ ...ended, key: "1-000002" })
      for (const name of ["1-000003", "1-000003.claim-", "1-000003.claim-x", "notes.txt", ".intent"]) {
        yield* store.create(`run/jobs/${name}`, new Uint8Array(1))
      }
      const { at, jobs } = yield* ledger.entries("run")
      assert.strictEqual(at, yield* Clock.currentTimeMillis)
      assert.deepStrictEqual([...jobs.keys()].sort(), ["1-000001", "1-000002", "1-000010"])
      assert.deepStrictEqual(jobs.get("1-000001"), { intended: true, claims: [], accepted: true, ended: false, unlisted: 0 })
      assert.deepStrictEqual(jobs.get("1-000002"), { intended: false, claims: [], accepted: false, ended: true, unlisted: 0 })
      assert.deepStrictEqual(
        jobs.get("1-000010")?.claims,
        Array.from({ length: 11 }, (_, i) => ({
          number: i + 1,
          at: 1_000_000 + i * 1000,
          refused: i === 0 || i === 9
        })),
        "by number and not by name"
      )
    }))

  it.effect("leases a job on demand to one owner a number, who may ask again", () =>
    Effect.gen(function*() {
      const { ledger } = yield* make()
      const lease: Ledger.Lease = { version: 1, number: 1, owner: "a", upTo: 40, repeats: 0, released: false }
      assert.isNull(yield* ledger.leased(job, 1))
      assert.isTrue(yield* ledger.lease(job, lease))
      assert.isTrue(yield* ledger.lease(job, lease), "a write without an answer may have been made")
      assert.isFalse(yield* ledger.lease(job, { ...lease, owner: "b", upTo: 80 }))
      assert.deepStrictEqual(yield* ledger.leased(job, 1), lease)
      assert.isTrue(yield* ledger.lease(job, { ...lease, number: 2, owner: "b" }))
      const { entry } = yield* ledger.look(job)
      assert.deepStrictEqual(entry.claims.map(({ number, refused }) => [number, refused]), [[1, false], [2, false]])
      assert.isFalse(entry.accepted)
      yield* ledger.claim({ ...job, key: "1-000002" }, 1)
      const { reason } = yield* Effect.flip(ledger.leased({ ...job, key: "1-000002" }, 1))
      assert.strictEqual(reason._tag, "Damaged", "the claim of a batch job is no lease")
    }))

  it.effect("looks at one job, and not at those whose keys begin alike", () =>
    Effect.gen(function*() {
      const { ledger, store } = yield* make()
      yield* ledger.claim({ ...job, key: "1-0000010" }, 1)
      yield* ledger.claim({ ...job, key: "11-000001" }, 1)
      const none = { intended: false, claims: [], accepted: false, ended: false, unlisted: 0 }
      assert.deepStrictEqual(yield* ledger.look(job), { entry: none, at: 0, cancelled: false })
      yield* store.create("run/cancelled", new Uint8Array(1))
      yield* ledger.claim(job, 1)
      const seen = yield* ledger.look(job)
      assert.isTrue(seen.cancelled)
      assert.deepStrictEqual(seen.entry.claims, [{ number: 1, at: 0, refused: false }])
    }))

  it.effect("looks at one job of a folder by the names of its objects, and sees what a list shows", () =>
    Effect.gen(function*() {
      const { ledger, store } = yield* make()
      const listed: Array<string> = []
      const by = (listsFolders: boolean) =>
        Effect.provide(
          Ledger.Ledger,
          Ledger.layer().pipe(Layer.provide(Layer.succeed(ObjectStore, {
            ...store,
            listsFolders,
            list: (prefix) => Effect.andThen(Effect.sync(() => void listed.push(prefix)), store.list(prefix))
          })))
        )
      const [byNames, byList] = [yield* by(true), yield* by(false)]
      const steps = [
        ledger.intend(job, request),
        ...Array.from({ length: 9 }, (_, i) => i + 1).flatMap((number) => [
          ledger.claim(job, number),
          number % 3 === 2 ? Effect.void : ledger.refuse(job, number, refusal)
        ]),
        ledger.unlist(job, 9),
        ledger.accept(submitted),
        ledger.end(ended),
        store.create("run/cancelled-1", new Uint8Array(1))
      ]
      for (const step of steps) {
        yield* step
        yield* TestClock.adjust(1000)
        listed.length = 0
        const seen = yield* byNames.look(job)
        assert.deepStrictEqual(listed, ["run/cancelled"], "nothing but the marks")
        assert.deepStrictEqual(seen, yield* byList.look(job))
        const { jobs } = yield* byNames.entries("run", `${job.key}.`)
        assert.deepStrictEqual(jobs, (yield* byList.entries("run", job.key)).jobs)
      }
    }))

  it.effect("says null for what is not there, and fails on what is damaged", () =>
    Effect.gen(function*() {
      const { ledger, store } = yield* make()
      assert.isNull(yield* ledger.accepted(job))
      assert.isNull(yield* ledger.ended(job))
      assert.isNull(yield* ledger.refusal(job, 1))
      assert.strictEqual((yield* ledger.entries("none")).jobs.size, 0)
      const contents = ["", "{", "null", "{\"version\":2}", JSON.stringify({ ...ended, status: "Paused" })]
      for (const [i, content] of contents.entries()) {
        const damaged = { ...job, key: `1-00010${i}` }
        const bytes = Buffer.from(content)
        for (const suffix of ["arn", "end", "refused-1", "intent"]) {
          if (content.includes("Paused") && suffix === "arn") continue
          yield* store.create(`run/jobs/${damaged.key}.${suffix}`, bytes)
        }
        const reads = [ledger.ended(damaged), ledger.refusal(damaged, 1), ledger.intend(damaged, request)]
        for (const read of reads) {
          const { reason } = yield* Effect.flip(Effect.asVoid<unknown, Effect.Error<typeof read>, never>(read))
          assert.strictEqual(reason._tag, "Damaged", content)
        }
      }
    }))

  it.effect("has the times of its options", () =>
    Effect.gen(function*() {
      const { ledger } = yield* make({ settleAfter: "7 minutes", sendWithin: "10 seconds", leaseFor: "1 minute" })
      assert.deepStrictEqual([ledger.settleAfter, ledger.sendWithin, ledger.leaseFor], [420_000, 10_000, 60_000])
      const { ledger: usual } = yield* make()
      assert.deepStrictEqual([usual.settleAfter, usual.sendWithin, usual.leaseFor], [300_000, 30_000, 120_000])
    }))
})
