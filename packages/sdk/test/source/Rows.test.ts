import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Effect, Fiber, Layer, Schema, Stream } from "effect"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { BatchError, Reason } from "../../src/BatchError.ts"
import { toRows } from "../../src/internal/Rows.ts"
import { rows } from "../../src/source/Rows.ts"
import type { OpenSource, Source } from "../../src/source/Source.ts"
import * as FileSystem from "../../src/store/FileSystem.ts"

const store = FileSystem.layer({ directory: join(tmpdir(), "rows-source-test") })

const open = <Row extends object, R>(source: Source<Row, R>) => Effect.provide(source.open, store)

const rowsOf = (opened: OpenSource): Effect.Effect<Array<Record<string, unknown>>, BatchError> =>
  Effect.map(Stream.runCollect(opened.batches), (batches) => batches.flatMap((batch) => toRows(opened.columns, batch)))

const typesOf = (opened: OpenSource): ReadonlyArray<string> =>
  opened.columns.map(({ name, type }) => `${name}: ${type}`)

const faultOf = <Row extends object, R>(source: Source<Row, R>) =>
  Effect.map(Effect.flip(Effect.flatMap(open(source), rowsOf)), ({ reason }: { readonly reason: Reason }) =>
    reason._tag === "InvalidSource"
      ? [reason.problem, reason.row, reason.column, reason.message]
      : [reason._tag, null, null, reason.message])

const identityOf = (source: Source<object>) => Effect.map(open(source), (opened) => opened.identity)

describe("Source.rows", () => {
  it.effect("finds the columns of an array from all its rows", () =>
    Effect.gen(function*() {
      const at = new Date(0)
      const input = [
        { s: "a", i: 1, n: 1, b: true, big: 1n, at, bytes: Uint8Array.of(1), v: Float32Array.of(1), j: { a: 1 }, no: null },
        { s: null, i: -2, n: 0.5, b: false, big: 2n ** 63n - 1n, late: "x", m: 1, z: -0 },
        { s: "c", i: undefined, m: "two", l: [1], c: true }
      ]
      const opened = yield* open(rows(input))
      assert.deepStrictEqual(typesOf(opened), [
        "s: string",
        "i: integer",
        "n: number",
        "b: boolean",
        "big: bigint",
        "at: date",
        "bytes: binary",
        "v: vector",
        "j: json",
        "no: string",
        "late: string",
        "m: json",
        "z: number",
        "l: json",
        "c: boolean"
      ])
      assert.strictEqual(opened.count, 3)
      assert.isNull(opened.uri)
      const read = yield* rowsOf(opened)
      assert.deepStrictEqual(read.map(({ i, late, m, s }) => [s, i, late, m]), [
        ["a", 1, null, null],
        [null, -2, "x", 1],
        ["c", null, null, "two"]
      ])
      assert.deepStrictEqual(read[0]!["j"], { a: 1 })
    }))

  it.effect("gives an array of thousands in batches", () =>
    Effect.gen(function*() {
      const input = Array.from({ length: 12_345 }, (_, i) => ({ i }))
      const opened = yield* open(rows(input))
      const batches = yield* Stream.runCollect(opened.batches)
      assert.isTrue(batches.every((batch) => batch.length >= 1 && batch.length <= 5000))
      assert.isBelow(batches.length, 20)
      assert.deepStrictEqual(batches.flatMap((batch) => batch.columns[0]!), input.map(({ i }) => i))
    }))

  it.effect("knows an array by its values, whatever the order of the columns", () =>
    Effect.gen(function*() {
      const same = yield* identityOf(rows([{ a: 1, b: "x" }, { b: "y", a: 2 }]))
      assert.strictEqual(yield* identityOf(rows([{ b: "x", a: 1 }, { a: 2, b: "y" }])), same)
      const at = new Date(0)
      const others: Array<ReadonlyArray<object>> = [
        [{ a: 1, b: "x" }],
        [{ a: 2, b: "y" }, { a: 1, b: "x" }],
        [{ a: 1 }],
        [{ a: "1" }],
        [{ a: 1n }],
        [{ a: true }],
        [{ a: "true" }],
        [{ a: null }],
        [{ a: "null" }],
        [{ a: at }],
        [{ a: at.toISOString() }],
        [{ a: Uint8Array.of(1) }],
        [{ a: Float32Array.of(1) }],
        [{ a: [1] }],
        [{ a: 0 }],
        [{ a: -0 }],
        [{ a: Number.NaN }],
        [{ a: "x", b: "y,z" }],
        [{ a: "x,y", b: "z" }],
        [{ a: "x" }, { a: "y" }],
        []
      ]
      const identities = yield* Effect.forEach(others, (input) => identityOf(rows(input)))
      assert.strictEqual(new Set([same, ...identities]).size, others.length + 1)
      assert.strictEqual(yield* identityOf(rows([{ a: 1 }], { version: "7" })), "rows:7")
    }))

  it.effect("gives iterables and streams an identity only with a version", () =>
    Effect.gen(function*() {
      const set = () => new Set([{ a: 1 }])
      assert.isNull(yield* identityOf(rows(set())))
      assert.strictEqual(yield* identityOf(rows(set(), { version: "7" })), "rows:7")
      assert.isNull(yield* identityOf(rows(Stream.make({ a: 1 }))))
    }))

  it.effect("takes iterables, async iterables and streams, of any piece size", () =>
    Effect.gen(function*() {
      const input = Array.from({ length: 25_000 }, (_, i) => ({ i, t: `t${i}`, late: i < 5000 ? null : true }))
      const sources: Array<Source<object>> = [
        rows(new Set(input)),
        rows((function*() {
          yield* input
        })()),
        rows((async function*() {
          yield* input
        })()),
        rows(Stream.fromIterable(input)),
        rows(Stream.fromIterable(input).pipe(Stream.rechunk(7))),
        rows(Stream.fromIterable(input).pipe(Stream.rechunk(20_000)))
      ]
      for (const source of sources) {
        const opened = yield* open(source)
        assert.deepStrictEqual(typesOf(opened), ["i: number", "t: string", "late: boolean"])
        assert.isNull(opened.count)
        const batches = yield* Stream.runCollect(opened.batches)
        assert.isTrue(batches.every((batch) => batch.length > 0 && batch.length <= 5000))
        assert.isBelow(batches.length, 60)
        assert.deepStrictEqual(batches.flatMap((batch) => toRows(opened.columns, batch)), input)
      }
    }))

  it.effect("has no columns and no rows where there are none", () =>
    Effect.gen(function*() {
      for (const source of [rows([]), rows(new Set<object>()), rows(Stream.empty)]) {
        const opened = yield* open(source as Source<object>)
        assert.deepStrictEqual([opened.columns, opened.count, yield* rowsOf(opened)], [[], 0, []])
      }
    }))

  it.effect("looks at 10,000 rows for a column's first value, and then takes it for text", () =>
    Effect.gen(function*() {
      const of = (nulls: number) =>
        rows(new Set(Array.from({ length: nulls + 1 }, (_, i) => ({ a: i < nulls ? null : 1 }))))
      assert.deepStrictEqual(typesOf(yield* open(of(9999))), ["a: number"])
      assert.deepStrictEqual((yield* faultOf(of(10_000))).slice(0, 3), ["malformed", 10_001, "a"])
    }))

  it.effect("names the row and column that do not fit what the first rows showed", () =>
    Effect.gen(function*() {
      const after = (row: object) => new Set<object>([...Array.from({ length: 3000 }, () => ({ a: 1, j: [1] })), row])
      for (const [row, column] of [[{ a: "x" }, "a"], [{ b: 1 }, "b"], [{ a: 1n }, "a"], [{ j: [1n] }, "j"]] as const) {
        const fault = yield* faultOf(rows(after(row)))
        assert.deepStrictEqual(fault.slice(0, 3), ["malformed", 3001, column])
      }
      const [, , , message] = yield* faultOf(rows(after({ b: 1 })))
      assert.include(message, "declare `columns`")
    }))

  it.effect("refuses values that no column can hold", () =>
    Effect.gen(function*() {
      const loop: Array<unknown> = []
      loop.push(loop)
      const large = [2n ** 63n, -(2n ** 63n) - 1n]
      const values = [...large, new Date(Number.NaN), Symbol("x"), () => 1, new Map(), loop, [Number.NaN]]
      for (const value of values) {
        const fault = yield* faultOf(rows([{ a: null }, { a: value }]))
        assert.deepStrictEqual(fault.slice(0, 3), ["malformed", 2, "a"])
      }
      const mixed = yield* faultOf(rows([{ a: "x" }, { a: new Date(0) }]))
      assert.deepStrictEqual(mixed.slice(0, 3), ["malformed", 2, "a"])
      assert.include(mixed[3], "an object of class Date")
    }))

  it.effect("refuses rows that are no objects", () =>
    Effect.gen(function*() {
      for (const row of [null, undefined, 1, "x", [1], new Date(0), Uint8Array.of(1)]) {
        const fault = yield* faultOf(rows([{ a: 1 }, row as object]))
        assert.deepStrictEqual(fault.slice(0, 3), ["malformed", 2, null])
        assert.deepStrictEqual((yield* faultOf(rows(new Set([{ a: 1 }, row as object])))).slice(0, 2), ["malformed", 2])
      }
    }))

  it.effect("refuses what is no source of rows, and options of other kinds, as JavaScript may give them", () =>
    Effect.gen(function*() {
      const wrong = (given: unknown, options?: unknown) =>
        Effect.map(
          Effect.flip(open(rows(given as Array<object>, options as undefined))),
          ({ reason }) => reason._tag === "InvalidOption" ? reason.path : reason._tag
        )
      for (const given of [undefined, null, 5, "abc", true, () => [], { a: 1 }, Promise.resolve([{ a: 1 }])]) {
        assert.strictEqual(yield* wrong(given), "rows")
      }
      assert.strictEqual(yield* wrong([{ a: 1 }], null), "options")
      assert.strictEqual(yield* wrong([{ a: 1 }], { version: 5 }), "version")
      for (const columns of [{}, { a: "string" }, "a", null]) {
        assert.strictEqual(yield* wrong([{ a: 1 }], { columns }), "columns")
        assert.strictEqual(yield* wrong(new Set([{ a: 1 }]), { columns }), "columns")
      }
    }))

  it.effect("keeps columns whose names objects already have", () =>
    Effect.gen(function*() {
      const row: object = JSON.parse("{\"__proto__\":\"p\",\"constructor\":\"c\",\"toString\":1}")
      const opened = yield* open(rows([row, { hasOwnProperty: true }]))
      assert.deepStrictEqual(typesOf(opened), [
        "__proto__: string",
        "constructor: string",
        "toString: integer",
        "hasOwnProperty: boolean"
      ])
      const read = yield* rowsOf(opened)
      assert.deepStrictEqual(read.map(Object.values), [["p", "c", 1, null], [null, null, null, true]])
      assert.deepStrictEqual(Object.keys(read[0]!), ["__proto__", "constructor", "toString", "hasOwnProperty"])
    }))

  it.effect("takes declared columns, checks the values, and allows null where the schema does", () =>
    Effect.gen(function*() {
      const columns = Schema.Struct({
        id: Schema.Int,
        score: Schema.NullOr(Schema.FiniteFromString),
        tag: Schema.optionalKey(Schema.Literals(["a", "b"]))
      })
      const input = new Set([{ id: 1, score: 0.5 }, { id: 2, score: null, tag: "b" as const }])
      const opened = yield* open(rows(input, { columns }))
      assert.deepStrictEqual(typesOf(opened), ["id: integer", "score: number", "tag: string"])
      assert.deepStrictEqual((yield* rowsOf(opened)).map(Object.values), [[1, 0.5, null], [2, null, "b"]])
      const declared: Schema.ConstraintDecoder<object> = columns
      const fault = (row: object) => faultOf(rows([row], { columns: declared }))
      assert.deepStrictEqual((yield* fault({ id: 1.5, score: 1 })).slice(0, 3), ["malformed", 1, "id"])
      assert.deepStrictEqual((yield* fault({ score: 1 })).slice(0, 3), ["malformed", 1, "id"])
      assert.deepStrictEqual((yield* fault({ id: 1, score: null, tag: "c" })).slice(0, 3), ["malformed", 1, "tag"])
      assert.deepStrictEqual((yield* fault({ id: 1, score: null, other: 1 })).slice(0, 3), ["malformed", 1, "other"])
      const record = Schema.Record(Schema.String, Schema.Int)
      assert.strictEqual((yield* faultOf(rows([{ a: 1 }], { columns: record })))[0], "InvalidOption")
    }))

  it.effect("turns what the rows throw, reject or fail with into a failure that keeps the cause", () =>
    Effect.gen(function*() {
      const boom = new Error("boom")
      const sources: Array<Source<object>> = [
        rows((function*() {
          yield { a: 1 }
          throw boom
        })()),
        rows((async function*() {
          yield { a: 1 }
          throw boom
        })()),
        rows(Stream.concat(Stream.make({ a: 1 }), Stream.fail(boom)))
      ]
      for (const source of sources) {
        const { reason } = yield* Effect.flip(Effect.flatMap(open(source), rowsOf))
        assert.strictEqual(reason._tag === "InvalidSource" && reason.problem, "failed")
        assert.strictEqual(reason.cause, boom)
      }
    }))

  it.effect("gives a stream the services it needs", () => {
    class Topic extends Context.Service<Topic, string>()("test/Topic") {}
    const source: Source<{ readonly topic: string }, Topic> = rows(
      Stream.fromEffect(Topic.pipe(Effect.map((topic) => ({ topic }))))
    )
    return Effect.gen(function*() {
      const opened = yield* open(source).pipe(Effect.provide(Layer.succeed(Topic, "cats")))
      assert.deepStrictEqual(yield* rowsOf(opened), [{ topic: "cats" }])
    })
  })

  it.effect("ends the iterator when it is not read to its end", () =>
    Effect.gen(function*() {
      const ended: Array<string> = []
      const endless = function*() {
        try {
          for (let i = 0;; i++) yield { i }
        } finally {
          ended.push("sync")
        }
      }
      const endlessAsync = async function*() {
        try {
          for (let i = 0;; i++) yield { i }
        } finally {
          ended.push("async")
        }
      }
      for (const source of [rows(endless()), rows(endlessAsync())]) {
        const first = yield* Effect.scoped(Effect.flatMap(open(source), (opened) => Stream.runHead(opened.batches)))
        assert.strictEqual(first._tag, "Some")
      }
      assert.deepStrictEqual(ended, ["sync", "async"])
    }))

  it.live("can be interrupted while an async iterable keeps it waiting", () =>
    Effect.gen(function*() {
      const waiting = yield* Deferred.make<void>()
      const source = rows((async function*() {
        yield { a: 1 }
        await Effect.runPromise(Deferred.succeed(waiting, undefined))
        await new Promise(() => {})
      })())
      const fiber = yield* Effect.forkChild(Effect.scoped(open(source)))
      yield* Deferred.await(waiting)
      yield* Fiber.interrupt(fiber)
    }))

  it.effect("takes some columns and rows, and reads no further", () =>
    Effect.gen(function*() {
      let made = 0
      function* endless() {
        for (;;) yield { n: made++, text: `row ${made}`, more: true }
      }
      const opened = yield* open(rows(endless(), { select: ["text", "n"], limit: 2500, version: "1" }))
      assert.deepStrictEqual(typesOf(opened), ["text: string", "n: number"])
      const read = yield* rowsOf(opened)
      assert.deepStrictEqual([read.length, Object.entries(read.at(-1)!)], [2500, [["text", "row 2500"], ["n", 2499]]])
      assert.isAtMost(made, 3000)

      const input = [{ a: 1, b: "x" }, { a: 2, b: "y" }]
      assert.strictEqual((yield* open(rows(input, { limit: 5 }))).count, 2)
      assert.strictEqual((yield* open(rows(input, { limit: 1 }))).count, 1)
      const identities = yield* Effect.forEach(
        [rows(input), rows(input, { limit: 1 }), rows(input, { limit: 2 }), rows(input, { select: ["a"] })],
        identityOf
      )
      assert.strictEqual(new Set(identities).size, 4)
      for (const limit of [0, -1, 1.5, NaN]) {
        assert.deepStrictEqual((yield* faultOf(rows(input, { limit })))[0], "InvalidOption")
      }
      assert.match(String((yield* faultOf(rows(input, { select: ["c" as "a"] })))[3]), /"c" .*it has "a", "b"/)
    }))
})
