import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Clock, Deferred, Duration, Effect, Fiber, Layer, Stream } from "effect"
import { TestClock } from "effect/testing"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdir, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { BatchError } from "../../src/BatchError.ts"
import * as FileSystem from "../../src/store/FileSystem.ts"
import { ObjectStore } from "../../src/store/ObjectStore.ts"

const bytesOf = (text: string) => new TextEncoder().encode(text)
const textOf = (bytes: Uint8Array | null) => (bytes === null ? null : new TextDecoder().decode(bytes))
const reasonOf = <A, E extends { readonly reason: BatchError["reason"] }, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.flip(effect), (error) => error.reason)

let root: string
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "bedrock-batch-folder-"))
})
afterAll(() => rm(root, { recursive: true }))

let folders = 0
const fresh = () => join(root, `store-${folders++}`)

const writer = (...args: ReadonlyArray<string>) =>
  spawn(process.execPath, [join(import.meta.dirname, "fileWriter.ts"), ...args], {
    stdio: ["ignore", "pipe", "inherit"]
  })

describe("a store in a folder", () => {
  it.effect("is made where there is nothing yet, and keeps objects as plain files", () =>
    Effect.gen(function*() {
      const directory = join(fresh(), "deep", "er")
      const store = yield* FileSystem.make({ directory })
      yield* store.create("run/a.json", bytesOf("{}"))
      assert.strictEqual(yield* Effect.promise(() => readFile(join(directory, "run", "a.json"), "utf8")), "{}")
    }))

  it.effect("lets its own URIs in, and no others", () =>
    Effect.gen(function*() {
      const directory = fresh()
      const store = yield* FileSystem.make({ directory })
      assert.strictEqual(store.base, "s3://local-bedrock-batch")
      assert.strictEqual(store.uri("a/b"), "s3://local-bedrock-batch/a/b")
      const mine = yield* FileSystem.make({ directory, bucket: "my-data" })
      yield* mine.create("a/b", bytesOf("x"))
      assert.strictEqual(textOf(yield* mine.get("s3://my-data/a/b")), "x")
      for (const uri of ["s3://local-bedrock-batch/a/b", "s3://my-data-2/a/b", "s3://my-data", "s3://"]) {
        const reason = yield* reasonOf(mine.get(uri))
        assert.strictEqual(reason._tag, "InvalidOption")
        assert.include(reason.message, "cannot reach S3")
      }
      for (const uri of ["s3://my-data/", "s3://my-data/../a", "s3://my-data//a"]) {
        assert.strictEqual((yield* reasonOf(mine.head(uri)))._tag, "InvalidOption")
      }
      assert.strictEqual((yield* reasonOf(FileSystem.make({ directory, bucket: "No_Bucket" })))._tag, "InvalidOption")
    }))

  it.effect("cannot list a bucket of S3, nor leave its folder by a URI", () =>
    Effect.gen(function*() {
      const store = yield* FileSystem.make({ directory: fresh(), bucket: "own-bucket" })
      for (const prefix of ["s3://other-bucket/", "s3://other-bucket/a/", "s3://own-bucket-2/", "s3://own-bucket/../"]) {
        const reason = yield* reasonOf(store.list(prefix))
        assert.strictEqual(reason._tag, "InvalidOption", prefix)
      }
      yield* store.create("a/b", bytesOf("x"))
      const { objects } = yield* store.list("s3://own-bucket/")
      assert.deepStrictEqual(objects.map(({ key }) => key), ["s3://own-bucket/a/b"])
    }))

  it.effect("dates objects and lists by the clock of the program", () =>
    Effect.gen(function*() {
      const store = yield* FileSystem.make({ directory: fresh() })
      yield* TestClock.adjust(Duration.millis(Duration.toMillis("3 days") + 123))
      yield* store.create("a", bytesOf("x"))
      const written = yield* store.write("b", Stream.make(bytesOf("y")))
      const now = yield* Clock.currentTimeMillis
      assert.strictEqual((yield* store.head("a"))?.modifiedAt, now)
      assert.strictEqual(written.info.modifiedAt, now)
      yield* TestClock.adjust("1 second")
      const listing = yield* store.list("")
      assert.strictEqual(listing.at, now + 1000)
      assert.deepStrictEqual(listing.objects.map((object) => object.modifiedAt), [now, now])
    }))

  it.effect("refuses a key below an object, and a key that is the folder of others", () =>
    Effect.gen(function*() {
      const store = yield* FileSystem.make({ directory: fresh() })
      yield* store.create("a", bytesOf("x"))
      yield* store.create("b/c", bytesOf("y"))
      for (const key of ["a/b", "a/b/c", "b"]) {
        for (const call of [store.create(key, bytesOf("z")), store.write(key, Stream.make(bytesOf("z")))]) {
          const reason = yield* reasonOf<unknown, BatchError, never>(call)
          assert.strictEqual(reason._tag, "InvalidOption")
          assert.include(reason.message, "a name cannot be both")
        }
        assert.isNull(yield* store.head(key))
        assert.isNull(yield* store.get(key))
        assert.strictEqual((yield* reasonOf(Stream.runDrain(store.read(key))))._tag, "Refused")
        yield* store.remove(key)
        assert.deepStrictEqual((yield* store.list(`${key}/x`)).objects, [])
      }
      assert.deepStrictEqual((yield* store.list("")).objects.map((object) => object.key), ["a", "b/c"])
    }))

  it.effect("keeps its temporary files to itself, and leaves none behind", () =>
    Effect.gen(function*() {
      const directory = fresh()
      const store = yield* FileSystem.make({ directory })
      const temporary = () => Effect.promise(() => readdir(join(directory, ".tmp")))
      assert.deepStrictEqual(yield* temporary(), [])
      yield* store.create("a", bytesOf("x"))
      yield* store.create("a", bytesOf("x"))
      yield* Effect.all([1, 2, 3].map((i) => store.write("b", Stream.make(bytesOf(`${i}`)))), { concurrency: 3 })
      yield* Effect.flip(store.write("c", Stream.fail("no")))
      const reached = yield* Deferred.make<void>()
      const fiber = yield* Effect.forkChild(
        store.write("d", Stream.make(bytesOf("d")).pipe(
          Stream.concat(Stream.fromEffectDrain(Deferred.succeed(reached, undefined))),
          Stream.concat(Stream.never)
        ))
      )
      yield* Deferred.await(reached)
      assert.strictEqual((yield* temporary()).length, 1)
      assert.deepStrictEqual((yield* store.list("")).objects.map((object) => object.key), ["a", "b"])
      assert.deepStrictEqual((yield* store.list(".tmp/")).objects, [])
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(yield* temporary(), [])
      for (const key of [".tmp", ".tmp/a", "s3://local-bedrock-batch/.tmp/a"]) {
        assert.strictEqual((yield* reasonOf(store.get(key)))._tag, "InvalidOption")
      }
      assert.isTrue((yield* store.create("x/.tmp", bytesOf("x"))).created)
    }))

  it.effect("clears away temporary files that are a day old", () =>
    Effect.gen(function*() {
      const directory = fresh()
      const leftover = join(directory, ".tmp", "leftover")
      yield* Effect.promise(async () => {
        await mkdir(join(directory, ".tmp"), { recursive: true })
        await writeFile(leftover, "half an obj")
      })
      const exists = Effect.promise(() => stat(leftover).then(() => true, () => false))
      const changed = (yield* Effect.promise(() => stat(leftover))).ctimeMs
      yield* TestClock.setTime(Math.floor(changed) + Duration.toMillis("23 hours"))
      yield* FileSystem.make({ directory })
      assert.isTrue(yield* exists)
      yield* TestClock.adjust("2 hours")
      yield* FileSystem.make({ directory })
      assert.isFalse(yield* exists)
    }))

  it.effect("fails as damaged when a file is cut short while it is read", () =>
    Effect.gen(function*() {
      const directory = fresh()
      const store = yield* FileSystem.make({ directory })
      yield* store.create("a", new Uint8Array(3_000_000))
      const read = store.read("a").pipe(Stream.tap(() => Effect.promise(() => truncate(join(directory, "a"), 1000))))
      const reason = yield* reasonOf(Stream.runDrain(read))
      assert.strictEqual(reason._tag, "Damaged")
    }))

  it.effect("gives an object that was put in its place by hand another etag", () =>
    Effect.gen(function*() {
      const directory = fresh()
      const store = yield* FileSystem.make({ directory })
      yield* store.create("a", bytesOf("one"))
      const before = yield* store.head("a")
      assert.deepStrictEqual(yield* store.head("a"), before)
      yield* Effect.promise(() => writeFile(join(directory, "a"), "two"))
      assert.notStrictEqual((yield* store.head("a"))?.etag, before?.etag)
    }))

  it.effect("says what is wrong with a folder or a name that cannot be used", () =>
    Effect.gen(function*() {
      const directory = fresh()
      yield* Effect.promise(() => writeFile(directory, "a file"))
      const made = yield* Effect.flip(FileSystem.make({ directory }))
      assert.strictEqual(made.reason._tag, "Refused")
      assert.include(made.message, `FileSystem.make: cannot use the folder ${directory}`)
      const layered = yield* Effect.flip(Effect.provide(ObjectStore, FileSystem.layer({ directory })))
      assert.strictEqual(layered.reason._tag, "Refused")

      const store = yield* FileSystem.make({ directory: fresh() })
      const long = yield* reasonOf(store.create("x".repeat(300), bytesOf("")))
      assert.strictEqual(long._tag === "Refused" && long.code, "ENAMETOOLONG")
      assert.include(long.message, "use shorter names")
    }))

  it.effect("survives creates and removes that make and unmake the same folders", () =>
    Effect.gen(function*() {
      const store = yield* FileSystem.make({ directory: fresh() })
      const churn = Effect.fnUntraced(function*(i: number) {
        for (let round = 0; round < 40; round++) {
          const key = `deep/er/still/${i}`
          assert.isTrue((yield* store.create(key, bytesOf("x"))).created)
          yield* store.remove(key)
        }
      })
      yield* Effect.forEach([0, 1, 2, 3], churn, { concurrency: 4 })
      assert.deepStrictEqual((yield* store.list("")).objects, [])
    }))

  it.effect("is shared through its layer", () =>
    ObjectStore.use((store) => store.create("a", bytesOf("x"))).pipe(
      Effect.andThen(ObjectStore.use((store) => store.get("a"))),
      Effect.map((bytes) => assert.strictEqual(textOf(bytes), "x")),
      Effect.provide(Layer.fresh(FileSystem.layer({ directory: fresh() })))
    ))

  it("lets one of four processes win each key", async () => {
    const directory = fresh()
    const names = ["one", "two", "three", "four"]
    const claims = await Promise.all(names.map(async (name) => {
      const child = writer("race", directory, name, "300")
      const chunks: Array<Buffer> = []
      child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk))
      const [code] = await once(child, "close")
      assert.strictEqual(code, 0)
      const won: unknown = JSON.parse(Buffer.concat(chunks).toString())
      assert.isArray(won)
      return { name, won: Array.isArray(won) ? won.map(String) : [] }
    }))
    assert.strictEqual(claims.reduce((sum, { won }) => sum + won.length, 0), 300)
    const store = await Effect.runPromise(FileSystem.make({ directory }))
    assert.strictEqual((await Effect.runPromise(store.list("claim/"))).objects.length, 300)
    for (const { name, won } of claims) {
      for (const key of won) assert.strictEqual(textOf(await Effect.runPromise(store.get(key))), name)
    }
  }, 60_000)

  it("shows whole objects only when processes are killed", async () => {
    const directory = fresh()
    const size = 4 * 1024 * 1024
    for (let round = 0; round < 8; round++) {
      const child = writer("stream", directory, String(round), String(size))
      // Until it is at work; then at some other moment each time.
      while ((await readdir(join(directory, "small", String(round))).catch(() => [])).length < 2) {
        await new Promise<void>((resolve) => void setTimeout(resolve, 5))
      }
      await new Promise<void>((resolve) => void setTimeout(resolve, round * 7))
      child.kill("SIGKILL")
      await once(child, "close")
    }
    const store = await Effect.runPromise(FileSystem.make({ directory }))
    const { objects } = await Effect.runPromise(store.list(""))
    assert.isAbove(objects.length, 30)
    for (const { key, size: found } of objects) assert.strictEqual(found, key.startsWith("stream/") ? size : 5, key)
  }, 60_000)
})
