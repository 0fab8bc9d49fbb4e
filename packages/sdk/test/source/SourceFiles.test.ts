import { CreateBucketCommand, PutObjectCommand, type S3Client } from "@aws-sdk/client-s3"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { mkdir, symlink } from "node:fs/promises"
import { join, relative } from "node:path"
import { pathToFileURL } from "node:url"
import { gzipSync } from "node:zlib"
import { csv } from "../../src/source/Csv.ts"
import {
  commonUri,
  describeFiles,
  type FileLocations,
  identityOf,
  openFiles
} from "../../src/source/internal/SourceFiles.ts"
import type { SourceFile } from "../../src/source/internal/SourceFile.ts"
import { ObjectStore } from "../../src/store/ObjectStore.ts"
import * as S3 from "../../src/store/S3.ts"
import { type S3Server, startS3Server } from "../rig/S3Server.ts"
import { inFolder, readAll, reasonOf } from "./folder.ts"

const extensions = [".csv", ".csv.gz"]

const open = (locations: FileLocations) => openFiles("csv", locations, extensions)

const why = (locations: FileLocations) =>
  Effect.map(reasonOf(open(locations)), (reason) =>
    reason._tag === "InvalidSource" ? [reason.problem, reason.message] : [reason._tag, reason.message])

const contentOf = (file: SourceFile) =>
  Effect.map(Stream.runCollect(file.bytes), (pieces) => Buffer.concat(pieces).toString())

const names = [
  "b.csv",
  "a/z.CSV",
  "a.csv",
  "a/b/c.csv.gz",
  "\uffff.csv",
  "😀.csv",
  "a b+ü.csv",
  "_hidden.csv",
  "a/.hidden.csv",
  "_temporary/0/a.csv",
  ".git/a.csv",
  "a/readme.md",
  "csv"
]

/** In the order of their bytes, which is not that of UTF-16. */
const shown = ["a b+ü.csv", "a.csv", "a/b/c.csv.gz", "a/z.CSV", "b.csv", "\uffff.csv", "😀.csv"]

describe("openFiles of a local folder", () => {
  it.effect("finds the data files below it, in the order of their names' bytes", () =>
    inFolder((file, path) =>
      Effect.gen(function*() {
        for (const name of names) yield* file(`data/${name}`, name)
        const folder = join(path, "data")
        const url = pathToFileURL(folder)
        const locations = [folder, `${folder}/`, url, pathToFileURL(`${folder}/`), url.href]
        for (const location of [...locations, relative(process.cwd(), folder)]) {
          const files = yield* open(location)
          assert.deepStrictEqual(yield* Effect.forEach(files, contentOf), shown)
          const uris = shown.map((name) => pathToFileURL(join(folder, name)).href)
          assert.deepStrictEqual(files.map(({ uri }) => uri), uris)
        }
      })
    ))

  it.effect("takes a folder that is hidden itself, and files by their names whatever these are", () =>
    inFolder((file) =>
      Effect.gen(function*() {
        const path = yield* file("_data/.x/a.csv", "x")
        assert.lengthOf(yield* open(join(path, "..")), 1)
        assert.lengthOf(yield* open([path, yield* file("_data/noextension", "y")]), 2)
      })
    ))

  it.effect("follows links to files and not to folders, and names a link that leads nowhere", () =>
    inFolder((file, path) =>
      Effect.gen(function*() {
        const target = yield* file("else/target.bin", "linked")
        yield* file("else/more.csv", "not seen")
        yield* file("data/a.csv", "a")
        yield* Effect.promise(async () => {
          await symlink(target, join(path, "data", "link.csv"))
          await symlink(join(path, "else"), join(path, "data", "folder.csv"))
          await symlink(join(path, "data"), join(path, "data", "loop"))
        })
        const files = yield* open(join(path, "data"))
        assert.deepStrictEqual(yield* Effect.forEach(files, contentOf), ["a", "linked"])
        yield* Effect.promise(() => symlink(join(path, "nowhere"), join(path, "data", "broken.csv")))
        const [problem, message] = yield* why(join(path, "data"))
        assert.strictEqual(problem, "not-found")
        assert.include(message, "data/broken.csv: there is no such file")
      })
    ))

  it.effect("says what is there where there is no data file", () =>
    inFolder((file, path) =>
      Effect.gen(function*() {
        yield* Effect.promise(() => mkdir(join(path, "data", "empty"), { recursive: true }))
        assert.strictEqual((yield* why(join(path, "data")))[0], "not-found")
        assert.strictEqual((yield* why(join(path, "none/")))[0], "not-found")
        yield* file("data/a.parquet", "")
        yield* file("data/_b.csv", "")
        const [problem, message] = yield* why(join(path, "data"))
        assert.strictEqual(problem, "empty")
        assert.include(message, "must end in .csv, .csv.gz")
        assert.include(message, "there are 2 others (1 of them hidden), such as ")
        assert.include(message, pathToFileURL(join(path, "data")).href)
      })
    ))

  it.effect("refuses no location, a file given twice, and what is neither file nor folder", () =>
    inFolder((file, path) =>
      Effect.gen(function*() {
        const a = yield* file("data/a.csv", "x")
        assert.strictEqual((yield* why([]))[0], "InvalidOption")
        const folder = join(path, "data")
        for (const twice of [[a, a], [a, pathToFileURL(a)], [folder, a], [a, `${folder}/../data/`]]) {
          const [tag, message] = yield* why(twice)
          assert.strictEqual(tag, "InvalidOption")
          assert.include(message, "data/a.csv is given twice")
        }
        assert.strictEqual((yield* why("/dev/null"))[0], "failed")
        assert.strictEqual((yield* why(`${a}/`))[0], "not-found")
        for (const wrong of [[a, 5], [undefined], "", ["s3://bucket"], "http://x/y/"]) {
          assert.strictEqual((yield* why(wrong as FileLocations))[0], "InvalidOption")
        }
      })
    ))
})

describe("openFiles of a store in a folder", () => {
  it.effect("finds the objects below a prefix, and cannot reach S3", () =>
    inFolder(() =>
      Effect.gen(function*() {
        const store = yield* ObjectStore
        for (const name of ["data/b.csv", "data/a/c.csv", "data/_x.csv", "database.csv"]) {
          yield* store.create(name, Buffer.from(name))
        }
        for (const location of ["store://data/", store.uri("data/")]) {
          const files = yield* open(location)
          assert.deepStrictEqual(files.map(({ uri }) => uri), [store.uri("data/a/c.csv"), store.uri("data/b.csv")])
          assert.deepStrictEqual(yield* Effect.forEach(files, contentOf), ["data/a/c.csv", "data/b.csv"])
          const [one] = yield* open("store://data/b.csv")
          assert.strictEqual(files[1]!.identity, one!.identity)
        }
        assert.strictEqual((yield* why(["store://data/", store.uri("data/b.csv")]))[0], "InvalidOption")
        assert.strictEqual((yield* why("store://none/"))[0], "not-found")
        assert.strictEqual((yield* why("s3://other-bucket/data/"))[0], "InvalidOption")
        assert.strictEqual((yield* why("store:///"))[0], "InvalidOption")
      })
    ))
})

describe("openFiles of S3", () => {
  let server: S3Server
  let client: S3Client
  let store: ObjectStore["Service"]
  const put = (key: string, body: string | Buffer) =>
    Effect.promise(() =>
      client.send(
        new PutObjectCommand({
          Bucket: "data-bucket",
          Key: key,
          Body: typeof body === "string" ? Buffer.from(body) : body
        })
      )
    )
  const inStore = <A, E>(effect: Effect.Effect<A, E, ObjectStore>) => Effect.provideService(effect, ObjectStore, store)

  beforeAll(async () => {
    server = await startS3Server()
    client = server.client()
    await client.send(new CreateBucketCommand({ Bucket: "data-bucket" }))
    store = await Effect.runPromise(S3.make({ bucket: "test-bucket", prefix: "runs", client }))
  })
  afterAll(async () => {
    client.destroy()
    await server.close()
  })

  it.live("finds the objects below a prefix of any bucket, without asking for each", () =>
    inStore(Effect.gen(function*() {
      for (const name of names) yield* put(`in/${name}`, name)
      yield* put("in/folder.csv/", "")
      yield* put("in/a_$folder$", "")
      yield* put("inner.csv", "")
      const from = server.log.length
      const files = yield* open("s3://data-bucket/in/")
      assert.deepStrictEqual(server.log.slice(from).map(({ method }) => method), ["GET"])
      assert.deepStrictEqual(files.map(({ uri }) => uri), shown.map((name) => `s3://data-bucket/in/${name}`))
      assert.deepStrictEqual(yield* Effect.forEach(files, contentOf), shown)
      const [one] = yield* open("s3://data-bucket/in/a.csv")
      assert.strictEqual(files[1]!.identity, one!.identity)
      assert.deepStrictEqual(files[1]!.description, one!.description)
      assert.strictEqual((yield* files[1]!.range(2, 4)).toString(), "cs")
      assert.strictEqual((yield* why("s3://data-bucket/none/"))[0], "not-found")
      assert.lengthOf(yield* open("s3://data-bucket/"), shown.length + 1)
      assert.strictEqual((yield* why("s3://no-such-bucket/in/"))[0], "Refused")
      assert.strictEqual((yield* why(["s3://data-bucket/in/", "s3://data-bucket/in/a.csv"]))[0], "InvalidOption")
    })))

  it.live("finds many objects, and says of them how many they are", () =>
    inStore(Effect.gen(function*() {
      const numbers = Array.from({ length: 120 }, (_, i) => String(i).padStart(5, "0"))
      yield* Effect.forEach(numbers, (n) => put(`many/${n}.csv`, `n\n${n}\n`), { concurrency: 20, discard: true })
      const files = yield* open("s3://data-bucket/many/")
      assert.deepStrictEqual(files.map(({ uri }) => uri.slice(-9, -4)), numbers)
      const rows = yield* readAll(csv("s3://data-bucket/many/", { limit: 3 }))
      assert.deepStrictEqual(rows, [{ n: "00000" }, { n: "00001" }, { n: "00002" }])
      const opened = yield* Effect.scoped(csv("s3://data-bucket/many/").open)
      assert.isBelow(JSON.stringify(opened.description).length, 500)
      assert.isBelow(opened.identity!.length, 500)
    })))

  it.live("reads compressed objects, and fails where one changes after it was found", () =>
    inStore(Effect.gen(function*() {
      yield* put("packed/a.csv.gz", gzipSync("a\n1\n"))
      yield* put("packed/b.csv", "a\n2\n")
      const source = csv("s3://data-bucket/packed/")
      assert.deepStrictEqual(yield* readAll(source), [{ a: "1" }, { a: "2" }])
      const failure = yield* Effect.scoped(Effect.gen(function*() {
        const opened = yield* source.open
        yield* put("packed/b.csv", "a\n3\n4\n")
        return yield* Effect.flip(Stream.runDrain(opened.batches))
      }))
      assert.include(failure.message, "s3://data-bucket/packed/b.csv: the file changed while it was read")
    })))
})

describe("what is said of several files", () => {
  const fileOf = (uri: string): SourceFile => ({
    uri,
    size: 1,
    identity: uri,
    description: { uri },
    bytes: Stream.empty,
    from: () => Stream.empty,
    range: () => Effect.die("not read"),
    unchanged: Effect.void
  })
  const many = (count: number) => Array.from({ length: count }, (_, i) => fileOf(`s3://b/x/${i}.csv`))

  it("lists up to 100 files, and counts more", () => {
    assert.deepStrictEqual(describeFiles([fileOf("a"), fileOf("b")]), [{ uri: "a" }, { uri: "b" }])
    assert.lengthOf(describeFiles(many(100)) as ReadonlyArray<unknown>, 100)
    const counted = describeFiles(many(101))
    assert.deepStrictEqual(Object.keys(counted as object), ["count", "size", "sha256"])
    assert.notDeepEqual(counted, describeFiles(many(101).toReversed()))
    assert.notStrictEqual(identityOf(many(101)), identityOf(many(101).toReversed()))
    assert.notStrictEqual(identityOf(many(2)), identityOf(many(2).toReversed()))
    assert.strictEqual(identityOf(many(1)), "s3://b/x/0.csv")
  })

  it("names the folder in which all lie", () => {
    const common = (...uris: Array<string>) => commonUri(uris.map(fileOf))
    assert.strictEqual(common("s3://b/x/a"), "s3://b/x/a")
    assert.strictEqual(common("s3://b/x/a", "s3://b/x/y/a"), "s3://b/x/")
    assert.strictEqual(common("s3://b/xa", "s3://b/xb"), "s3://b/")
    assert.strictEqual(common("file:///x/a", "file:///x/b", "file:///x/c/d"), "file:///x/")
    assert.isNull(common("s3://b/a", "s3://c/a"))
    assert.isNull(common("file:///a", "s3://b/a"))
    assert.isNull(common("file:///x/a", "file:///y/a"))
    assert.isNull(common())
  })
})
