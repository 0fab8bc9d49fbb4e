import * as Prompt from "@bedrock-batch/processors/Prompt"
import { assert, describe, it } from "@effect/vitest"
import { Data, Deferred, Effect, Exit, Fiber, Schema, type Scope, Stream } from "effect"
import { spawn } from "node:child_process"
import { createHash } from "node:crypto"
import { once } from "node:events"
import { existsSync } from "node:fs"
import * as fs from "node:fs/promises"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import type { BatchError } from "../src/BatchError.ts"
import { Download, DownloadList, downloadRun, type DownloadOptions } from "../src/downloadRun.ts"
import * as Layout from "../src/internal/Layout.ts"
import { prepare } from "../src/prepare.ts"
import * as Source from "../src/source/Source.ts"
import { ObjectStore } from "../src/store/ObjectStore.ts"
import { model, processOf } from "./rig/Bench.ts"
import { memoryStore } from "./rig/MemoryStore.ts"
import { ScriptedJobs } from "./rig/ScriptedJobs.ts"
import { inFolder, onS3, type Place, places } from "./rig/Stores.ts"
import type { Around } from "./rig/WatchedStore.ts"

/** The end of a process, wherever it is. */
class Death extends Data.Error<{}> {}

type Store = ObjectStore["Service"]

const id = "jokes"

const start = (store: Store, around?: Around) => processOf(store, new ScriptedJobs(), around)

const reasonOf = <A>(effect: Effect.Effect<A, BatchError>) => Effect.map(Effect.flip(effect), ({ reason }) => reason)

const sha256 = (bytes: string | Uint8Array) => createHash("sha256").update(bytes).digest("hex")

/** Bytes that differ at every place, so that a shift or a gap shows. */
const pattern = (size: number, seed = 1) => {
  const words = new Uint32Array(Math.ceil(size / 4))
  for (let i = 0, x = seed >>> 0; i < words.length; i++) words[i] = x = (Math.imul(x, 1664525) + 1013904223) >>> 0
  return new Uint8Array(words.buffer, 0, size)
}

const directory: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.promise(() => fs.mkdtemp(join(tmpdir(), "bedrock-batch-download-"))),
  (directory) => Effect.promise(() => fs.rm(directory, { recursive: true }))
)

const filesIn = (folder: string) =>
  Effect.promise(async () => {
    const entries = await fs.readdir(folder, { recursive: true, withFileTypes: true })
    return entries.filter((entry) => !entry.isDirectory())
      .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1)).sort()
  })

const readLocal = (folder: string, key: string) => Effect.promise(() => fs.readFile(join(folder, key)))

const outputs = [
  `${id}/ondemand/1-000001/part-0`,
  `${id}/outputs/1-000000/job-a/manifest.json.out`,
  `${id}/outputs/1-000000/job-a/part-0.jsonl.out`
]
const results = [`${id}/results/1-jsonl/1-000000.jsonl`, `${id}/results/1-jsonl/report.json`]
const described = [`${id}/attempts/2.json`, `${id}/plan.json`, `${id}/run.json`]

/** A prepared run with what others wrote of it. */
const ready = Effect.fnUntraced(function*({ plant, store }: Pick<Place, "plant" | "store">) {
  yield* start(store)(prepare({
    name: "jokes",
    runId: id,
    source: Source.rows(Array.from({ length: 4 }, (_, i) => ({ topic: `topic ${i}` }))),
    model,
    prompt: Prompt.make("A joke about {topic}."),
    maxRecordsPerJob: 2
  }))
  for (const key of [...outputs, ...results, `${id}/attempts/2.json`]) yield* plant(key, `content of ${key}`)
  yield* plant(`${id}/results/2-csv/2-000000.csv`, "not whole yet")
})

/** What is read from the store by a download, as `key from byte`. */
const download = Effect.fnUntraced(function*(store: Store, folder: string, options?: DownloadOptions, around?: Around) {
  const reads: Array<string> = []
  const counting = ObjectStore.of({
    ...store,
    read: (key, range) =>
      Stream.suspend(() => {
        reads.push(range === undefined ? key : `${key} from ${range.start}`)
        return store.read(key, range)
      })
  })
  return { ...(yield* start(counting, around)(downloadRun(id, folder, options))), reads }
})

const noted = (folder: string) =>
  Effect.map(readLocal(folder, `${id}/download.json`), (bytes) =>
    Schema.decodeUnknownSync(Schema.fromJsonString(DownloadList))(bytes.toString()))

describe("a download", () => {
  for (const [name, make] of places) {
    it.live(`copies the outputs and whole results of a run in ${name}, and lists them`, () =>
      Effect.gen(function*() {
        const place = yield* make
        yield* ready(place)
        const folder = join(yield* directory, "not", "there")
        const { reads, ...done } = yield* download(place.store, folder)
        const keys = [...described, ...outputs, ...results].sort()
        assert.deepStrictEqual(yield* filesIn(folder), [...keys, `${id}/download.json`].sort())
        let bytes = 0
        const { files } = yield* noted(folder)
        assert.deepStrictEqual(files.map(({ key }) => key), keys)
        for (const { etag, key, sha256: digest, size, verified } of files) {
          const stored = (yield* place.store.get(key))!
          assert.deepStrictEqual(yield* readLocal(folder, key), Buffer.from(stored))
          assert.deepStrictEqual([size, digest], [stored.length, sha256(stored)])
          assert.strictEqual(etag, (yield* place.store.head(key))?.etag)
          assert.strictEqual(verified, name === "S3" ? "checksum" : "size")
          bytes += size
        }
        assert.sameMembers(reads, keys)
        const count = keys.length
        const by = name === "S3" ? { byChecksum: count, bySize: 0 } : { byChecksum: 0, bySize: count }
        const expected = { runId: id, directory: folder, files: count, bytes, fetched: count, skipped: 0, ...by }
        assert.deepStrictEqual(done, { ...expected, partial: ["2-csv"] })
        assert.deepStrictEqual(Schema.decodeUnknownSync(Schema.toCodecJson(Download))(done), done)
      }))

    it.live(`fetches nothing again that is there, and all that is not as it was, of ${name}`, () =>
      Effect.gen(function*() {
        const place = yield* make
        yield* ready(place)
        const folder = yield* directory
        const first = yield* download(place.store, folder)
        const list = yield* noted(folder)
        const second = yield* download(place.store, folder)
        assert.deepStrictEqual(second, { ...first, reads: [], fetched: 0, skipped: first.files })
        assert.deepStrictEqual(yield* noted(folder), list)

        // One of the same size, one that was cut, one that is gone, and one that is another one in the store.
        const [changed, cut, gone, other] = [outputs[1]!, outputs[2]!, results[0]!, outputs[0]!]
        yield* Effect.promise(async () => {
          await fs.writeFile(join(folder, changed), "C" + (await fs.readFile(join(folder, changed), "utf8")).slice(1))
          await fs.truncate(join(folder, cut), 3)
          await fs.rm(join(folder, gone))
        })
        yield* place.plant(other, `CONTENT of ${other}`)
        const quick = yield* download(place.store, folder, { verify: "size" })
        assert.sameMembers(quick.reads, [cut, gone, other])
        const third = yield* download(place.store, folder)
        assert.deepStrictEqual(third.reads, [changed])
        assert.deepStrictEqual([third.fetched, third.skipped], [1, first.files - 1])
        for (const key of [changed, cut, gone]) {
          assert.strictEqual((yield* readLocal(folder, key)).toString(), `content of ${key}`)
        }
        assert.strictEqual((yield* readLocal(folder, other)).toString(), `CONTENT of ${other}`)
      }))

    it.live(`that was cut off goes on with the files and bytes that it lacks, of ${name}`, () =>
      Effect.gen(function*() {
        const place = yield* make
        yield* ready(place)
        const large = `${id}/outputs/1-000001/job-b/part-0.jsonl.out`
        const bytes = pattern(3_000_000)
        yield* place.plant(large, bytes)
        const folder = yield* directory
        const taken = 1_300_000
        const reached = yield* Deferred.make<void>()
        // Stands still in the middle of the large file, whether it is read from the beginning or from a later byte.
        const stuck = ObjectStore.of({
          ...place.store,
          read: (key, range) =>
            key !== large
              ? place.store.read(key, range)
              : Stream.fromArray([bytes.subarray(range?.start ?? 0, taken)]).pipe(
                Stream.concat(Stream.fromEffectDrain(Deferred.succeed(reached, undefined))),
                Stream.concat(Stream.never)
              )
        })
        const fiber = yield* Effect.forkChild(start(stuck)(downloadRun(id, folder, { concurrency: 1 })))
        yield* Deferred.await(reached)
        yield* Fiber.interrupt(fiber)
        assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(fiber)))
        const left = yield* filesIn(folder)
        assert.include(left, `${large}.part`)
        assert.notInclude(left, large)
        // What makes it whole is not there yet.
        assert.notIncludeMembers(left, [`${id}/run.json`, results[1]!, `${id}/download.json`])
        const had = left.filter((key) => [...described, ...outputs, ...results].includes(key))
        assert.isAbove(had.length, 0)

        const rest = yield* download(place.store, folder)
        assert.sameMembers(
          rest.reads,
          [...described, ...outputs, ...results].filter((key) => !had.includes(key)).concat(`${large} from ${taken}`)
        )
        assert.deepStrictEqual([rest.skipped, rest.fetched], [had.length, rest.files - had.length])
        assert.deepStrictEqual(yield* readLocal(folder, large), Buffer.from(bytes))
        assert.strictEqual((yield* noted(folder)).files.find(({ key }) => key === large)?.sha256, sha256(bytes))
        const keys = [...described, ...outputs, ...results, large, `${id}/download.json`]
        assert.deepStrictEqual(yield* filesIn(folder), keys.sort())
      }))
  }

  it.live("that dies at any of its reads is finished by another one, which fetches the rest alone", () =>
    Effect.gen(function*() {
      const place = yield* inFolder
      yield* ready(place)
      const keys = [...described, ...outputs, ...results]
      for (let at = 1; at <= keys.length; at++) {
        const folder = yield* directory
        let reads = 0
        const dying: Around = {
          before: (operation) => (operation === "read" && ++reads === at ? Effect.die(new Death()) : Effect.void)
        }
        const exit = yield* Effect.exit(download(place.store, folder, { concurrency: 1 }, dying))
        assert.isTrue(Exit.isFailure(exit))
        const rest = yield* download(place.store, folder, { concurrency: 1 })
        assert.deepStrictEqual([rest.reads.length, rest.skipped], [keys.length - at + 1, at - 1])
        assert.deepStrictEqual(yield* filesIn(folder), [...keys, `${id}/download.json`].sort())
      }
    }))

  it.live("that is killed leaves whole files only, and is finished by another one", () =>
    Effect.gen(function*() {
      const place = yield* inFolder
      yield* ready(place)
      const keys = Array.from({ length: 30 }, (_, i) => `${id}/outputs/1-00000${i % 5}/job/part-${i}.jsonl.out`)
      for (const [i, key] of keys.entries()) yield* place.plant(key, pattern(2_500_000, i))
      const folder = yield* directory
      const whole = () => Effect.map(filesIn(folder), (files) => files.filter((key) => keys.includes(key)))
      let had = 0
      for (let round = 0; round < 4; round++) {
        const child = spawn(process.execPath, [
          join(import.meta.dirname, "rig", "downloader.ts"),
          place.directory ?? "",
          id,
          folder
        ], { stdio: "inherit" })
        const ended = once(child, "close")
        // Until it is at work; then at some other moment each time.
        while (child.exitCode === null && (yield* whole()).length <= had) yield* Effect.sleep("2 millis")
        yield* Effect.sleep(round * 5)
        child.kill("SIGKILL")
        yield* Effect.promise(() => ended)
        const files = yield* whole()
        for (const key of files) {
          assert.deepStrictEqual(yield* readLocal(folder, key), Buffer.from(pattern(2_500_000, keys.indexOf(key))), key)
        }
        had = files.length
      }
      const rest = yield* download(place.store, folder)
      assert.isAtMost(rest.fetched, rest.files - had + 8)
      for (const [i, key] of keys.entries()) {
        assert.deepStrictEqual(yield* readLocal(folder, key), Buffer.from(pattern(2_500_000, i)), key)
      }
      assert.isAbove(had, 0)
      const all = [...keys, ...described, ...outputs, ...results, `${id}/download.json`]
      assert.sameMembers(yield* filesIn(folder), all)
    }), 60_000)

  it.live("begins a file anew when what is stored is another one than what was begun", () =>
    Effect.gen(function*() {
      const place = yield* inFolder
      yield* ready(place)
      const folder = yield* directory
      const large = outputs[2]!
      yield* place.plant(large, pattern(2_000_000, 1))
      const cut = ObjectStore.of({
        ...place.store,
        read: (key, range) =>
          key === large
            ? Stream.concat(Stream.take(place.store.read(key, range), 1), Stream.die(new Death()))
            : place.store.read(key, range)
      })
      assert.isTrue(Exit.isFailure(yield* Effect.exit(start(cut)(downloadRun(id, folder)))))
      assert.include(yield* filesIn(folder), `${large}.part`)
      yield* place.plant(large, pattern(2_000_000, 2))
      const rest = yield* download(place.store, folder)
      assert.include(rest.reads, large)
      assert.deepStrictEqual(yield* readLocal(folder, large), Buffer.from(pattern(2_000_000, 2)))

      // And when nobody knows of what the bytes are, or they are too many.
      for (const note of [null, "{", JSON.stringify({ key: large, size: 2_000_000, etag: "other" })]) {
        yield* Effect.promise(async () => {
          await fs.rename(join(folder, large), join(folder, `${large}.part`))
          if (note !== null) await fs.writeFile(join(folder, `${large}.part.json`), note)
        })
        assert.deepStrictEqual((yield* download(place.store, folder)).reads, [large])
      }
      const etag = (yield* place.store.head(large))!.etag
      yield* Effect.promise(async () => {
        await fs.rm(join(folder, large))
        await fs.writeFile(join(folder, `${large}.part`), new Uint8Array(2_000_001))
        await fs.writeFile(join(folder, `${large}.part.json`), JSON.stringify({ key: large, size: 2_000_000, etag }))
      })
      assert.deepStrictEqual((yield* download(place.store, folder)).reads, [large])
      assert.deepStrictEqual(yield* readLocal(folder, large), Buffer.from(pattern(2_000_000, 2)))
    }))

  it.live("takes what is asked for, and keeps the notes of what it took before", () =>
    Effect.gen(function*() {
      const place = yield* inFolder
      yield* ready(place)
      const folder = yield* directory
      const keysBelow = (prefix: string) =>
        Effect.map(place.store.list(`${id}/${prefix}/`), ({ objects }) => objects.map(({ key }) => key))
      const [inputs, rows] = [yield* keysBelow("inputs"), yield* keysBelow("rows")]
      const none = yield* download(place.store, folder, { what: [] })
      assert.deepStrictEqual([...none.reads].sort(), described)
      const first = yield* download(place.store, folder, { what: ["inputs", "rows", "rows"] })
      assert.sameMembers(first.reads, [...inputs, ...rows])
      assert.deepStrictEqual([first.files, first.partial], [inputs.length + rows.length + described.length, []])
      const second = yield* download(place.store, folder, { what: ["results"] })
      assert.sameMembers(second.reads, results)
      assert.deepStrictEqual(second.partial, ["2-csv"])
      const all = [...inputs, ...rows, ...described, ...results]
      assert.sameMembers((yield* noted(folder)).files.map(({ key }) => key), all)
      assert.deepStrictEqual((yield* download(place.store, folder, { what: ["inputs", "rows"] })).reads, [])
    }))

  it.live("takes a run that is still going as far as it has come, and the rest later", () =>
    Effect.gen(function*() {
      const place = yield* inFolder
      const folder = yield* directory
      yield* ready(place)
      for (const key of [`${id}/run.json`, ...outputs]) yield* place.store.remove(key)
      const early = yield* download(place.store, folder)
      assert.sameMembers(early.reads, [...results, `${id}/plan.json`, `${id}/attempts/2.json`])
      yield* place.plant(`${id}/results/2-csv/report.json`, "{}")
      yield* place.plant(outputs[0]!, "late")
      const late = yield* download(place.store, folder)
      const second = `${id}/results/2-csv`
      assert.sameMembers(late.reads, [outputs[0]!, `${second}/report.json`, `${second}/2-000000.csv`])
      assert.deepStrictEqual(late.partial, [])
    }))

  it.live("fetches what was replaced after it was listed as it is now", () =>
    Effect.gen(function*() {
      const place = yield* onS3
      yield* ready(place)
      const folder = yield* directory
      let once = true
      const other = `another content of ${outputs[1]!}`
      const replacing: Around = {
        before: (operation, key) => {
          if (operation !== "read" || key !== outputs[1] || !once) return Effect.void
          once = false
          return place.plant(key, other)
        }
      }
      yield* download(place.store, folder, undefined, replacing)
      assert.strictEqual((yield* readLocal(folder, outputs[1]!)).toString(), other)
      const etag = (yield* place.store.head(outputs[1]!))!.etag
      assert.strictEqual((yield* noted(folder)).files.find(({ key }) => key === outputs[1])?.etag, etag)
    }))
})

describe("a transfer that goes wrong", () => {
  const large = `${id}/outputs/1-000000/job-a/large.jsonl.out`
  const bytes = pattern(1_500_000)

  it.live("is found by the checksum, fetched once more, and then named", () =>
    Effect.gen(function*() {
      const place = yield* onS3
      yield* ready(place)
      yield* place.plant(large, bytes)
      const folder = yield* directory
      place.fault("GET", /large\.jsonl/, { corrupt: true, times: 1 })
      const once = yield* download(place.store, folder)
      assert.deepStrictEqual(once.reads.filter((key) => key.startsWith(large)), [large, large])
      assert.deepStrictEqual(yield* readLocal(folder, large), Buffer.from(bytes))
      assert.strictEqual(once.bySize, 0)

      const empty = yield* directory
      place.fault("GET", /large\.jsonl/, { corrupt: true })
      const reason = yield* reasonOf(download(place.store, empty))
      assert.strictEqual(reason._tag === "Damaged" && reason.key, large)
      assert.include(reason.message, large)
      assert.isEmpty((yield* filesIn(empty)).filter((key) => key.startsWith(large) || key === `${id}/run.json`))
    }))

  it.live("is found where the bytes that were there already are not those of the object", () =>
    Effect.gen(function*() {
      const place = yield* onS3
      yield* ready(place)
      yield* place.plant(large, bytes)
      const folder = yield* directory
      const etag = (yield* place.store.head(large))!.etag
      yield* Effect.promise(async () => {
        await fs.mkdir(dirname(join(folder, large)), { recursive: true })
        await fs.writeFile(join(folder, `${large}.part`), new Uint8Array(1000))
        await fs.writeFile(join(folder, `${large}.part.json`), JSON.stringify({ key: large, size: bytes.length, etag }))
      })
      const done = yield* download(place.store, folder)
      assert.deepStrictEqual(done.reads.filter((key) => key.startsWith(large)), [`${large} from 1000`, large])
      assert.deepStrictEqual(yield* readLocal(folder, large), Buffer.from(bytes))
    }))

  it.live("goes on after cuts, and fails with the store's reason when it does not answer", () =>
    Effect.gen(function*() {
      const place = yield* onS3
      yield* ready(place)
      yield* place.plant(large, bytes)
      const folder = yield* directory
      place.fault("GET", /large\.jsonl/, { truncate: 500_000, times: 2 })
      assert.strictEqual((yield* download(place.store, folder)).fetched, 9)
      place.fault("HEAD", /manifest\.json\.out/, { status: 403, code: "AccessDenied" })
      const reason = yield* reasonOf(download(place.store, yield* directory))
      assert.strictEqual(reason._tag === "Refused" && reason.code, "AccessDenied")
    }))

  it.effect("is found by the checksum where the store's own reads do not look at it", () =>
    Effect.gen(function*() {
      const store = memoryStore()
      for (const key of [Layout.plan(id), ...outputs]) yield* store.create(key, Buffer.from(`content of ${key}`))
      const lying = (times: number) => {
        let left = times
        return ObjectStore.of({
          ...store,
          read: (key, range) =>
            key === outputs[0] && left-- > 0
              ? Stream.make(Buffer.from(`CONTENT of ${key}`))
              : store.read(key, range)
        })
      }
      const folder = yield* directory
      assert.strictEqual((yield* download(lying(1), folder)).reads.length, 5)
      assert.strictEqual((yield* readLocal(folder, outputs[0]!)).toString(), `content of ${outputs[0]}`)
      const reason = yield* reasonOf(download(lying(2), yield* directory))
      assert.strictEqual(reason._tag === "Damaged" && reason.key, outputs[0])
      assert.include(reason.message, "sha256")
    }))

  it.live("is found by its size in a store that keeps no checksums", () =>
    Effect.gen(function*() {
      const place = yield* inFolder
      yield* ready(place)
      for (const change of [new Uint8Array(3), new Uint8Array(500)]) {
        const wrong = ObjectStore.of({
          ...place.store,
          read: (key, range) => (key === outputs[1] ? Stream.make(change) : place.store.read(key, range))
        })
        const reason = yield* reasonOf(download(wrong, yield* directory))
        assert.strictEqual(reason._tag === "Damaged" && reason.key, outputs[1])
      }
    }))
})

describe("nothing is written outside of the folder", () => {
  /** A run whose store holds any key. */
  const strange = Effect.fnUntraced(function*(...keys: ReadonlyArray<string>) {
    const store = memoryStore()
    for (const key of [`${id}/plan.json`, ...keys]) yield* store.create(key, Buffer.from("x"))
    return store
  })

  it.effect("whatever the keys are", () =>
    Effect.gen(function*() {
      const hostile = ["../../evil", "a/../../../evil", "a//b", "..", "./a", "a\\..\\..\\evil", "a\0b", "/etc/passwd"]
      for (const name of hostile) {
        const store = yield* strange(`${id}/outputs/${name}`)
        const folder = yield* directory
        const reason = yield* reasonOf(download(store, join(folder, "deep", "er")))
        assert.strictEqual(reason._tag === "InvalidOption" && reason.path, "key", name)
        assert.include(reason.message, JSON.stringify(`${id}/outputs/${name}`))
        assert.deepStrictEqual(yield* filesIn(folder), [])
      }
    }))

  it.effect("and keys that would meet in one file are refused", () =>
    Effect.gen(function*() {
      const store = yield* strange(`${id}/outputs/a`, `${id}/outputs/a.part`)
      const reason = yield* reasonOf(download(store, yield* directory))
      assert.strictEqual(reason._tag, "InvalidOption")
      const nested = yield* strange(`${id}/outputs/a`, `${id}/outputs/a/b`)
      const refused = yield* reasonOf(download(nested, yield* directory, { concurrency: 1 }))
      assert.strictEqual(refused._tag === "Refused" && refused.code, "ENOTDIR")
    }))

  it.effect("but the marks that consoles make of folders are passed over", () =>
    Effect.gen(function*() {
      const store = yield* strange(`${id}/outputs/a`)
      yield* store.create(`${id}/outputs/`, new Uint8Array())
      yield* store.create(`${id}/outputs/b/`, new Uint8Array())
      assert.strictEqual((yield* download(store, yield* directory)).files, 2)
    }))

  it.live("through links that lie there, at any place", () =>
    Effect.gen(function*() {
      const place = yield* inFolder
      yield* ready(place)
      const key = outputs[2]!
      const list = `${id}/download.json`
      const links = [id, `${id}/outputs`, dirname(key), key, `${key}.part`, list, `${list}l`]
      for (const link of links) {
        const outside = yield* directory
        const folder = yield* directory
        const victim = join(outside, "victim")
        yield* Effect.promise(async () => {
          await fs.writeFile(victim, "precious")
          await fs.mkdir(dirname(join(folder, link)), { recursive: true })
          const isFile = /\.(?:out|part|json|jsonl)$/.test(link)
          await fs.symlink(isFile ? victim : outside, join(folder, link))
        })
        const reason = yield* reasonOf(download(place.store, folder))
        assert.strictEqual(reason._tag === "Refused" && reason.code, "ELOOP", link)
        assert.include(reason.message, join(folder, link))
        assert.deepStrictEqual(yield* filesIn(outside), ["victim"])
        assert.strictEqual((yield* readLocal(outside, "victim")).toString(), "precious")
      }
    }))

  it.live("but the folder itself may be reached by a link", () =>
    Effect.gen(function*() {
      const place = yield* inFolder
      yield* ready(place)
      const folder = yield* directory
      yield* Effect.promise(async () => {
        await fs.mkdir(join(folder, "disk"))
        await fs.symlink(join(folder, "disk"), join(folder, "link"))
      })
      assert.strictEqual((yield* download(place.store, join(folder, "link"))).directory, join(folder, "disk"))
      assert.isTrue(existsSync(join(folder, "disk", results[1]!)))
    }))
})

describe("a download is refused", () => {
  it.live("with the system's code and the file, where the disk does not take it", () =>
    Effect.gen(function*() {
      const place = yield* inFolder
      yield* ready(place)
      const file = outputs[1]!
      const long = `${id}/outputs/1-000000/${"x".repeat(252)}`
      const obstacles: ReadonlyArray<readonly [string, string, (folder: string) => Promise<unknown>]> = [
        ["EISDIR", file, (folder) => fs.mkdir(join(folder, file, "below"), { recursive: true })],
        ["EISDIR", `${file}.part`, (folder) => fs.mkdir(join(folder, `${file}.part`), { recursive: true })],
        ["ENOTDIR", `${id}/outputs`, async (folder) => {
          await fs.mkdir(join(folder, id))
          await fs.writeFile(join(folder, id, "outputs"), "a file")
        }]
      ]
      for (const [code, at, make] of obstacles) {
        const folder = yield* directory
        yield* Effect.promise(() => make(folder))
        const reason = yield* reasonOf(download(place.store, folder))
        assert.strictEqual(reason._tag === "Refused" && reason.code, code, at)
        assert.include(reason.message, join(folder, at))
      }
      const folder = yield* directory
      yield* Effect.promise(() => fs.writeFile(join(folder, "file"), ""))
      const reason = yield* reasonOf(download(place.store, join(folder, "file")))
      assert.strictEqual(reason._tag === "Refused" && reason.code, "EEXIST")
      yield* place.plant(long, "x")
      const tooLong = yield* reasonOf(download(place.store, folder))
      assert.strictEqual(tooLong._tag === "Refused" && tooLong.code, "ENAMETOOLONG")
      assert.include(tooLong.message, long)
    }))

  it.effect("where there is no such run, or an option is none", () =>
    Effect.gen(function*() {
      const store = memoryStore()
      yield* store.create(`${id}/outputs/a`, Buffer.from("x"))
      const folder = join(yield* directory, "none")
      const missing = yield* reasonOf(download(store, folder))
      assert.strictEqual(missing._tag === "RunConflict" && missing.problem, "not-found")
      yield* store.create(Layout.plan(id), Buffer.from("{}"))
      const pathOf = (effect: Effect.Effect<unknown, BatchError>) =>
        Effect.map(reasonOf(effect), (reason) => reason._tag === "InvalidOption" && reason.path)
      assert.strictEqual(yield* pathOf(download(store, "")), "directory")
      assert.strictEqual(yield* pathOf(download(store, folder, { concurrency: 0 })), "concurrency")
      const untyped: ReadonlyArray<readonly [string, DownloadOptions]> = [
        ["what", JSON.parse("{\"what\":[\"output\"]}")],
        ["verify", JSON.parse("{\"verify\":\"none\"}")]
      ]
      for (const [path, options] of untyped) assert.strictEqual(yield* pathOf(download(store, folder, options)), path)
      for (const none of ["../x", "", "capacity"]) {
        assert.strictEqual(yield* pathOf(start(store)(downloadRun(none, folder))), "runId")
      }
      assert.isFalse(existsSync(folder))
    }))

  it.effect("never for notes of an earlier download that cannot be read", () =>
    Effect.gen(function*() {
      const store = memoryStore()
      for (const key of [Layout.plan(id), ...results]) yield* store.create(key, Buffer.from(key))
      const folder = yield* directory
      yield* download(store, folder)
      yield* Effect.promise(async () => {
        await fs.writeFile(join(folder, id, "download.json"), "{\"version\":")
        await fs.writeFile(join(folder, id, "download.jsonl"), "half a li")
      })
      assert.strictEqual((yield* download(store, folder)).fetched, 3)
      assert.strictEqual((yield* download(store, folder)).fetched, 0)
    }))
})
