/** Rows to run, plain ones and nasty ones. */
import { type Outcome, Source } from "@bedrock-batch/sdk"
import Papa from "papaparse"
import type { Table } from "./Audit.ts"

/** Texts that break what is written carelessly. */
export const nasty: ReadonlyArray<string> = [
  "plain",
  "a \"quoted\" word",
  "\"",
  "\"\"",
  "a,b;c\td",
  "two\nlines",
  "carriage\r\nreturn",
  "emoji 👩‍👩‍👧‍👦 🦜",
  "line\u2028separator\u2029here\u0085next",
  "{braces} and {{double}} and {topic}",
  "}{",
  "",
  " leading and trailing ",
  "backslash \\n \\u0041 \\",
  "nul \u0001\u001f control",
  "'single' `tick` $& $1 $$",
  "007",
  "NA",
  "null",
  "NaN",
  "true",
  "1e5",
  "=1+1",
  "{\"recordId\":\"r0000000001\"}",
  "Ünï¢ødé ﷽ 漢字",
  "\ufeffbom inside"
]

/** Column names that break what is written carelessly. */
export const nastyColumns = ["topic", "__proto__", "Cost Total $", "constructor", "7", "a.b[c]", "ключ \"q\""] as const

/** A table whose every column shows every nasty text. */
export const nastyTable = (rows: number): Table => ({
  columns: nastyColumns,
  rows: Array.from({ length: rows }, (_, i) =>
    nastyColumns.map((_, j) => j === 4 ? String(i) : nasty[(i * (j + 1) + j) % nasty.length]!))
})

/** Two columns of plain text, of which `id` is different in each row. */
export const plainTable = (rows: number): Table => ({
  columns: ["id", "topic"],
  rows: Array.from({ length: rows }, (_, i) => [String(i), `topic ${i % 7}`])
})

export const csvOf = ({ columns, rows }: Table): string =>
  Papa.unparse({ fields: [...columns], data: rows.map((row) => [...row]) }, { newline: "\n" })

/** The table as rows from memory. */
export const sourceOf = (table: Table) =>
  Source.rows(table.rows.map((row) =>
    Object.fromEntries(table.columns.map((column, j) => [column, row[j]])) as Record<string, string>))

export const sum = (counts: Outcome.Counts | { readonly [outcome: string]: number }): number =>
  Object.values(counts).reduce((a, b) => a + b, 0)
