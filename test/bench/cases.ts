/**
 * The cases of the benchmark: which files and jobs each takes.
 */
import type { Format } from "./data.ts"
import type { Answer } from "./outputs.ts"

interface Common {
  readonly name: string
  /** Rows, where `--rows` asks for so many. */
  readonly rows: (asked: number) => number
  /** Whether a ceiling is measured beside it. */
  readonly ceiling: boolean
  /** Whether it is run unless others are asked for. */
  readonly usual: boolean
}

export interface PrepareCase extends Common {
  readonly verb: "prepare"
  readonly format: Format
  /** Rows of a row group. */
  readonly groupRows: number
}

export interface CollectCase extends Common {
  readonly verb: "collect"
  readonly answer: Answer
  /** Records of a job. */
  readonly recordsPerJob: (rows: number) => number
}

/** One that is not about rows. */
export interface FootprintCase {
  readonly name: "import" | "bundle"
  readonly verb: "footprint"
  readonly usual: false
}

export type Case = PrepareCase | CollectCase | FootprintCase

const asAsked = (rows: number): number => rows

/** 50,000, but never all rows in one job. */
const severalJobs = (rows: number): number => Math.min(50_000, Math.ceil(rows / 2))

const groupRows = 50_000
const usual = { ceiling: true, usual: true } as const
const alone = { ceiling: false, usual: false } as const

export const cases: ReadonlyArray<Case> = [
  { ...usual, name: "prepare csv", verb: "prepare", format: "csv", rows: asAsked, groupRows },
  { ...usual, name: "prepare parquet", verb: "prepare", format: "parquet", rows: asAsked, groupRows },
  { ...usual, name: "prepare jsonl", verb: "prepare", format: "jsonl", rows: asAsked, groupRows },
  { ...usual, name: "collect text", verb: "collect", answer: "text", rows: asAsked, recordsPerJob: severalJobs },
  {
    ...usual,
    name: "collect embeddings",
    verb: "collect",
    answer: "embeddings",
    rows: (asked) => Math.ceil(asked / 10),
    recordsPerJob: severalJobs
  },
  {
    ...alone,
    name: "job of 5 GB",
    verb: "collect",
    answer: "embeddings",
    // A line is about 25.7 kB.
    rows: () => 195_000,
    recordsPerJob: (rows) => rows
  },
  {
    ...alone,
    name: "row group of 2,000,000 rows",
    verb: "prepare",
    format: "parquet",
    rows: () => 2_000_000,
    groupRows: 2_000_000
  },
  { name: "import", verb: "footprint", usual: false },
  { name: "bundle", verb: "footprint", usual: false }
]
