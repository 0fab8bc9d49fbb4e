import { assert, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import * as Emulator from "../src/Emulator.ts"
import * as Journal from "../src/Journal.ts"
import * as Storage from "../src/Storage.ts"
import { folder, put, text } from "./Fixture.ts"

it.effect("replaces an object of other bytes, and leaves one of the same bytes alone", () =>
  Effect.gen(function*() {
    const directory = yield* folder
    const storage = Storage.folder(directory)
    const uri = "s3://bucket/out/a.jsonl.out"
    const file = path.join(directory, "bucket/out/a.jsonl.out")
    for (const content of ["one", "two", "more than two", "x".repeat(600_000), `${"x".repeat(599_999)}y`]) {
      yield* put(storage, uri, content)
      assert.strictEqual(yield* text(storage, uri), content)
      const { ino } = fs.statSync(file)
      yield* put(storage, uri, content)
      assert.strictEqual(fs.statSync(file).ino, ino)
    }
    assert.deepStrictEqual(fs.readdirSync(path.dirname(file)), ["a.jsonl.out"])
  }))

it.effect("keeps writers of one object apart, whole storages of one process too", () =>
  Effect.gen(function*() {
    const directory = yield* folder
    const uri = "s3://bucket/a"
    const written = Array.from({ length: 8 }, (_, index) => `${index}`.repeat(100_000))
    const write = (content: string) =>
      Storage.folder(directory).write(
        uri,
        Stream.fromIterable(content.match(/.{1,1000}/g) ?? []).pipe(Stream.rechunk(1), Stream.encodeText)
      )
    yield* Effect.forEach(written, write, { concurrency: "unbounded" })
    assert.include(written, yield* text(Storage.folder(directory), uri))
    assert.deepStrictEqual(fs.readdirSync(path.join(directory, "bucket")), ["a"])
  }))

it.effect("takes the journal for no object, where the folder itself is a bucket", () =>
  Effect.gen(function*() {
    const directory = yield* folder
    const storage = Storage.folder(directory, { bucket: "root" })
    yield* Effect.scoped(Emulator.make({ storage, journal: Journal.folder(directory) }))
    assert.isTrue(fs.existsSync(path.join(directory, ".bedrock-batch-emulator/jobs.jsonl")))
    yield* put(storage, "s3://root/in/a.jsonl", "{}")
    for (const prefix of ["s3://root", "s3://root/", "s3://root/."]) {
      const found = yield* storage.list(prefix)
      assert.deepStrictEqual(found.map((one) => one.uri), prefix.endsWith(".") ? [] : ["s3://root/in/a.jsonl"])
    }
  }))

it.effect("keeps buckets apart, whatever dots a key has", () =>
  Effect.gen(function*() {
    const directory = yield* folder
    const storage = Storage.folder(directory)
    yield* put(storage, "s3://other/in/a.jsonl", "{}")
    for (const prefix of ["s3://bucket/../other/", "s3://bucket/in/../../other/in/a.jsonl", "s3://other/../"]) {
      const error = yield* Effect.flip(storage.list(prefix))
      assert.match(error.message, /^Cannot list s3:.*: the key leaves the folder of its bucket$/)
    }
    assert.deepStrictEqual(yield* storage.list("s3://oth"), [])
  }))
