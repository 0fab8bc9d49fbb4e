import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Schema, Stream } from "effect"
import { open as openHandle } from "node:fs/promises"
import { pathToFileURL } from "node:url"
import { gzipSync, zstdCompressSync } from "node:zlib"
import { jsonl } from "../../src/source/Jsonl.ts"
import { faultOf, inFolder, readAll, reasonOf, rowsOf } from "./folder.ts"

const lines = (...values: ReadonlyArray<unknown>): string =>
  values.map((value) => `${typeof value === "string" ? value : JSON.stringify(value)}\n`).join("")

describe("Source.jsonl", () => {
  it.effect("finds the columns from the lines, in the order in which keys appear", () =>
    inFolder((file) =>
      Effect.gen(function*() {
        const path = yield* file(
          "a.jsonl",
          lines(
            { text: "é\u2028\u0085", n: 1, flag: true, list: [1], none: null },
            {},
            { n: 0.5, object: { a: 1 }, mixed: "a", __proto__x: 1 },
            { mixed: 1, text: null, flag: false }
          )
        )
        const opened = yield* jsonl(path).open
        assert.deepStrictEqual(Object.fromEntries(opened.columns.map(({ name, type }) => [name, type])), {
          text: "string",
          n: "number",
          flag: "boolean",
          list: "json",
          none: "json",
          object: "json",
          mixed: "json",
          __proto__x: "number"
        })
        assert.deepStrictEqual((yield* rowsOf(opened)).map(Object.values), [
          ["é\u2028\u0085", 1, true, [1], null, null, null, null],
          [null, null, null, null, null, null, null, null],
          [null, 0.5, null, null, null, { a: 1 }, "a", 1],
          [null, null, false, null, null, null, 1, null]
        ])
      })
    ))

  it.effect("understands a byte order mark, blank lines, CRLF, and no line feed at the end", () =>
    inFolder((file) =>
      Effect.gen(function*() {
        const path = yield* file("a.jsonl", "\ufeff\r\n  \t\r\n{\"a\":1}\r\n\n \n{\"a\":2}")
        assert.deepStrictEqual(yield* readAll(jsonl(path)), [{ a: 1 }, { a: 2 }])
        const marked = yield* file("b.jsonl", "\ufeff{\"a\":1}\n{\"a\":}\n")
        assert.strictEqual((yield* faultOf(jsonl(marked))).row, 2)
      })
    ))

  it.effect("keeps columns whose names objects already have, and takes the last of a key given twice", () =>
    inFolder((file) =>
      Effect.gen(function*() {
        const line = "{\"__proto__\":1,\"constructor\":\"x\",\"toString\":[1],\"a\":1,\"a\":2}"
        const path = yield* file("a.jsonl", lines(line, "{\"toString\":null}", "{\"__proto__\":12345678901234567}"))
        assert.deepStrictEqual((yield* readAll(jsonl(path))).map((row) => Object.entries(row)), [
          [["__proto__", 1n], ["constructor", "x"], ["toString", [1]], ["a", 2]],
          [["__proto__", null], ["constructor", null], ["toString", null], ["a", null]],
          [["__proto__", 12345678901234567n], ["constructor", null], ["toString", null], ["a", null]]
        ])
      })
    ))

  it.effect("reads integers beyond 2^53 as bigints, with all their digits", () =>
    inFolder((file) =>
      Effect.gen(function*() {
        const path = yield* file(
          "a.jsonl",
          "{\"id\":1}\n{\"id\":9007199254740993}\n{\"id\":-9223372036854775808}\n{\"id\":1.0}\n" +
            "{\"id\":9223372036854775807}\n"
        )
        const opened = yield* jsonl(path).open
        assert.deepStrictEqual(opened.columns, [{ name: "id", type: "bigint" }])
        assert.deepStrictEqual((yield* rowsOf(opened)).map(({ id }) => id), [
          1n,
          9007199254740993n,
          -9223372036854775808n,
          1n,
          9223372036854775807n
        ])
      })
    ))

  it.effect("never rounds an integer: it fails where a column cannot hold it, with its place", () =>
    inFolder((file) =>
      Effect.gen(function*() {
        const many = Array.from({ length: 1200 }, (_, n) => ({ n }))
        const fault = (text: string) =>
          Effect.flatMap(file("a.jsonl", text), (path) => faultOf(jsonl(path)))
        const later = yield* fault(lines(...many, "{\"n\":9007199254740993}"))
        assert.deepStrictEqual([later.row, later.column, later.problem], [1201, "n", "malformed"])
        assert.include(later.message, "declare `columns`, where `Schema.BigInt` takes it exactly")
        const beside = yield* fault("{\"n\":0.5}\n{\"n\":9007199254740993}\n")
        assert.deepStrictEqual([beside.row, beside.column], [2, "n"])
        const wide = yield* fault("{\"n\":123456789012345678901234567890}\n")
        assert.deepStrictEqual([wide.row, wide.column], [1, "n"])
        const nested = yield* fault("{\"n\":1}\n{\"n\":[{\"id\":1234567890123456789}]}\n")
        assert.deepStrictEqual([nested.row, nested.column], [2, "n"])
        assert.include(nested.message, "leave the column out with `select`")
        const mixed = yield* fault("{\"n\":\"a\"}\n{\"n\":1234567890123456789}\n")
        assert.deepStrictEqual([mixed.row, mixed.column], [2, "n"])
        for (const text of ["{\"n\":1e999}\n", "{\"n\":[1e999]}\n", "{\"n\":-1E+400}\n"]) {
          assert.include((yield* fault(text)).message, "too large for a double")
        }
        const fraction = yield* fault(lines("{\"n\":12345678901234567}", ...many, "{\"n\":0.5}"))
        assert.deepStrictEqual([fraction.row, fraction.column], [1202, "n"])
      })
    ))

  it.effect("takes large integers that a number holds where numbers are", () =>
    inFolder((file) =>
      Effect.gen(function*() {
        const path = yield* file(
          "a.jsonl",
          lines(
            { n: 0.5, v: [2 ** 60] },
            { n: 2 ** 60 + 256, v: 1e20 },
            { n: 1e20 },
            "{\"n\":9007199254740992}",
            { n: -1e25 }
          )
        )
        assert.deepStrictEqual(yield* readAll(jsonl(path)), [
          { n: 0.5, v: [2 ** 60] },
          { n: 2 ** 60 + 256, v: 1e20 },
          { n: 1e20, v: null },
          { n: 2 ** 53, v: null },
          { n: -1e25, v: null }
        ])
      })
    ))

  it.effect("decodes declared columns with their schemas", () =>
    inFolder((file) =>
      Effect.gen(function*() {
        const path = yield* file(
          "a.jsonl",
          lines(
            "{\"id\":1,\"big\":9223372036854775807,\"text\":\"7\",\"at\":\"2024-01-02T03:04:05.678Z\"," +
              "\"bytes\":\"AQI=\",\"vector\":[0.1,2],\"tags\":[\"a\"]," +
              "\"nested\":{\"n\":1,\"at\":\"2024-01-02T00:00:00.000Z\"},\"flag\":true," +
              "\"score\":12345678901234567890,\"level\":\"high\"}",
            "{\"big\":\"-5\",\"id\":-2,\"vector\":[],\"tags\":[]," +
              "\"nested\":{\"n\":\"NaN\",\"at\":\"1970-01-01T00:00:00.000Z\"}," +
              "\"flag\":false,\"at\":null,\"bytes\":\"\",\"score\":2,\"level\":\"low\"}"
          )
        )
        const columns = Schema.Struct({
          id: Schema.Int,
          big: Schema.BigInt,
          text: Schema.optionalKey(Schema.String),
          at: Schema.NullOr(Schema.Date),
          bytes: Schema.Uint8Array,
          vector: Schema.instanceOf(Float32Array),
          tags: Schema.Array(Schema.String),
          nested: Schema.Struct({ n: Schema.Number, at: Schema.Date }),
          flag: Schema.Boolean,
          score: Schema.Finite,
          level: Schema.Literals(["low", "high"])
        })
        const opened = yield* jsonl(path, { columns }).open
        assert.deepStrictEqual(opened.columns.map(({ type }) => type), [
          "integer",
          "bigint",
          "string",
          "date",
          "binary",
          "vector",
          "json",
          "json",
          "boolean",
          "number",
          "string"
        ])
        assert.deepStrictEqual((yield* rowsOf(opened)).map(Object.values), [
          [
            1,
            2n ** 63n - 1n,
            "7",
            new Date("2024-01-02T03:04:05.678Z"),
            Uint8Array.of(1, 2),
            Float32Array.of(0.1, 2),
            ["a"],
            { n: 1, at: new Date("2024-01-02T00:00:00.000Z") },
            true,
            12345678901234567890,
            "high"
          ],
          [
            -2,
            -5n,
            null,
            null,
            new Uint8Array(0),
            new Float32Array(0),
            [],
            { n: Number.NaN, at: new Date(0) },
            false,
            2,
            "low"
          ]
        ])
      })
    ))

  it.effect("fails at a value that does not decode, with its place and not its content", () =>
    inFolder((file) =>
      Effect.gen(function*() {
        const fault = (line: string, columns: Schema.ConstraintDecoder<{ readonly a?: unknown }>) =>
          Effect.gen(function*() {
            const path = yield* file("a.jsonl", `\n{}\n${line}\n`)
            const { column, message, row } = yield* faultOf(jsonl(path, { columns, select: ["a"] }))
            assert.notInclude(message, "secret")
            assert.strictEqual(column, "a")
            return [row, message.split(": ").slice(1).join(": ")]
          })
        const optional = <S extends Schema.Constraint>(schema: S) => Schema.Struct({ a: Schema.optionalKey(schema) })
        assert.deepStrictEqual(yield* fault("{\"a\":\"secret\"}", optional(Schema.Int)), [
          2,
          "the value does not decode: Expected number"
        ])
        assert.deepStrictEqual(yield* fault("{\"a\":1.5}", optional(Schema.BigInt)), [
          2,
          "the value does not decode: Expected an integer"
        ])
        assert.deepStrictEqual(yield* fault("{\"a\":9223372036854775808}", optional(Schema.BigInt)), [
          2,
          "the value does not decode: the bigint does not fit 64 bits; convert it to a string"
        ])
        assert.deepStrictEqual(yield* fault("{\"a\":9007199254740993}", optional(Schema.Int)), [
          2,
          "the value does not decode: Expected an integer"
        ])
        assert.deepStrictEqual(yield* fault("{\"a\":[1,\"secret\"]}", optional(Schema.instanceOf(Float32Array))), [
          2,
          "the value does not decode: Expected an array of numbers"
        ])
        assert.deepStrictEqual(yield* fault("{\"a\":{\"b\":1234567890123456789}}", optional(Schema.Unknown)), [
          2,
          "the value holds an integer of more digits than a JSON value keeps; write it as a text, or leave the column " +
          "out with `select`"
        ])
        assert.deepStrictEqual(yield* fault("{\"a\":1}", Schema.Struct({ a: Schema.Int })), [
          1,
          "the value is missing, and the column's schema has no null"
        ])
      })
    ))

  it.effect("says which line is no JSON object, counting rows, and nothing of its content", () =>
    inFolder((file) =>
      Effect.gen(function*() {
        const cases: ReadonlyArray<readonly [string | Uint8Array, string]> = [
          ["{\"secret\":}", "the line is not JSON"],
          ["secret", "the line is not JSON"],
          ["{\"secret\":1} x", "the line is not JSON (at position 13)"],
          ["[{\"secret\":1}]", "the line is an array, not an object"],
          ["\"secret\"", "the line is a string, not an object"],
          ["5", "the line is a number, not an object"],
          ["null", "the line is null, not an object"],
          ["{", "the line is not JSON"],
          [Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), "the text is not UTF-8"],
          [Buffer.from("{\"a\":\"caf\xe9\"}", "latin1"), "the text is not UTF-8"],
          [Buffer.from([0x7b, 0x22, 0x61, 0x22, 0x3a, 0x22, 0xed, 0xa0, 0x80, 0x22, 0x7d]), "the text is not UTF-8"]
        ]
        for (const [line, message] of cases) {
          for (const before of [1, 1500]) {
            const rows = Buffer.from(`{"secret":0}\n\n`.repeat(before))
            const bad = typeof line === "string" ? Buffer.from(line) : line
            const path = yield* file("a.jsonl", Buffer.concat([rows, bad, Buffer.from("\n{}\n")]))
            const fault = yield* faultOf(jsonl(path))
            assert.include(fault.message, message)
            assert.notInclude(fault.message, "secret")
            assert.isUndefined(fault.cause)
            assert.deepStrictEqual([fault.problem, fault.row, fault.uri], [
              "malformed",
              before + 1,
              pathToFileURL(path).href
            ])
          }
        }
        const kept = yield* file("b.jsonl", "{\"a\":\"\ufffd\"}\n")
        assert.deepStrictEqual(yield* readAll(jsonl(kept)), [{ a: "\ufffd" }])
      })
    ))

  it.effect("looks on until each column has had a value, and not beyond 10,000 lines", () =>
    inFolder((file) =>
      Effect.gen(function*() {
        const rows = (nulls: number) =>
          lines(...Array.from({ length: nulls }, (_, a) => ({ a, b: null })), { a: 1, b: "x" })
        const typeOf = (path: string) => Effect.map(jsonl(path).open, ({ columns }) => columns[1]!.type)
        assert.strictEqual(yield* typeOf(yield* file("a.jsonl", rows(9_000))), "string")
        assert.strictEqual(yield* typeOf(yield* file("b.jsonl", rows(10_000))), "json")
        const late = yield* file("c.jsonl", lines(...Array.from({ length: 2000 }, (_, a) => ({ a })), { a: 1, b: "x" }))
        const fault = yield* faultOf(jsonl(late))
        assert.deepStrictEqual([fault.row, fault.column], [2001, "b"])
        assert.include(fault.message, "declare `columns`, or name the columns to take in `select`")
        const changes = yield* file("d.jsonl", lines(...Array.from({ length: 2000 }, (_, a) => ({ a })), { a: "x" }))
        const other = yield* faultOf(jsonl(changes))
        assert.deepStrictEqual([other.row, other.column], [2001, "a"])
        assert.include(other.message, "expected a number; the first lines make this a number column")
      })
    ))

  it.effect("takes the selected columns and leaves all other keys out", () =>
    inFolder((file) =>
      Effect.gen(function*() {
        const path = yield* file(
          "a.jsonl",
          lines({ a: 1, b: "x", c: [12345678901234567] }, "{\"c\":12345678901234567890123,\"b\":\"y\",\"d\":1e999}")
        )
        const expected = [{ b: "x", a: 1 }, { b: "y", a: null }]
        assert.deepStrictEqual(yield* readAll(jsonl(path, { select: ["b", "a"] })), expected)
        const columns = Schema.Struct({ a: Schema.NullOr(Schema.Int), b: Schema.String })
        assert.deepStrictEqual(yield* readAll(jsonl(path, { columns, select: ["b"] })), [{ b: "x" }, { b: "y" }])
        const undeclared = yield* faultOf(jsonl(path, { columns }))
        assert.deepStrictEqual([undeclared.row, undeclared.column], [1, "c"])
        for (const options of [{ select: ["bb"] }, { select: ["c"], columns }]) {
          const missing = yield* reasonOf(readAll(jsonl(path, options as object)))
          assert.strictEqual(missing._tag, "InvalidColumns")
        }
      })
    ))

  it.effect("takes the first rows, over all files, and looks at no line beyond them", () =>
    inFolder((file) =>
      Effect.gen(function*() {
        const a = yield* file("a.jsonl", lines({ n: 1 }, { n: 2 }))
        const b = yield* file("b.jsonl", lines({ n: 3 }, "not JSON"))
        assert.deepStrictEqual(yield* readAll(jsonl([a, b], { limit: 3 })), [{ n: 1 }, { n: 2 }, { n: 3 }])
        assert.deepStrictEqual(yield* readAll(jsonl([b, a], { limit: 1 })), [{ n: 3 }])
        assert.strictEqual((yield* faultOf(jsonl([a, b], { limit: 4 }))).uri, pathToFileURL(b).href)
      })
    ))

  it.effect("reads several files as one table, and names file and row where they clash", () =>
    inFolder((file) =>
      Effect.gen(function*() {
        const a = yield* file("data/a.jsonl", lines({ x: 1 }))
        const b = yield* file("data/b.ndjson.gz", gzipSync(lines({ x: 2, y: "b" })))
        const c = yield* file("data/c.json.zst", zstdCompressSync(lines({ y: "c" })))
        yield* file("data/_meta.json", "{")
        const expected = [{ x: 1, y: null }, { x: 2, y: "b" }, { x: null, y: "c" }]
        assert.deepStrictEqual(yield* readAll(jsonl([a, b, c])), expected)
        assert.deepStrictEqual(yield* readAll(jsonl(new URL(".", pathToFileURL(a)))), expected)
        const many = yield* file("data/d.jsonl", lines(...Array.from({ length: 1000 }, (_, x) => ({ x }))))
        const clash = yield* file("data/e.jsonl", lines({ x: 1 }, { x: "1" }))
        const fault = yield* faultOf(jsonl([many, clash]))
        assert.deepStrictEqual([fault.uri, fault.row, fault.column], [pathToFileURL(clash).href, 2, "x"])
      })
    ))

  it.effect("has no rows in an empty file whose columns are declared, and needs lines to find them", () =>
    inFolder((file) =>
      Effect.gen(function*() {
        for (const text of ["", "\n\n", "\ufeff", "{}\n{}\n"]) {
          const path = yield* file("a.jsonl", text)
          assert.strictEqual((yield* faultOf(jsonl(path))).problem, "empty")
          const declared = yield* readAll(jsonl(path, { columns: Schema.Struct({ a: Schema.NullOr(Schema.String) }) }))
          assert.strictEqual(declared.length, text.includes("{") ? 2 : 0)
        }
      })
    ))

  it.effect("fails at a line longer than 64 MB without holding the file", () =>
    inFolder((file) =>
      Effect.gen(function*() {
        const path = yield* file("a.jsonl", "{\"a\":1}\n\n{\"a\":1}\n{\"a\":\"")
        yield* Effect.promise(async () => {
          const handle = await openHandle(path, "a")
          await handle.truncate(300_000_000)
          await handle.close()
        })
        const fault = yield* faultOf(jsonl(path))
        assert.deepStrictEqual([fault.row, fault.problem], [3, "malformed"])
        assert.include(fault.message, "the line is longer than 67108864 bytes")
      })
    ), 20_000)

  it.effect("fails when a file changes while it is read, also where the rest of it is not", () =>
    inFolder((file) =>
      Effect.gen(function*() {
        for (const options of [{}, { limit: 250_000 }]) {
          const path = yield* file("a.jsonl", "{\"a\":1}\n".repeat(500_000))
          const opened = yield* jsonl(path, options).open
          yield* file("a.jsonl", "{\"a\":2}\n".repeat(500_001))
          assert.include((yield* reasonOf(rowsOf(opened))).message, "the file changed while it was read")
        }
        const path = yield* file("b.jsonl", "{\"a\":1}\n".repeat(500_000))
        const opened = yield* jsonl(path).open
        yield* file("b.jsonl", "not JSON at all\n".repeat(500_000))
        assert.include((yield* reasonOf(rowsOf(opened))).message, "the file changed while it was read")
      })
    ))

  it.effect("has an identity of the files and all options, and batches of at most 5,000 rows", () =>
    inFolder((file) =>
      Effect.gen(function*() {
        const a = yield* file("a.jsonl", "{\"a\":1}\n".repeat(12_000))
        const b = yield* file("b.jsonl", "{\"a\":2}\n")
        const sources = [
          jsonl(a),
          jsonl([a, b]),
          jsonl([b, a]),
          jsonl(a, { select: ["a"] }),
          jsonl(a, { limit: 5 }),
          jsonl(a, { columns: Schema.Struct({ a: Schema.Int }) }),
          jsonl(a, { columns: Schema.Struct({ a: Schema.Finite }) })
        ]
        const opened = yield* Effect.forEach(sources, (source) => source.open)
        assert.strictEqual(new Set(opened.map(({ identity }) => identity)).size, sources.length)
        const batches = yield* Stream.runCollect(opened[0]!.batches)
        assert.deepStrictEqual(batches.reduce((rows, { length }) => rows + length, 0), 12_000)
        assert.isTrue(batches.every(({ length }) => length > 0 && length <= 5000))
      })
    ))

  it.effect("refuses options of other kinds, as JavaScript may give them", () =>
    inFolder((file) =>
      Effect.gen(function*() {
        const path = yield* file("a.jsonl", "{\"a\":1}\n")
        const wrong = (options: unknown) =>
          Effect.map(
            reasonOf(readAll(jsonl(path, options as undefined))),
            (reason) => reason._tag === "InvalidOption" ? reason.path : reason._tag
          )
        assert.strictEqual(yield* wrong(null), "options")
        for (const columns of [{}, "a", null]) assert.strictEqual(yield* wrong({ columns }), "columns")
        assert.strictEqual(yield* wrong({ columns: Schema.Struct({ a: Schema.instanceOf(Map) }) }), "columns.a")
        for (const select of [[], "a", ["a", "a"], [5]]) assert.strictEqual(yield* wrong({ select }), "select")
        for (const limit of [0, -1, 1.5, "5", Number.NaN]) assert.strictEqual(yield* wrong({ limit }), "limit")
      })
    ))

  const name = Arbitrary.schema(Schema.String)
  const json: Arbitrary.Arbitrary<unknown> = Arbitrary.schema(Schema.Union([
    Schema.String,
    Schema.Finite,
    Schema.Boolean,
    Schema.Null,
    Schema.Array(Schema.Union([Schema.String, Schema.Finite, Schema.Null])),
    Schema.Record(Schema.String, Schema.Finite)
  ]))
  const isWhole = (text: string) => Buffer.from(text).toString() === text

  it.effect.prop(
    "gives back any rows of JSON, however they are compressed and cut into files",
    { names: Arbitrary.array(name, { minLength: 1, maxLength: 4 }), values: Arbitrary.array(json, { maxLength: 40 }) },
    ({ names, values }) =>
      inFolder((file) =>
        Effect.gen(function*() {
          const keys = [...new Set(names)].filter((key) => isWhole(key) && !/^\d+$/.test(key))
          if (keys.length === 0 || values.length === 0 || !isWhole(JSON.stringify(values))) return
          const rows = values.map((_, i) => keys.map((_, j) => values[(i + j * 7) % values.length]))
          const member = (row: ReadonlyArray<unknown>) => (key: string, j: number) =>
            `${JSON.stringify(key)}:${JSON.stringify(row[j])}`
          const text = (part: ReadonlyArray<ReadonlyArray<unknown>>) =>
            part.map((row) => `{${keys.map(member(row)).join()}}`).join("\n")
          const half = Math.ceil(rows.length / 2)
          const paths = [
            yield* file("a.jsonl.gz", gzipSync(text(rows.slice(0, half)))),
            yield* file("b.jsonl", text(rows.slice(half)))
          ]
          const read = yield* readAll(jsonl(paths))
          // JSON has no negative zero to lose: its text is "0".
          const plain = (row: ReadonlyArray<unknown>) => JSON.parse(JSON.stringify(row)) as unknown
          assert.deepStrictEqual(read.map((row) => Object.keys(row)), rows.map(() => keys))
          const big = (_: unknown, value: unknown) => typeof value === "bigint" ? Number(value) : value
          assert.deepStrictEqual(
            JSON.parse(JSON.stringify(read.map((row) => Object.values(row)), big)),
            rows.map(plain)
          )
        })
      ),
    { arbitrary: { runs: 100 } }
  )
})
