/**
 * The rows of the benchmark: about 200 characters of text each, the same for the same row number, some of it not ASCII;
 * and files of them.
 */
import { once } from "node:events"
import * as fs from "node:fs"

export interface Row {
  readonly id: string
  readonly topic: string
  readonly text: string
}

export const formats = ["csv", "parquet", "jsonl"] as const
export type Format = typeof formats[number]

/** Numbers in [0, 1), the same for the same seed. */
export const random = (seed: number): () => number => {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

const words = (
  "the of and to in a is that for it as was with be by on not he his but at are this have from or had an they " +
  "which one you were all her she there would their we him been has when who will no more if out so up said " +
  "what its about than into them can only other time new some could these two may first then do any like my now " +
  "over such our man me even most made after also did many off before must well back through years much where " +
  "your way down should because long each just state those people too mr how little good world make very year " +
  "still see own work men day get here old life"
).split(" ")

/** Words that a careless writer breaks: quotes, commas, and characters of two to four bytes. */
const nasty = ["\"so-called\"", "10,000", "Zürich", "naïve", "東京", "🦜", "café,", "“quoted”", "Ωmega", "back\\slash"]

const phrases: ReadonlyArray<string> = (() => {
  const next = random(1)
  const pick = (list: ReadonlyArray<string>): string => list[Math.floor(next() * list.length)]!
  return Array.from({ length: 4096 }, () => {
    const phrase: Array<string> = []
    let length = 0
    while (length < 44) {
      const word = pick(next() < 0.04 ? nasty : words)
      phrase.push(word)
      length += word.length + 1
    }
    return phrase.join(" ")
  })
})()

/** A phrase of about 47 characters. */
const phrase = (row: number, position: number): string => {
  const mixed = Math.imul(row * 16 + position, 0x9e3779b1)
  return phrases[Math.imul(mixed ^ (mixed >>> 15), 0x85ebca77) >>> 20]!
}

/** Phrases to a text of about so many characters. */
export const textOf = (row: number, characters: number): string => {
  let text = `${row}:`
  for (let position = 0; text.length < characters - 24; position++) text += ` ${phrase(row, position)}`
  return text
}

export const rowAt = (row: number): Row => ({
  id: String(row),
  topic: `topic ${row % 17}`,
  text: textOf(row, 200)
})

export const question = "Is the following text about the topic {topic}? Answer yes or no, and give a reason.\n\n{text}"

export const askAbout = ({ text, topic }: Omit<Row, "id">): string =>
  `Is the following text about the topic ${topic}? Answer yes or no, and give a reason.\n\n${text}`

/** What Claude is sent for a row. */
export const requestOf = (row: Omit<Row, "id">) => ({
  anthropic_version: "bedrock-2023-05-31",
  max_tokens: 1024,
  messages: [{ role: "user", content: askAbout(row) }]
})

export const recordIdOf = (row: number): string => `r${String(row).padStart(10, "0")}`

const quoted = (cell: string): string => /[",\n\r]/.test(cell) ? `"${cell.replaceAll("\"", "\"\"")}"` : cell

const lineOf = {
  csv: ({ id, text, topic }: Row) => `${id},${topic},${quoted(text)}\n`,
  jsonl: (row: Row) => `${JSON.stringify(row)}\n`
}

const writeLines = async (path: string, rows: number, header: string, line: (row: Row) => string): Promise<void> => {
  const file = fs.createWriteStream(path)
  file.write(header)
  for (let from = 0; from < rows; from += 2_000) {
    let lines = ""
    for (let row = from; row < Math.min(rows, from + 2_000); row++) lines += line(rowAt(row))
    if (!file.write(lines)) await once(file, "drain")
  }
  file.end()
  await once(file, "close")
}

const writeParquet = async (path: string, rows: number, groupRows: number): Promise<void> => {
  const { fileWriter, ParquetWriter } = await import("hyparquet-writer")
  const columns = ["id", "topic", "text"] as const
  const writer = new ParquetWriter({
    writer: fileWriter(path),
    codec: "SNAPPY",
    schema: [
      { name: "schema", num_children: columns.length },
      ...columns.map((name) =>
        ({ name, type: "BYTE_ARRAY", repetition_type: "OPTIONAL", converted_type: "UTF8" }) as const
      )
    ]
  })
  for (let from = 0; from < rows; from += groupRows) {
    const group = Array.from({ length: Math.min(groupRows, rows - from) }, (_, i) => rowAt(from + i))
    const columnData = columns.map((name) => ({ name, data: group.map((row) => row[name]) }))
    await writer.write({ columnData, rowGroupSize: groupRows })
  }
  await writer.finish()
}

/** Writes the rows as a file; `groupRows` are the rows of a row group in Parquet. */
export const writeFile = async (format: Format, path: string, rows: number, groupRows: number): Promise<void> => {
  if (format === "parquet") await writeParquet(path, rows, groupRows)
  else await writeLines(path, rows, format === "csv" ? "id,topic,text\n" : "", lineOf[format])
}
