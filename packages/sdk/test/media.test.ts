import { llama } from "@bedrock-batch/processors/Llama"
import * as Prompt from "@bedrock-batch/processors/Prompt"
import { assert, describe, it } from "@effect/vitest"
import { Data, Effect, Exit, Stream } from "effect"
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { BatchError } from "../src/BatchError.ts"
import type { EndedJob } from "../src/Job.ts"
import { Ledger } from "../src/Ledger.ts"
import { entryOf } from "../src/internal/MediaCopies.ts"
import * as ReadMedia from "../src/internal/ReadMedia.ts"
import { prepare } from "../src/prepare.ts"
import type { Run } from "../src/RunManifest.ts"
import { retry } from "../src/retry.ts"
import * as Source from "../src/source/Source.ts"
import type { ObjectStore } from "../src/store/ObjectStore.ts"
import { submit } from "../src/submit.ts"
import { folder, processOf } from "./rig/Bench.ts"
import { memoryStore } from "./rig/MemoryStore.ts"
import { ScriptedJobs } from "./rig/ScriptedJobs.ts"

class Death extends Data.Error<{}> {}

type Store = ObjectStore["Service"]

const model = "us.amazon.nova-lite-v1:0"
const png = Buffer.from("89504e470d0a1a0a0000000d49484452", "hex")
const pngOf = (n: number) => Buffer.concat([png, Buffer.from(String(n))])

const start = (store: Store, around = {}) => processOf(store, new ScriptedJobs(), around)
const reasonOf = <A>(effect: Effect.Effect<A, BatchError>) => Effect.map(Effect.flip(effect), ({ reason }) => reason)

const promptOf = (attachment: Prompt.Attachment<"photo">) => Prompt.make("What is it? {id}", { media: [attachment] })

interface Photo {
  readonly id: number
  readonly photo: unknown
}

const photos = (cells: ReadonlyArray<unknown>) => Source.rows(cells.map((photo, id): Photo => ({ id, photo })))

const optionsOf = (cells: ReadonlyArray<unknown>, attachment: Prompt.Attachment<"photo">) =>
  ({ name: "photos", source: photos(cells), model, prompt: promptOf(attachment), limits: { minRecords: 1 } }) as const

const keysOf = (store: Store, prefix = "") =>
  Effect.map(store.list(prefix), ({ objects }) => objects.map(({ key }) => key))

/** The requests of a run's jobs, by job. */
const requestsOf = (store: Store, run: Run<object>) =>
  Effect.forEach(run.jobs, (job) =>
    Effect.map(Effect.forEach(job.files, ({ key }) => store.get(key)), (files) =>
      files.flatMap((bytes) => Buffer.from(bytes!).toString().trimEnd().split("\n")).map((line) => JSON.parse(line))))

const imagesOf = (record: any): ReadonlyArray<any> =>
  record.modelInput.messages[0].content.flatMap((block: any) => (block.image === undefined ? [] : [block.image]))

/** A folder with files, gone with the scope. */
const files = Effect.gen(function*() {
  const directory = yield* Effect.acquireRelease(
    Effect.promise(() => mkdtemp(join(tmpdir(), "bedrock-batch-media-"))),
    (directory) => Effect.promise(() => rm(directory, { recursive: true }))
  )
  yield* Effect.promise(async () => {
    await mkdir(join(directory, "photos", "cats"), { recursive: true })
    await writeFile(join(directory, "secret.png"), png)
    await writeFile(join(directory, "photos", "a.png"), pngOf(1))
    await writeFile(join(directory, "photos", "cats", "b.jpg"), Buffer.from("ffd8ffe0", "hex"))
    await writeFile(join(directory, "photos", "empty.png"), "")
    await writeFile(join(directory, "photos", "x.xyz"), "text")
    await symlink("../secret.png", join(directory, "photos", "out.png"))
    await symlink("..", join(directory, "photos", "up"))
    await symlink("a.png", join(directory, "photos", "in.png"))
  })
  return join(directory, "photos")
})

describe("media in a request", () => {
  it.effect("is sent from bytes, base64 and data: URLs, and a row without it as text alone", () =>
    Effect.gen(function*() {
      const { store } = yield* folder
      const texts = [png.toString("base64"), `data:image/png;base64,${png.toString("base64")}`, null, ""]
      const image = { format: "png", source: { bytes: png.toString("base64") } }
      for (const [name, cells] of [["bytes", [png, png, null, Buffer.alloc(0)]], ["texts", texts]] as const) {
        const run = yield* start(store)(prepare({ ...optionsOf(cells, Prompt.image("photo")), name }))
        const [records] = yield* requestsOf(store, run)
        const text = (id: number) => ({ text: `What is it? ${id}` })
        assert.deepStrictEqual(records!.map(({ modelInput }) => modelInput.messages), [
          ...[0, 1].map((id) => [{ role: "user", content: [{ image }, text(id)] }]),
          ...[2, 3].map((id) => [{ role: "user", content: [text(id)] }])
        ])
        assert.isUndefined(run.jobs[0]!.media)
      }
    }))

  it.effect("is read from files below a directory, links inside it too", () =>
    Effect.gen(function*() {
      const { store } = yield* folder
      const directory = yield* files
      const run = yield* start(store)(
        prepare(optionsOf(["a.png", "./cats/b.jpg", "in.png", null], Prompt.image("photo", { directory })))
      )
      const [records] = yield* requestsOf(store, run)
      assert.deepStrictEqual(records!.map((record) => imagesOf(record).map(({ format }) => format)), [
        ["png"],
        ["jpeg"],
        ["png"],
        []
      ])
      assert.strictEqual(imagesOf(records![2])[0].source.bytes, pngOf(1).toString("base64"))
    }))

  it.effect("is refused with row and column before anything is written, whatever is wrong with its path", () =>
    Effect.gen(function*() {
      const { store } = yield* folder
      const directory = yield* files
      const attempt = (cell: unknown, attachment = Prompt.image("photo", { directory })) =>
        reasonOf(start(store)(prepare(optionsOf(["a.png", cell], attachment))))
      const wrong = [
        ["no.png", "not-found", "there is no file \"no.png\""],
        ["a.png/b.png", "not-found", "there is no file"],
        ["out.png", "malformed", "is a link out of that directory"],
        ["up/secret.png", "malformed", "is a link out of that directory"],
        ["../secret.png", "malformed", "leaves `directory`"],
        [join(directory, "a.png"), "malformed", "is absolute"],
        ["cats", "malformed", "is not a regular file"],
        ["empty.png", "malformed", "is empty"],
        ["x.xyz", "malformed", "give `format`"]
      ] as const
      for (const [path, problem, message] of wrong) {
        const reason = yield* attempt(path)
        assert.deepInclude(reason, { _tag: "InvalidSource", problem, row: 2, column: "photo" })
        assert.include(reason.message, `row 2, column "photo": `)
        assert.include(reason.message, message)
      }
      const nowhere = yield* attempt("a.png", Prompt.image("photo", { directory: join(directory, "nowhere") }))
      assert.deepInclude(nowhere, { _tag: "InvalidOption", path: "directory" })
      assert.deepStrictEqual(yield* keysOf(store), [])
    }))

  it.effect("is read from S3", () =>
    Effect.gen(function*() {
      const { store } = yield* folder
      yield* store.create("photos/one.png", png)
      yield* store.create("photos/two", pngOf(2))
      const uris = ["photos/one.png", "photos/two"].map(store.uri)
      const run = yield* start(store)(prepare(optionsOf(uris, Prompt.image("photo"))))
      const [records] = yield* requestsOf(store, run)
      assert.deepStrictEqual(records!.map((record) => imagesOf(record)[0].source.bytes), [
        png.toString("base64"),
        pngOf(2).toString("base64")
      ])
      const reason = yield* reasonOf(
        start(store)(prepare({ ...optionsOf([null, store.uri("photos/three.png")], Prompt.image("photo")), name: "b" }))
      )
      assert.deepInclude(reason, { _tag: "InvalidSource", problem: "not-found", row: 2, column: "photo" })
      const foreign = yield* reasonOf(
        start(store)(prepare({ ...optionsOf(["s3://somewhere-else/a.png"], Prompt.image("photo")), name: "c" }))
      )
      assert.deepInclude(foreign, { _tag: "InvalidSource", problem: "failed", row: 1, column: "photo" })
    }))

  it.effect("is refused in the first row of a kind that the family does not take", () =>
    Effect.gen(function*() {
      const { store } = yield* folder
      const documents = [null, "data:text/csv,a", "data:text/csv,b", "data:application/pdf,%25PDF-1"]
      const reason = yield* reasonOf(start(store)(prepare({
        ...optionsOf(documents, Prompt.image("photo")),
        model: "meta.llama3-1-8b-instruct-v1:0",
        prompt: promptOf(Prompt.document("photo")),
        processor: llama
      })))
      assert.deepInclude(reason, { _tag: "InvalidSource", row: 2 })
      assert.include(reason.message, "takes no document")
    }))

  it.effect("waits in memory for no more rows than a window holds", () =>
    Effect.gen(function*() {
      const { store } = yield* folder
      const large = Buffer.concat([png, Buffer.alloc(2_000_000)])
      const attachments = [{ attachment: Prompt.image("photo"), column: 0, turn: null }]
      const at = { processor: { invocationType: "InvokeModel" as const }, source: { uri: null } }
      const reader = ReadMedia.make(store, at, attachments, "s3://b/")
      const read = (cells: ReadonlyArray<unknown>, from: number) =>
        Effect.map(reader.read({ length: cells.length, columns: [cells] }, from, 0), (rows) => rows.length)
      assert.strictEqual(yield* read(Array.from({ length: 100 }, () => large), 0), 8)
      assert.strictEqual(yield* read(Array.from({ length: 100 }, () => png), 10), 64)
      assert.strictEqual(yield* read(Array.from({ length: 100 }, () => png), 98), 2)
      yield* store.write("large.png", Stream.make(large))
      const window = yield* read(Array.from({ length: 100 }, () => store.uri("large.png")), 0)
      assert.isAtLeast(window, 8)
      assert.isAtMost(window, 8 + 16)
      const tooLarge = Buffer.concat([png, Buffer.alloc(25_000_000)])
      const reason = yield* reasonOf(read([png, tooLarge], 0))
      assert.deepInclude(reason, { _tag: "InvalidSource", problem: "record-too-large", row: 2, column: "photo" })
    }))
})

/** Ten objects; each row names one of them, some of them the same. */
const named = Effect.fnUntraced(function*(store: Store, rows = 24) {
  const uris = yield* Effect.forEach(Array.from({ length: 10 }, (_, i) => i), (i) =>
    Effect.as(store.create(`photos/one's own ${i}.png`, pngOf(i)), store.uri(`photos/one's own ${i}.png`)))
  return Array.from({ length: rows }, (_, i) => (i % 6 === 5 ? null : uris[(i * 7) % 4 + (i > 11 ? 5 : 0)]!))
})

const byReference = Prompt.image("photo", { s3: "reference" })

/** Asserts that each request names a copy of its row's own object in the folder of its job; nothing else is there. */
const auditCopies = Effect.fnUntraced(function*(store: Store, run: Run<object>, cells: ReadonlyArray<string | null>) {
  const jobs = yield* requestsOf(store, run)
  for (const [at, records] of jobs.entries()) {
    const job = run.jobs[at]!
    const named = new Set<string>()
    const objects = new Set<string>()
    for (const record of records) {
      const cell = cells[Number(record.recordId.slice(1))]!
      const [image] = imagesOf(record)
      assert.strictEqual(image === undefined, cell === null)
      if (image === undefined) continue
      const { uri } = image.source.s3Location
      assert.match(uri.slice(store.uri(job.input).length), /^media-[0-9a-f]{32}\.png$/)
      assert.isTrue(uri.startsWith(store.uri(job.input)))
      const key = uri.slice(`${store.base}/`.length)
      const original = cell.slice(`${store.base}/`.length)
      assert.deepStrictEqual(yield* store.get(key), yield* store.get(original))
      named.add(key)
      objects.add(original)
    }
    assert.strictEqual(named.size, objects.size, "one copy an object")
    const keys = yield* keysOf(store, job.input)
    assert.sameMembers(keys, [...job.files.map(({ key }) => key), ...named])
    const { objects: listed } = yield* store.list(`${job.input}media-`)
    if (named.size === 0) assert.isUndefined(job.media)
    else assert.deepStrictEqual(job.media, entryOf(job.input, listed))
    assert.strictEqual(job.media?.count ?? 0, named.size)
  }
})

describe("media by reference", () => {
  it.effect("is copied beside the input of each job that names it, once", () =>
    Effect.gen(function*() {
      const { store } = yield* folder
      const cells = yield* named(store)
      const run = yield* start(store)(prepare({ ...optionsOf(cells, byReference), maxRecordsPerJob: 6 }))
      assert.strictEqual(run.jobs.length, 4)
      yield* auditCopies(store, run, cells)
    }))

  it.effect("is placed when the plan holds records back, too", () =>
    Effect.gen(function*() {
      const { store } = yield* folder
      const cells = yield* named(store, 23)
      const rows = Source.rows(
        (async function*() {
          for (const [id, photo] of cells.entries()) yield { id, photo }
        })(),
        { version: "1" }
      )
      const options = { ...optionsOf([], byReference), source: rows, limits: { minRecords: 4, maxFileRecords: 3 } }
      const run = yield* start(store)(prepare({ ...options, runId: "held", maxRecordsPerJob: 5 }))
      assert.isAbove(run.jobs.length, 2)
      yield* auditCopies(store, run, cells)
    }))

  it.effect("fails with the row of an object that is not there", () =>
    Effect.gen(function*() {
      const { store } = yield* folder
      const cells = [...(yield* named(store, 3)), store.uri("photos/none.png"), "s3://elsewhere-bucket/a.png"]
      const attempt = (cells: ReadonlyArray<unknown>) => reasonOf(start(store)(prepare(optionsOf(cells, byReference))))
      const absent = yield* attempt(cells)
      assert.deepInclude(absent, { _tag: "InvalidSource", problem: "not-found", row: 4, column: "photo" })
      const foreign = yield* attempt([cells[4]])
      assert.deepInclude(foreign, { _tag: "InvalidSource", problem: "failed", row: 1, column: "photo" })
      const noFormat = yield* attempt([store.uri("photos/none")])
      assert.deepInclude(noFormat, { _tag: "InvalidSource", problem: "malformed", row: 1 })
    }))

  it.effect("comes to a whole run after a death at any operation of the store", () =>
    Effect.gen(function*() {
      for (let at = 0;; at++) {
        const store = memoryStore()
        const cells = yield* named(store, 9)
        const options = { ...optionsOf(cells, byReference), maxRecordsPerJob: 5 }
        let operations = 0
        const step = () => Effect.suspend(() => (operations++ === at ? Effect.die(new Death()) : Effect.void))
        const exit = yield* Effect.exit(start(store, { before: step, after: step })(prepare(options)))
        const run = yield* start(store)(prepare(options))
        yield* auditCopies(store, run, cells)
        if (Exit.isSuccess(exit)) {
          assert.isAbove(at, 20)
          return
        }
      }
    }))

  it.effect("is compared with what was copied before a job is submitted", () =>
    Effect.gen(function*() {
      const { store } = yield* folder
      const cells = yield* named(store, 6)
      const [job] = (yield* start(store)(prepare(optionsOf(cells, byReference)))).jobs
      const [copy] = yield* keysOf(store, `${job!.input}media-`)
      const attempt = (jobs = new ScriptedJobs()) => Effect.exit(processOf(store, jobs)(submit(job!)))
      const damaged = Effect.fnUntraced(function*() {
        const reason = yield* reasonOf(processOf(store, new ScriptedJobs())(submit(job!)))
        assert.strictEqual(reason._tag, "Damaged")
      })
      const more = `${job!.input}media-${"0".repeat(32)}.png`
      yield* store.create(more, png)
      yield* damaged()
      yield* store.remove(more)
      yield* store.create(`${job!.input}media-0.jsonl`, png)
      yield* damaged()
      yield* store.remove(`${job!.input}media-0.jsonl`)
      const bytes = (yield* store.get(copy!))!
      yield* store.remove(copy!)
      yield* damaged()
      yield* store.create(copy!, Buffer.concat([bytes, png]))
      yield* damaged()
      yield* store.remove(copy!)
      yield* store.create(copy!, bytes)
      assert.isTrue(Exit.isSuccess(yield* attempt()))
    }))

  it.effect("goes with its records into the jobs of another attempt", () =>
    Effect.gen(function*() {
      const { store } = yield* folder
      const cells = yield* named(store)
      const run = yield* start(store)(prepare({ ...optionsOf(cells, byReference), maxRecordsPerJob: 6 }))
      const ends = run.jobs.map((job): EndedJob => ({
        ...job,
        arn: `arn:aws:bedrock:us-east-1:123456789012:model-invocation-job/${job.key.replace("-", "")}`,
        submittedAt: "2026-11-23T00:00:00.000Z",
        adopted: false,
        status: "Expired",
        message: null,
        counters: null,
        repeatedCalls: 0
      }))
      yield* start(store)(Effect.gen(function*() {
        const ledger = yield* Ledger
        yield* Effect.forEach(ends, ledger.end)
      }))
      const second = yield* start(store)(retry(run, { maxRecordsPerJob: 9, lane: "batch" }))
      assert.deepStrictEqual(second.jobs.map(({ records }) => records), [8, 8, 8])
      yield* auditCopies(store, second, cells)
      yield* auditCopies(store, run, cells)
    }))
})
