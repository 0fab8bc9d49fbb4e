/**
 * What each case is held against: plain reading, parsing and JSON work on the same bytes, and nothing else. Each gives
 * the number of rows that it has read.
 */
import { asyncBufferFromFile, parquetMetadataAsync, parquetRead } from "hyparquet"
import { compressors } from "hyparquet-compressors"
import { createReadStream } from "node:fs"
import { StringDecoder } from "node:string_decoder"
import Papa from "papaparse"
import { type Format, recordIdOf, requestOf } from "./data.ts"
import { arriving, type Output, type Outputs } from "./outputs.ts"

const read = (path: string) => createReadStream(path, { highWaterMark: 512 * 1024 })

/** Keeps what is made from being optimised away. */
let characters = 0

const record = (row: number, topic: string, text: string): void => {
  characters += JSON.stringify({ recordId: recordIdOf(row), modelInput: requestOf({ topic, text }) }).length
}

const csv = async (path: string): Promise<number> => {
  const decoder = new StringDecoder("utf8")
  let rest = ""
  let rows = -1
  const parse = (more: string, last: boolean) => {
    rest += more
    const parser = new Papa.Parser({ delimiter: ",", newline: "\n", quoteChar: "\"" })
    const { data, meta }: { data: Array<Array<string>>; meta: { cursor: number } } = parser.parse(rest, 0, !last)
    rest = rest.slice(meta.cursor)
    for (const cells of data) {
      if (cells.length < 3) continue
      if (rows >= 0) record(rows, cells[1]!, cells[2]!)
      rows++
    }
  }
  for await (const piece of read(path)) parse(decoder.write(piece), false)
  parse(decoder.end(), true)
  return rows
}

/** Calls `take` with each line. */
const lines = async (pieces: AsyncIterable<Buffer>, take: (line: string) => void): Promise<void> => {
  let rest: Buffer | null = null
  for await (const piece of pieces) {
    let from = 0
    for (let end = piece.indexOf(0x0a); end >= 0; end = piece.indexOf(0x0a, from)) {
      const line: Buffer = piece.subarray(from, end)
      take((rest === null ? line : Buffer.concat([rest, line])).toString("utf8"))
      rest = null
      from = end + 1
    }
    if (from < piece.length) rest = rest === null ? piece.subarray(from) : Buffer.concat([rest, piece.subarray(from)])
  }
  if (rest !== null) take(rest.toString("utf8"))
}

const jsonl = async (path: string): Promise<number> => {
  let rows = 0
  await lines(read(path), (line) => {
    const { text, topic }: { topic: string; text: string } = JSON.parse(line)
    record(rows++, topic, text)
  })
  return rows
}

const parquet = async (path: string): Promise<number> => {
  const file = await asyncBufferFromFile(path)
  const metadata = await parquetMetadataAsync(file)
  let rows = 0
  for (const { num_rows } of metadata.row_groups) {
    const columns = new Map<string, Array<string>>()
    await parquetRead({
      file,
      metadata,
      compressors,
      rowStart: rows,
      rowEnd: rows + Number(num_rows),
      onChunk: ({ columnData, columnName }) => {
        const column = columns.get(columnName) ?? []
        columns.set(columnName, column)
        for (let i = 0; i < columnData.length; i++) column.push(columnData[i])
      }
    })
    const [topics, texts] = [columns.get("topic")!, columns.get("text")!]
    for (let i = 0; i < texts.length; i++) record(rows++, topics[i]!, texts[i]!)
  }
  return rows
}

const readers = { csv, jsonl, parquet }

/** Reads a file, and makes the JSON of each record. */
export const prepare = async (format: Format, path: string): Promise<number> => {
  const rows = await readers[format](path)
  return characters > 0 ? rows : 0
}

/** Splits outputs into lines, and parses each. */
export const collect = async (generator: Outputs, outputs: ReadonlyArray<Output>): Promise<number> => {
  let rows = 0
  for (const output of outputs) {
    await lines(arriving(generator.pieces(output)), (line) => {
      const { modelOutput }: { modelOutput: object } = JSON.parse(line)
      if (modelOutput !== null) rows++
    })
  }
  return rows
}
