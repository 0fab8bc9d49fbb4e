import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema, type Scope, Stream } from "effect"
import { parquetWriteBuffer } from "hyparquet-writer"
import { gzipSync } from "node:zlib"
import type { Column } from "../../src/Column.ts"
import type { Batch } from "../../src/internal/Batch.ts"
import { toRows } from "../../src/internal/Rows.ts"
import * as RowsFile from "../../src/internal/RowsFile.ts"
import { sink } from "../../src/sink/ArrowIpc.ts"
import type { Position } from "../../src/source/internal/Position.ts"
import * as Source from "../../src/source/Source.ts"
import type { ObjectStore } from "../../src/store/ObjectStore.ts"
import { startFakeHub } from "../rig/FakeHub.ts"
import { inFolder } from "./folder.ts"

/** Rows of which some are long and some hold all that makes a text hard to cut. */
const texts = (count: number, from = 0) =>
  Array.from({ length: count }, (_, i) => {
    const n = from + i
    const text = n % 7 === 0 ? "é\u2028🙂 \"so\"\r\nand on" : n % 11 === 0 ? "x".repeat(900) : `topic ${n}`
    return { n: String(n), text }
  })

const csvOf = (rows: ReadonlyArray<{ readonly n: string; readonly text: string }>, end = "\n", header = true) =>
  (header ? `\ufeff# about${end}n,text${end}` : "") +
  rows.map(({ n, text }) => `${n},"${text.replaceAll("\"", "\"\"")}"${end}${Number(n) % 500 === 0 ? end : ""}`).join("")

const jsonlOf = (rows: ReadonlyArray<object>) =>
  "\ufeff" + rows.map((row, i) => `${i % 400 === 0 ? "\n \n" : ""}${JSON.stringify(row)}\n`).join("")

const columns: ReadonlyArray<Column> = [{ name: "n", type: "string" }, { name: "text", type: "string" }]

const batchOf = (rows: ReadonlyArray<{ readonly n: string; readonly text: string }>): Batch => ({
  length: rows.length,
  columns: [rows.map(({ n }) => n), rows.map(({ text }) => text)]
})

const inBatches = (count: number, size: number) =>
  Stream.fromIterable(
    Array.from({ length: Math.ceil(count / size) }, (_, i) => batchOf(texts(Math.min(size, count - i * size), i * size)))
  )

const encoded = (pieces: Stream.Stream<Uint8Array>) => Effect.map(Stream.runCollect(pieces), (all) => Buffer.concat(all))

/** From each place that batches tell, the rows are those from there on; gives the places. */
const follow = Effect.fnUntraced(function*(source: Source.Source<object, ObjectStore>) {
  const opened = yield* source.open
  const batches = yield* Stream.runCollect(opened.batches)
  const rows = batches.flatMap((batch) => toRows(opened.columns, batch))
  const places: Array<Position> = []
  let row = 0
  for (const { length, position } of batches) {
    if (position === undefined) return assert.fail("a batch tells no place")
    assert.isAtMost(position.row, row)
    if (places.at(-1)?.row !== position.row) places.push(position)
    row += length
  }
  for (const place of places) {
    const from = yield* Effect.scoped(Effect.flatMap(source.open, (again) =>
      Effect.map(Stream.runCollect(again.from!(place)), (rest) => {
        assert.strictEqual(rest[0]?.position?.row, place.row)
        return rest.flatMap((batch) => toRows(again.columns, batch))
      })))
    assert.deepStrictEqual(from, rows.slice(place.row), JSON.stringify(place))
  }
  return { rows, places }
})

const isIn = (places: ReadonlyArray<Position>, file: number) => places.filter((place) => place.file === file).length

type Write = Parameters<Parameters<typeof inFolder>[0]>[0]

const each: ReadonlyArray<readonly [string, (file: Write) => Effect.Effect<void, unknown, ObjectStore | Scope.Scope>]> = [
  ["CSV files, whatever is in their fields, one of them compressed", Effect.fnUntraced(function*(file) {
    const paths = [
      yield* file("a.csv", csvOf(texts(8000))),
      yield* file("b.csv.gz", gzipSync(csvOf(texts(8000, 8000)))),
      yield* file("c.csv", csvOf(texts(3, 16_000)))
    ]
    const { places, rows } = yield* follow(Source.csv(paths, { comment: "#" }))
    assert.lengthOf(rows, 16_003)
    assert.isAbove(isIn(places, 0), 1)
    assert.isAbove(isIn(places, 1), 1)
    assert.strictEqual(isIn(places, 2), 1)
  })],
  ["a CSV file without a header, with lines of its own end, some left out, and a limit", Effect.fnUntraced(function*(file) {
    const path = yield* file("a.csv", `left out\r\n${csvOf(texts(8000), "\r\n", false)}`)
    const { places, rows } = yield* follow(Source.csv(path, { names: ["n", "text"], skipLines: 1, limit: 7654 }))
    assert.lengthOf(rows, 7654)
    assert.isAbove(places.length, 1)
  })],
  ["JSON Lines, one file of them compressed", Effect.fnUntraced(function*(file) {
    const paths = [
      yield* file("a.jsonl", jsonlOf(texts(5000))),
      yield* file("b.jsonl.gz", gzipSync(jsonlOf(texts(5000, 5000))))
    ]
    const { places, rows } = yield* follow(Source.jsonl(paths, { limit: 9000 }))
    assert.lengthOf(rows, 9000)
    assert.isAbove(isIn(places, 0), 1)
    assert.isAbove(isIn(places, 1), 1)
    yield* follow(Source.jsonl(paths, { columns: Schema.Struct({ n: Schema.String, text: Schema.String }) }))
  })],
  ["Parquet, by row groups", Effect.fnUntraced(function*(file) {
    const rows = texts(3500)
    const columnData = [{ name: "n", data: rows.map(({ n }) => n) }, { name: "text", data: rows.map(({ text }) => text) }]
    const bytes = Buffer.from(parquetWriteBuffer({ columnData, rowGroupSize: 1000 }))
    const paths = [yield* file("a.parquet", bytes), yield* file("b.parquet", bytes)]
    const { places, rows: read } = yield* follow(Source.parquet(paths, { limit: 6800 }))
    assert.lengthOf(read, 6800)
    assert.isAbove(places.length, 4)
  })],
  ["Arrow files by record batches, and streams from their beginning", Effect.fnUntraced(function*(file) {
    const paths = [
      yield* file("a.arrow", yield* encoded(sink.encode(columns, inBatches(21_000, 5000)))),
      yield* file("b.arrows", yield* encoded(RowsFile.encode(columns, inBatches(1500, 500)))),
      yield* file("c.arrow", yield* encoded(sink.encode(columns, inBatches(12_000, 5000))))
    ]
    const { places, rows } = yield* follow(Source.arrow(paths, { limit: 34_000 }))
    assert.lengthOf(rows, 34_000)
    assert.isAbove(isIn(places, 0), 1)
    assert.strictEqual(isIn(places, 1), 1)
    assert.isAbove(isIn(places, 2), 1)
  })]
]

describe("a source is read on from any place that its batches tell", () => {
  for (const [name, run] of each) it.live(name, () => inFolder((file) => run(file)))

  it.live("a file of a dataset on the Hub, of which only the rest is fetched", () =>
    inFolder(() =>
      Effect.gen(function*() {
        const hub = yield* Effect.acquireRelease(Effect.promise(startFakeHub), (hub) => Effect.promise(hub.close))
        const csv = csvOf(texts(8000)).slice("\ufeff# about\n".length)
        hub.commit("org/rows", { "train.csv": csv })
        const source = Source.huggingFace("org/rows", { hubUrl: hub.hubUrl, datasetsServerUrl: hub.serverUrl })
        const { places } = yield* follow(source)
        assert.isAbove(places.length, 1)
        const { offset } = places[1]!
        const ranges = hub.log.flatMap(({ headers }) => headers.range ?? [])
        assert.include(ranges, `bytes=${offset}-${Buffer.byteLength(csv) - 1}`)
      })
    ))
})
