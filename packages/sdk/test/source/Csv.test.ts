import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema, type Scope, Stream } from "effect"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import type { BatchError, Reason } from "../../src/BatchError.ts"
import { toRows } from "../../src/internal/Rows.ts"
import { sink } from "../../src/sink/Csv.ts"
import { csv } from "../../src/source/Csv.ts"
import type { OpenSource, Source } from "../../src/source/Source.ts"
import * as FileSystem from "../../src/store/FileSystem.ts"
import { ObjectStore } from "../../src/store/ObjectStore.ts"
import { batchOf, everyType, nastyRows } from "../rig/AnyTable.ts"

const folder = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "csv-"))),
  (path) => Effect.promise(() => rm(path, { recursive: true }))
)

/** Runs in a folder of its own; the store lies in it, beside the files. */
const inFolder = <A, E>(
  run: (
    file: (name: string, content: string | Uint8Array) => Effect.Effect<string>
  ) => Effect.Effect<A, E, ObjectStore | Scope.Scope>
) =>
  Effect.gen(function*() {
    const path = yield* folder
    const file = (name: string, content: string | Uint8Array) =>
      Effect.promise(async () => {
        await writeFile(join(path, name), content)
        return join(path, name)
      })
    return yield* run(file).pipe(Effect.provide(FileSystem.layer({ directory: join(path, "store") })))
  })

const rowsOf = (opened: OpenSource): Effect.Effect<Array<Record<string, unknown>>, BatchError> =>
  Effect.map(Stream.runCollect(opened.batches), (batches) => batches.flatMap((batch) => toRows(opened.columns, batch)))

const readAll = <R extends object>(source: Source<R, ObjectStore>) => Effect.flatMap(source.open, rowsOf)

const reasonOf = <A, R>(effect: Effect.Effect<A, BatchError, R>): Effect.Effect<Reason, A, R> =>
  Effect.map(Effect.flip(effect), (error) => error.reason)

describe("Source.csv", () => {
  it.effect("reads every cell as text, from a path, a URL and a key of the store", () =>
    inFolder((file) =>
      Effect.gen(function*() {
        const text = "id,text\n007,\"a,\nb\"\nNA,\n"
        const path = yield* file("some rows.csv", text)
        const store = yield* ObjectStore
        yield* store.create("data/rows.csv", Buffer.from(text))
        const expected = [{ id: "007", text: "a,\nb" }, { id: "NA", text: "" }]
        const url = pathToFileURL(path)
        for (const location of [path, url, url.href, "store://data/rows.csv", store.uri("data/rows.csv")]) {
          const opened = yield* csv(location).open
          assert.deepStrictEqual(opened.columns, [{ name: "id", type: "string" }, { name: "text", type: "string" }])
          assert.isNull(opened.count)
          assert.deepStrictEqual(yield* rowsOf(opened), expected)
        }
      })
    ))

  it.effect("knows a local file by its content and an object by its URI and ETag", () =>
    inFolder((file) =>
      Effect.gen(function*() {
        const identity = (location: string, options = {}) =>
          Effect.map(csv(location, options).open, (opened) => opened.identity)
        const a = yield* file("a.csv", "x\n1\n")
        const b = yield* file("b.csv", "x\n1\n")
        const c = yield* file("c.csv", "x\n2\n")
        const store = yield* ObjectStore
        yield* store.create("a.csv", Buffer.from("x\n1\n"))
        yield* store.create("b.csv", Buffer.from("x\n1\n"))
        assert.strictEqual(yield* identity(a), yield* identity(b))
        assert.notStrictEqual(yield* identity(a), yield* identity(c))
        assert.notStrictEqual(yield* identity("store://a.csv"), yield* identity("store://b.csv"))
        assert.strictEqual(yield* identity("store://a.csv"), yield* identity("store://a.csv"))
        const options = [{}, { delimiter: ";" }, { nullValues: [""] }, { columns: Schema.Struct({ x: Schema.Int }) }, {
          columns: Schema.Struct({ x: Schema.Natural })
        }]
        const identities = yield* Effect.forEach(options, (option) => identity(a, option))
        assert.strictEqual(new Set(identities).size, options.length)
        const nulls = (...nullValues: Array<string>) => identity(a, { nullValues })
        assert.strictEqual(yield* nulls("a", "b"), yield* nulls("b", "a"))
      })
    ))

  it.effect("describes the file for the manifest", () =>
    inFolder((file) =>
      Effect.gen(function*() {
        const path = yield* file("a.tsv", "x\ty\n1\t2\n")
        const opened = yield* csv(path, { delimiter: "\t", nullValues: ["NA"] }).open
        assert.deepStrictEqual(opened.description, {
          type: "csv",
          files: [{
            uri: pathToFileURL(path).href,
            sha256: "327f915112efcf2778291a93d4017c9b18f1874e0df7993d1ba4d01451602e58",
            size: 8
          }],
          delimiter: "\t",
          quote: "\"",
          escape: "\"",
          comment: null,
          skipLines: 0,
          names: null,
          nullValues: ["NA"],
          select: null,
          limit: null
        })
      })
    ))

  it.effect("decodes the columns of a schema and passes the others through", () =>
    inFolder((file) =>
      Effect.gen(function*() {
        const path = yield* file(
          "typed.csv",
          "id,score,flag,at,big,tags,vector,note,other\n" +
            "1,0.5,true,2024-01-02T03:04:05.000Z,9007199254740993,\"[\"\"a\"\"]\",\"[0.1,2]\",null,x\n" +
            "-2,NA,false,2024-01-02T03:04:05.678Z,-1,[],[],NA,NA\n"
        )
        const columns = Schema.Struct({
          id: Schema.Int,
          score: Schema.NullOr(Schema.Finite),
          flag: Schema.Boolean,
          at: Schema.Date,
          big: Schema.BigInt,
          tags: Schema.Array(Schema.String),
          vector: Schema.instanceOf(Float32Array),
          note: Schema.optionalKey(Schema.String)
        })
        const opened = yield* csv(path, { columns, nullValues: ["NA"] }).open
        assert.deepStrictEqual(opened.columns.map(({ type }) => type), [
          "integer",
          "number",
          "boolean",
          "date",
          "bigint",
          "json",
          "vector",
          "string",
          "string"
        ])
        assert.deepStrictEqual(yield* rowsOf(opened), [
          {
            id: 1,
            score: 0.5,
            flag: true,
            at: new Date("2024-01-02T03:04:05.000Z"),
            big: 9007199254740993n,
            tags: ["a"],
            vector: Float32Array.of(0.1, 2),
            note: "null",
            other: "x"
          },
          {
            id: -2,
            score: null,
            flag: false,
            at: new Date("2024-01-02T03:04:05.678Z"),
            big: -1n,
            tags: [],
            vector: new Float32Array(0),
            note: null,
            other: null
          }
        ])
      })
    ))

  it.effect("reads back what the CSV sink wrote", () =>
    inFolder((file) =>
      Effect.gen(function*() {
        // The columns that a schema can declare.
        const declared = everyType.slice(0, 9)
        const rows = nastyRows.map((row) => row.slice(0, 9)).filter((row) => row[0] !== null)
        const pieces = yield* Stream.runCollect(sink.encode(declared, Stream.succeed(batchOf(declared, rows))))
        const path = yield* file("results.csv", Buffer.concat(pieces))
        const columns = Schema.Struct({
          whole: Schema.Int,
          big: Schema.BigInt,
          number: Schema.Finite,
          flag: Schema.Boolean,
          at: Schema.Date,
          bytes: Schema.Uint8Array,
          "data.json": Schema.Unknown,
          embedding: Schema.instanceOf(Float32Array)
        })
        assert.deepStrictEqual((yield* readAll(csv(path, { columns }))).map(Object.values), rows)
      })
    ))

  it.effect("fails at a cell that does not decode, with its place and not its content", () =>
    inFolder((file) =>
      Effect.gen(function*() {
        const rows = Array.from({ length: 12_000 }, (_, i) => `${i},x`)
        const path = yield* file("a.csv", `id,s\n${rows.join("\n")}\nsecret,x\n`)
        const uri = pathToFileURL(path).href
        const reason = yield* reasonOf(readAll(csv(path, { columns: Schema.Struct({ id: Schema.Int }) })))
        assert.strictEqual(reason._tag, "InvalidSource")
        if (reason._tag !== "InvalidSource") return
        const { column, problem, row } = reason
        assert.deepStrictEqual([problem, row, column, reason.uri], ["malformed", 12_001, "id", uri])
        assert.strictEqual(
          reason.message,
          `${uri}, row 12001, column "id": the cell does not decode: Expected a string representing a finite number`
        )
      })
    ))

  it.effect("fails at a null in a column that has none", () =>
    inFolder((file) =>
      Effect.gen(function*() {
        const path = yield* file("a.csv", "id\n1\nNA\n")
        const options = { nullValues: ["NA"], columns: Schema.Struct({ id: Schema.Int }) }
        const reason = yield* reasonOf(readAll(csv(path, options)))
        assert.include(reason.message, "row 2, column \"id\": the cell is null")
      })
    ))

  it.effect("names columns that the file does not have, and the nearest that it has", () =>
    inFolder((file) =>
      Effect.gen(function*() {
        const path = yield* file("a.csv", "Topic,text\n1,2\n")
        const columns = Schema.Struct({ topc: Schema.String, text: Schema.String, zebra: Schema.String })
        const reason = yield* reasonOf(readAll(csv(path, { columns })))
        assert.strictEqual(reason._tag, "InvalidColumns")
        if (reason._tag !== "InvalidColumns") return
        assert.deepStrictEqual(reason.missing, ["topc", "zebra"])
        assert.deepStrictEqual(reason.available, ["Topic", "text"])
        assert.deepStrictEqual(reason.nearest, { topc: "Topic" })
        assert.include(reason.message, "\"topc\" (did you mean \"Topic\"?), \"zebra\"")
      })
    ))

  it.effect("batches at most 5,000 rows, with exact row numbers across pieces of the file", () =>
    inFolder((file) =>
      Effect.gen(function*() {
        const rows = Array.from({ length: 100_000 }, (_, i) => `${i},é`)
        const path = yield* file("a.csv", `n,t\n${rows.join("\n")}`)
        const opened = yield* csv(path).open
        const batches = yield* Stream.runCollect(opened.batches)
        assert.isTrue(batches.every((batch) => batch.length > 0 && batch.length <= 5000))
        assert.deepStrictEqual(batches.flatMap((batch) => batch.columns[0]!), rows.map((_, i) => String(i)))
        assert.isTrue(batches.every((batch) => batch.columns[1]!.every((cell) => cell === "é")))
        const ragged = yield* file("b.csv", `n,t\n${rows.join("\n")}\nlast`)
        assert.include((yield* reasonOf(readAll(csv(ragged)))).message, "row 100001, column \"t\"")
      })
    ))

  it.effect("has no rows in a file of a header alone, and refuses one without", () =>
    inFolder((file) =>
      Effect.gen(function*() {
        const header = yield* file("a.csv", "a,b\n")
        assert.deepStrictEqual(yield* readAll(csv(header)), [])
        for (const text of ["", "\n\n", "\ufeff"]) {
          const reason = yield* reasonOf(readAll(csv(yield* file("b.csv", text))))
          assert.strictEqual(reason._tag === "InvalidSource" && reason.problem, "empty")
        }
      })
    ))

  it.effect("keeps columns whose names objects already have", () =>
    inFolder((file) =>
      Effect.gen(function*() {
        const path = yield* file("a.csv", "__proto__,constructor,toString\n1,2,3\n")
        const columns = Schema.Struct({ ["__proto__"]: Schema.Int, constructor: Schema.Int })
        const [row] = yield* readAll(csv(path, { columns }))
        assert.deepStrictEqual(Object.entries(row!), [["__proto__", 1], ["constructor", 2], ["toString", "3"]])
      })
    ))

  it.effect("says which location does not exist or is not understood", () =>
    inFolder((file) =>
      Effect.gen(function*() {
        const there = yield* file("a.csv", "a\n1\n")
        const files = [`${there}.not`, `${there}/b`, "/dev/null", "store://no/such.csv"]
        const problems = yield* Effect.forEach(
          [...files, "http://x/y.csv", "s3://bucket", "store://", ""],
          (location) =>
            Effect.map(reasonOf(readAll(csv(location))), (reason) => {
              if (reason._tag === "InvalidSource") return reason.problem
              return reason._tag === "InvalidOption" ? reason.path : reason._tag
            })
        )
        assert.deepStrictEqual(problems, [
          "not-found",
          "not-found",
          "failed",
          "not-found",
          "location",
          "location",
          "location",
          "location"
        ])
      })
    ))

  it.effect("refuses delimiters and schemas that cannot work", () =>
    inFolder((file) =>
      Effect.gen(function*() {
        const path = yield* file("a.csv", "a\n1\n")
        for (const delimiter of ["", "\"", "\n", ",,", "😀"]) {
          const reason = yield* reasonOf(readAll(csv(path, { delimiter })))
          assert.strictEqual(reason._tag === "InvalidOption" && reason.path, "delimiter")
        }
        const whole = Schema.Struct({ a: Schema.String }).check(Schema.makeFilter(() => true))
        const reason = yield* reasonOf(readAll(csv(path, { columns: whole })))
        assert.strictEqual(reason._tag === "InvalidOption" && reason.path, "columns")
        const opaque = Schema.Struct({ a: Schema.instanceOf(Float64Array) })
        const unreadable = yield* reasonOf(readAll(csv(path, { columns: opaque })))
        assert.strictEqual(unreadable._tag === "InvalidOption" && unreadable.path, "columns.a")
      })
    ))

  it.effect("refuses locations and options of other kinds, as JavaScript may give them", () =>
    inFolder((file) =>
      Effect.gen(function*() {
        const path = yield* file("a.csv", "a\nN\n")
        const wrong = (location: unknown, options?: unknown) =>
          Effect.map(
            reasonOf(readAll(csv(location as string, options as undefined))),
            (reason) => reason._tag === "InvalidOption" ? reason.path : reason._tag
          )
        for (const location of [undefined, null, 5, { href: path }]) {
          assert.strictEqual(yield* wrong(location), "location")
        }
        assert.strictEqual(yield* wrong(path, null), "options")
        assert.strictEqual(yield* wrong(path, { delimiter: 5 }), "delimiter")
        for (const nullValues of ["NA", 5, [5], null]) {
          assert.strictEqual(yield* wrong(path, { nullValues }), "nullValues")
        }
        for (const columns of [{}, { a: "string" }, "a", null]) {
          assert.strictEqual(yield* wrong(path, { columns }), "columns")
        }
      })
    ))

  it.effect("fails when the file changes while it is read", () =>
    inFolder((file) =>
      Effect.gen(function*() {
        const path = yield* file("a.csv", `a\n${"1\n".repeat(500_000)}`)
        const opened = yield* csv(path).open
        yield* file("a.csv", `a\n${"2\n".repeat(500_001)}`)
        const reason = yield* reasonOf(rowsOf(opened))
        assert.include(reason.message, "the file changed while it was read")
      })
    ))
})
