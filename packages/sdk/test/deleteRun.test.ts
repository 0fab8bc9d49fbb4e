import * as Prompt from "@bedrock-batch/processors/Prompt"
import { assert, describe, it } from "@effect/vitest"
import { Data, Effect, Exit, Schema } from "effect"
import { TestClock } from "effect/testing"
import { mkdir, readdir } from "node:fs/promises"
import { join } from "node:path"
import type { BatchError } from "../src/BatchError.ts"
import { deleteRun, Deletion } from "../src/deleteRun.ts"
import * as Layout from "../src/internal/Layout.ts"
import { plans } from "../src/internal/Manifest.ts"
import type { Job } from "../src/Job.ts"
import { Ledger } from "../src/Ledger.ts"
import { listRuns } from "../src/listRuns.ts"
import { prepare } from "../src/prepare.ts"
import { load } from "../src/Run.ts"
import * as Source from "../src/source/Source.ts"
import type { ObjectStore } from "../src/store/ObjectStore.ts"
import { submit } from "../src/submit.ts"
import { model, processOf } from "./rig/Bench.ts"
import { memoryStore } from "./rig/MemoryStore.ts"
import { ScriptedJobs } from "./rig/ScriptedJobs.ts"
import { inFolder, places } from "./rig/Stores.ts"
import type { Around, Operation } from "./rig/WatchedStore.ts"

/** The end of a process, wherever it is. */
class Death extends Data.Error<{}> {}

type Store = ObjectStore["Service"]

const id = "jokes"

const options = {
  name: "jokes",
  runId: id,
  source: Source.rows(Array.from({ length: 4 }, (_, i) => ({ topic: `topic ${i}` }))),
  model,
  prompt: Prompt.make("A joke about {topic}."),
  maxRecordsPerJob: 2
} as const

const start = (store: Store, around?: Around) => processOf(store, new ScriptedJobs(), around)

const keysOf = (store: Store, prefix = `${id}/`) =>
  Effect.map(store.list(prefix), ({ objects }) => objects.map(({ key }) => key))

const reasonOf = <A>(effect: Effect.Effect<A, BatchError>) => Effect.map(Effect.flip(effect), ({ reason }) => reason)

/** What lies in the store of others than the run. */
const bystanders = ["capacity/us-east-1.model/0/1", "jokes-2/plan.json", "jokes.txt"]

const end = Effect.fnUntraced(function*(job: Job) {
  const submitted = yield* submit(job)
  const ledger = yield* Ledger
  yield* ledger.end({ ...submitted, status: "Completed", message: null, counters: null, repeatedCalls: 0 })
})

/** A run that has come to its end, with all that one may leave. */
const ended = Effect.fnUntraced(function*(store: Store) {
  const run = yield* start(store)(prepare(options))
  for (const job of run.jobs) {
    yield* start(store)(end(job))
    yield* store.create(`${job.output}abc/part-0.jsonl.out`, Buffer.from("{}\n"))
  }
  const results = ["results/1-jsonl/1-000000.jsonl", "results/1-jsonl/report.json"]
  for (const key of [...results, "ondemand/1-000001/part-0", "attempts/2.json", "cancelled-2"]) {
    yield* store.create(`${id}/${key}`, Buffer.from("12345"))
  }
  for (const key of bystanders) yield* store.create(key, Buffer.from("x"))
  return run
})

/** Calls `before` with the number of each step that changes the store, from 1, and `after` when it is done. */
const steps = (happens: (step: number, when: "before" | "after") => Effect.Effect<void>): Around => {
  let step = 0
  const changes = (operation: Operation) => operation === "create" || operation === "removeAll"
  return {
    before: (operation) => (changes(operation) ? happens(++step, "before") : Effect.void),
    after: (operation) => (changes(operation) ? happens(step, "after") : Effect.void)
  }
}

describe("the deletion of a run", () => {
  for (const [name, make] of places) {
    it.effect(`removes all of it from ${name} and nothing else, and gives its id free`, () =>
      Effect.gen(function*() {
        const { directory, store } = yield* make
        const run = yield* ended(store)
        const nonce = (yield* plans.read(store, Layout.plan(id)))!.nonce
        const { objects } = yield* store.list(`${id}/`)
        const deletion = yield* start(store)(deleteRun(id))
        assert.deepStrictEqual(yield* keysOf(store, ""), bystanders)
        assert.strictEqual(deletion.objects, objects.length)
        assert.strictEqual(deletion.bytes, objects.reduce((sum, { size }) => sum + size, 0))
        assert.isFalse(deletion.dryRun)
        if (directory !== null) {
          const names = yield* Effect.promise(() => readdir(directory))
          assert.sameMembers(names, [".tmp", "capacity", "jokes-2", "jokes.txt"])
        }
        assert.strictEqual((yield* reasonOf(start(store)(load(id))))._tag, "RunConflict")

        const again = yield* start(store)(prepare(options))
        assert.notStrictEqual((yield* plans.read(store, Layout.plan(id)))?.nonce, nonce)
        const names = new Set([...run.jobs, ...again.jobs].flatMap(({ name, token }) => [name, token]))
        assert.strictEqual(names.size, 4 * run.jobs.length)
        yield* start(store)(end(again.jobs[0]!))
      }))

    it.effect(`says of ${name} what it would remove, and writes nothing`, () =>
      Effect.gen(function*() {
        const { store } = yield* make
        yield* ended(store)
        const before = (yield* store.list("")).objects
        const used = new Set<Operation>()
        const watching = start(store, { before: (operation) => Effect.sync(() => void used.add(operation)) })
        const deletion = yield* watching(deleteRun(id, { dryRun: true }))
        assert.isEmpty([...used].filter((operation) => !["head", "list", "get", "folders"].includes(operation)))
        assert.deepStrictEqual((yield* store.list("")).objects, before)
        assert.isTrue(deletion.dryRun)
        assert.deepStrictEqual(
          Object.fromEntries(deletion.folders.map(({ folder, objects }) => [folder, objects])),
          { "": 3, attempts: 1, inputs: 2, jobs: 8, ondemand: 1, outputs: 2, prepare: 1, results: 2, rows: 2 }
        )
        const sum = (of: (folder: Deletion["folders"][number]) => number) =>
          deletion.folders.reduce((total, folder) => total + of(folder), 0)
        assert.strictEqual(sum(({ objects }) => objects), deletion.objects)
        assert.strictEqual(sum(({ bytes }) => bytes), deletion.bytes)
        assert.strictEqual(deletion.folders.find(({ folder }) => folder === "ondemand")?.bytes, 5)
        assert.deepStrictEqual(Schema.decodeUnknownSync(Schema.toCodecJson(Deletion))(deletion), deletion)
        assert.deepStrictEqual(
          { ...(yield* start(store)(deleteRun(id))), dryRun: true },
          deletion
        )
      }))
  }

  // Every step removes one object, as a bulk call may that is cut off.
  it.live("leaves, wherever it dies, no run that could be taken up, and is finished by another one", () =>
    Effect.gen(function*() {
      const forwards = (keys: ReadonlyArray<string>) => keys
      const backwards = (keys: ReadonlyArray<string>) => keys.toReversed()
      const deaths = Effect.fnUntraced(function*(
        store: Store,
        order: Around["order"],
        at: number,
        when: "before" | "after"
      ) {
        const run = yield* ended(store)
        const nonce = (yield* plans.read(store, Layout.plan(id)))!.nonce
        const whole = new Set(yield* keysOf(store))
        const dying = steps((step, now) => (step === at && now === when ? Effect.die(new Death()) : Effect.void))
        const exit = yield* Effect.exit(start(store, { ...dying, order })(deleteRun(id)))
        const left = new Set(yield* keysOf(store))
        const untouched = [...whole].every((key) => left.has(key))

        const jobs = new ScriptedJobs()
        const other = processOf(store, jobs)
        const summary = (yield* other(listRuns())).find(({ runId }) => runId === id)
        const loaded = yield* Effect.result(other(load(id)))
        if (left.size > 0 && !untouched) {
          assert.isTrue(summary === undefined || summary.cancelled)
          // Until the list of the jobs is gone nothing else is; after that the run is none.
          const listed = left.has(run.manifest.jobs.key)
          assert.strictEqual(loaded._tag, listed ? "Success" : "Failure")
          if (!listed) assert.include(summary?.problem, "deletion")
        }
        // Whoever still has a job of the run in hands gets no other one for it.
        yield* Effect.exit(other(submit(run.jobs[0]!)))
        const prepared = yield* Effect.result(other(prepare(options)))
        if (prepared._tag === "Success" && !untouched) {
          // All of the old run was gone: this is a new one.
          assert.notStrictEqual((yield* plans.read(store, Layout.plan(id)))?.nonce, nonce)
          assert.isFalse([...left].some((key) => key !== Layout.cancelled(id)))
        }
        assert.deepStrictEqual(jobs.creates, [])
        const finished = yield* Effect.result(other(deleteRun(id)))
        assert.strictEqual(finished._tag, "Success")
        assert.deepStrictEqual(yield* keysOf(store, ""), bystanders)
        for (const key of bystanders) yield* store.remove(key)
        return Exit.isFailure(exit)
      })
      // All deaths in memory, each fourth in a folder as well.
      const { store: files } = yield* inFolder
      const kinds = [[memoryStore(), forwards, 1], [memoryStore(), backwards, 1], [files, backwards, 4]] as const
      for (const [store, order, every] of kinds) {
        let at = 1
        for (; yield* deaths(store, order, at, "before"); at += every) {
          assert.isTrue(yield* deaths(store, order, at, "after"), `step ${at}`)
        }
        assert.isAbove(at, 24)
      }
    }), 60_000)

  it.effect("finishes on S3 what a refused call left behind", () =>
    Effect.gen(function*() {
      const { fault, store } = yield* places[0][1]
      yield* ended(store)
      fault("POST", /[?]delete/, {
        rewrite: (body) =>
          body.replace("</DeleteResult>", "<Error><Key>base/x</Key><Code>AccessDenied</Code></Error></DeleteResult>"),
        times: 1
      })
      const reason = yield* reasonOf(start(store)(deleteRun(id)))
      assert.strictEqual(reason._tag === "Refused" && reason.code, "AccessDenied")
      assert.include((yield* start(store)(listRuns()))[0]?.problem, "delete it again")
      yield* start(store)(deleteRun(id))
      assert.deepStrictEqual(yield* keysOf(store), [])
    }))

  it.effect("finishes a run of which only the mark and leftovers are there", () =>
    Effect.gen(function*() {
      const { directory, store } = yield* inFolder
      for (const key of [Layout.cancelled(id), `${id}/outputs/1-000000/abc/x.out`]) {
        yield* store.create(key, Buffer.from("x"))
      }
      const deletion = yield* start(store)(deleteRun(id))
      assert.strictEqual(deletion.objects, 2)
      assert.deepStrictEqual(yield* Effect.promise(() => readdir(directory!)), [".tmp"])
    }))

  it.effect("removes the empty folders that a dead process left", () =>
    Effect.gen(function*() {
      const { directory, plant, store } = yield* inFolder
      yield* start(store)(prepare(options))
      yield* plant(`${id}/outputs/1-000000/deep/x`, "x")
      yield* Effect.promise(() => mkdir(join(directory!, id, "results", "1-csv"), { recursive: true }))
      yield* start(store)(deleteRun(id))
      assert.deepStrictEqual(yield* Effect.promise(() => readdir(directory!)), [".tmp"])
    }))
})

describe("the deletion of a run is refused", () => {
  const refused = Effect.fnUntraced(function*(store: Store, dryRun = false) {
    const before = yield* keysOf(store)
    const reason = yield* reasonOf(start(store)(deleteRun(id, { dryRun })))
    assert.strictEqual(reason._tag === "RunConflict" && reason.problem, "not-ended")
    assert.deepStrictEqual(yield* keysOf(store), before)
    return reason.message
  })

  it.effect("while a job is open, with the jobs and what to do", () =>
    Effect.gen(function*() {
      const store = memoryStore()
      const run = yield* start(store)(prepare({ ...options, maxRecordsPerJob: 1 }))
      yield* start(store)(end(run.jobs[0]!))
      yield* start(store)(submit(run.jobs[1]!))
      const message = yield* refused(store)
      assert.include(message, "1 job that may still be running (1-000001)")
      assert.include(message, "cancel")
      for (const job of run.jobs.slice(2)) yield* start(store)(submit(job))
      yield* store.create(`${id}/jobs/2-000000.arn`, Buffer.from("{}"))
      const several = yield* refused(store, true)
      assert.include(several, "4 jobs that may still be running (1-000001, 1-000002, 1-000003 and 1 more)")
    }))

  it.effect("while it is not known what became of a create call, and not when it was refused", () =>
    Effect.gen(function*() {
      const store = memoryStore()
      const run = yield* start(store)(prepare(options))
      const jobs = new ScriptedJobs()
      jobs.turns.push("validation")
      yield* Effect.exit(processOf(store, jobs)(submit(run.jobs[0]!)))
      yield* start(store)(deleteRun(id, { dryRun: true }))
      yield* store.create(`${id}/jobs/1-000001.intent`, Buffer.from("{}"))
      yield* store.create(`${id}/jobs/1-000001.claim-1`, Buffer.from("{}"))
      yield* TestClock.adjust("1 day")
      assert.include(yield* refused(store), "1-000001")
      yield* store.create(`${id}/jobs/1-000001.refused-1`, Buffer.from("{}"))
      yield* start(store)(deleteRun(id))
    }))

  it.effect("while a process makes the calls of a job on demand, and not when it is long dead", () =>
    Effect.gen(function*() {
      const store = memoryStore()
      yield* start(store)(prepare(options))
      yield* store.create(`${id}/jobs/1-000001.claim-1`, Buffer.from("{}"))
      assert.include(yield* refused(store), "1-000001")
      yield* TestClock.adjust("1 hour")
      yield* start(store)(deleteRun(id))
    }))

  it.effect("when a job is submitted at the last moment; then the run is cancelled and whole", () =>
    Effect.gen(function*() {
      const store = memoryStore()
      const run = yield* start(store)(prepare(options))
      const before = yield* keysOf(store)
      const racing = start(store, {
        before: (operation, key) =>
          operation === "create" && key === Layout.cancelled(id)
            ? Effect.asVoid(start(store)(submit(run.jobs[0]!)))
            : Effect.void
      })
      const reason = yield* reasonOf(racing(deleteRun(id)))
      assert.strictEqual(reason._tag === "RunConflict" && reason.problem, "not-ended")
      assert.include(reason.message, "cancelled already")
      assert.includeMembers(yield* keysOf(store), [...before, Layout.cancelled(id)])
      const late = yield* reasonOf(start(store)(submit(run.jobs[1]!)))
      assert.strictEqual(late._tag === "RunConflict" && late.problem, "cancelled")
    }))

  it.effect("where there is no such run, whatever else lies there", () =>
    Effect.gen(function*() {
      const store = memoryStore()
      for (const key of [...bystanders, `${id}/notes.txt`]) yield* store.create(key, Buffer.from("x"))
      for (const dryRun of [true, false]) {
        const reason = yield* reasonOf(start(store)(deleteRun(id, { dryRun })))
        assert.strictEqual(reason._tag === "RunConflict" && reason.problem, "not-found")
      }
      for (const none of ["capacity", "", "..", "a/b", "../jokes", "a".repeat(41)]) {
        const reason = yield* reasonOf(start(store)(deleteRun(none)))
        assert.strictEqual(reason._tag === "InvalidOption" && reason.path, "runId", none)
      }
      assert.deepStrictEqual(yield* keysOf(store, ""), [...bystanders, `${id}/notes.txt`].sort())
    }))

  it.effect("while somebody goes on writing; then another one finishes it", () =>
    Effect.gen(function*() {
      const store = memoryStore()
      yield* ended(store)
      let written = 0
      const disturbed = start(store, {
        after: (operation) =>
          operation === "removeAll"
            ? Effect.asVoid(Effect.ignore(store.create(`${id}/results/${written++}`, Buffer.from("x"))))
            : Effect.void
      })
      const reason = yield* reasonOf(disturbed(deleteRun(id)))
      assert.strictEqual(reason._tag === "Unavailable" && reason.code, "conflict")
      yield* start(store)(deleteRun(id))
      assert.deepStrictEqual(yield* keysOf(store), [])
    }))
})
