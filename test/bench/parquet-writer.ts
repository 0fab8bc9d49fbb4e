/**
 * Rows per second of the Parquet sink and of hyparquet-writer on the same embeddings, in turns in one process: `node
 * test/bench/parquet-writer.ts [rows] [dimensions] [rounds]`. Both get `Float32Array`s, as embeddings are read, and
 * write row groups of 4,000 rows, the vectors uncompressed, to nowhere. hyparquet-writer takes lists as arrays only, so
 * making those is part of its time; its statistics are off.
 */
import * as Parquet from "@bedrock-batch/sdk/sink/Parquet"
import { Effect, Stream } from "effect"
import { parquetMetadata, parquetReadObjects } from "hyparquet"
import { compressors } from "hyparquet-compressors"
import { ByteWriter, ParquetWriter, type SchemaElement } from "hyparquet-writer"

const [rows = 20_000, dimensions = 1024, rounds = 3] = process.argv.slice(2).map(Number)
const groupRows = 4000

const ids = Array.from({ length: rows }, (_, i) => `r${String(i).padStart(10, "0")}`)
const vectors = ids.map((_, row) =>
  Float32Array.from({ length: dimensions }, (_, i) => Math.sin(row * dimensions + i) / 32))
const groups = Array.from(
  { length: Math.ceil(rows / groupRows) },
  (_, g) => [g * groupRows, (g + 1) * groupRows] as const
)

/** Counts the bytes of a file, or keeps them. */
interface Output {
  bytes: number
  readonly pieces: Array<Uint8Array> | null
}

const take = (output: Output, piece: Uint8Array): void => {
  output.bytes += piece.length
  output.pieces?.push(piece.slice())
}

const ours = (output: Output): Promise<void> => {
  const batches = Stream.fromIterable(groups).pipe(
    Stream.map(([from, to]) => {
      const columns = [ids.slice(from, to), vectors.slice(from, to)]
      return { length: columns[0]!.length, columns }
    })
  )
  const columns = [{ name: "record_id", type: "string" }, { name: "embedding", type: "vector" }] as const
  return Effect.runPromise(
    Stream.runForEach(Parquet.make().encode(columns, batches), (piece) => Effect.sync(() => take(output, piece)))
  )
}

const schema: Array<SchemaElement> = [
  { name: "schema", num_children: 2 },
  { name: "record_id", type: "BYTE_ARRAY", repetition_type: "OPTIONAL", converted_type: "UTF8" },
  { name: "embedding", repetition_type: "OPTIONAL", num_children: 1, converted_type: "LIST" },
  { name: "list", repetition_type: "REPEATED", num_children: 1 },
  { name: "element", type: "FLOAT", repetition_type: "OPTIONAL" }
]

const theirs = async (output: Output): Promise<void> => {
  const buffer = new ByteWriter()
  const writer = new ParquetWriter({ writer: buffer, schema, statistics: false })
  for (const [from, to] of groups) {
    const embeddings = vectors.slice(from, to).map((vector) => Array.from(vector))
    await writer.write({
      columnData: [
        { name: "record_id", data: ids.slice(from, to), encoding: "PLAIN" },
        { name: "embedding", data: embeddings, encoding: "PLAIN", codec: "UNCOMPRESSED" }
      ]
    })
  }
  await writer.finish()
  take(output, buffer.getBytes())
}

const timed = async (write: (output: Output) => Promise<void>) => {
  const output: Output = { bytes: 0, pieces: null }
  const start = performance.now()
  await write(output)
  return { rowsPerSecond: rows / ((performance.now() - start) / 1000), bytes: output.bytes }
}

/** The first rows of the file, so that only files with the same content are compared. */
const firstRows = async (write: (output: Output) => Promise<void>): Promise<string> => {
  const output: Output = { bytes: 0, pieces: [] }
  await write(output)
  const file = new Uint8Array(Buffer.concat(output.pieces!)).buffer
  const read = await parquetReadObjects({ file, compressors, rowEnd: 20 })
  return JSON.stringify([Number(parquetMetadata(file).num_rows), read])
}

const median = (values: ReadonlyArray<number>): number => values.toSorted((a, b) => a - b)[values.length >> 1]!

if (await firstRows(ours) !== await firstRows(theirs)) throw new Error("the two files differ")

const measured = { "bedrock-batch": [] as Array<number>, "hyparquet-writer": [] as Array<number> }
const bytes = { "bedrock-batch": 0, "hyparquet-writer": 0 }
for (let round = 0; round < rounds; round++) {
  for (const [name, write] of [["bedrock-batch", ours], ["hyparquet-writer", theirs]] as const) {
    const result = await timed(write)
    measured[name].push(result.rowsPerSecond)
    bytes[name] = result.bytes
  }
}

const report = (["bedrock-batch", "hyparquet-writer"] as const).map((writer) => ({
  writer,
  rowsPerSecond: Math.round(median(measured[writer])),
  megabytesPerSecond: Math.round(median(measured[writer]) * dimensions * 4 / 1e6),
  fileMegabytes: Math.round(bytes[writer] / 1e6)
}))
const ratio = Number((median(measured["bedrock-batch"]) / median(measured["hyparquet-writer"])).toFixed(1))
console.table(report)
console.log(`${ratio} times as many rows per second`)
const benchmark = { benchmark: "parquet-writer", node: process.version, rows, dimensions, rounds }
console.log(JSON.stringify({ ...benchmark, report, ratio }))
