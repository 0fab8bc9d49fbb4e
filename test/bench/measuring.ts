/**
 * Runs the steps of a case, each in a process of its own, and takes medians.
 */
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { CollectCase, PrepareCase } from "./cases.ts"
import type { Came, Side, Step } from "./child.ts"

/** What a case came to, with the keys under which it is written. */
export interface Measured {
  readonly name: string
  readonly rows: number
  /** Null where `collect` was left its default, and where there is none. */
  readonly parallelism: number | null
  readonly rowsPerSecond: number
  readonly ceilingRowsPerSecond: number | null
  readonly ratio: number | null
  readonly peakRssMb: number
}

export interface Settings {
  readonly runs: number
  /** Folder for CPU profiles of the measured processes that are ours. */
  readonly profile: string | null
  /** Told what is being run. */
  readonly log: (message: string) => void
}

export const median = (values: ReadonlyArray<number>): number => {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** Runs a program of Node.js; gives what it writes. */
export const node = (args: ReadonlyArray<string>, cwd: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { cwd, stdio: ["ignore", "pipe", "inherit"] })
    const end = () => child.kill()
    process.once("exit", end)
    let output = ""
    child.stdout.on("data", (piece: Buffer) => output += piece.toString("utf8"))
    child.once("error", reject)
    child.once("close", (code, signal) => {
      process.off("exit", end)
      if (code === 0) resolve(output)
      else reject(new Error(`${signal === null ? `exit code ${code}` : `killed by ${signal}`}: ${args.join(" ")}`))
    })
  })

/** Both sides run with it: else V8 takes up to a hundred megabytes more for what lives shortly, and is no faster. */
const youngGeneration = "--max-semi-space-size=8"

const run = async (step: Step, profile: string | null): Promise<Came> => {
  const flags = [youngGeneration, ...(profile === null ? [] : ["--cpu-prof", `--cpu-prof-dir=${profile}`])]
  const here = import.meta.dirname
  const output = await node([...flags, join(here, "child.ts"), JSON.stringify(step)], here)
  const came: Came = JSON.parse(output.trim().split("\n").at(-1)!)
  return came
}

/** Gives a folder to `use`, and removes it whatever happens. */
export const withFolder = async <A>(use: (folder: string) => Promise<A>): Promise<A> => {
  const folder = fs.mkdtempSync(join(tmpdir(), "bedrock-batch-bench-"))
  const remove = () => fs.rmSync(folder, { recursive: true, force: true })
  process.once("exit", remove)
  try {
    return await use(folder)
  } finally {
    process.off("exit", remove)
    remove()
  }
}

/** Runs both sides of a case in turns, ours once for each parallelism. */
const inTurns = async (
  { ceiling, name }: PrepareCase | CollectCase,
  rows: number,
  parallelisms: ReadonlyArray<number | null>,
  { log, profile, runs }: Settings,
  stepOf: (side: Side, parallelism: number | null) => Step
): Promise<ReadonlyArray<Measured>> => {
  const ceilings: Array<Came> = []
  const ours = parallelisms.map((parallelism) => ({ parallelism, came: new Array<Came>() }))
  for (let i = 1; i <= runs; i++) {
    if (ceiling) {
      log(`${name}, ${rows} rows, run ${i} of ${runs}: ceiling`)
      ceilings.push(await run(stepOf("ceiling", null), null))
    }
    for (const { came, parallelism } of ours) {
      log(`${name}, ${rows} rows, run ${i} of ${runs}${parallelism === null ? "" : `: parallelism ${parallelism}`}`)
      came.push(await run(stepOf("ours", parallelism), profile))
    }
  }
  const perSecond = (came: ReadonlyArray<Came>) => rows / median(came.map(({ seconds }) => seconds))
  return ours.map(({ came, parallelism }) => ({
    name,
    rows,
    parallelism,
    rowsPerSecond: Math.round(perSecond(came)),
    ceilingRowsPerSecond: ceiling ? Math.round(perSecond(ceilings)) : null,
    ratio: ceiling ? Number((perSecond(came) / perSecond(ceilings)).toFixed(3)) : null,
    peakRssMb: Math.round(median(came.map(({ peakRssMb }) => peakRssMb)))
  }))
}

export const measurePrepare = (
  one: PrepareCase,
  rows: number,
  settings: Settings
): Promise<ReadonlyArray<Measured>> =>
  withFolder(async (folder) => {
    const { format, groupRows, name } = one
    const path = join(folder, `rows.${format}`)
    settings.log(`${name}, ${rows} rows: writing the file`)
    await run({ step: "file", format, path, rows, groupRows }, null)
    let count = 0
    return await inTurns(one, rows, [null], settings, (side) => ({
      step: "prepare",
      side,
      format,
      path,
      rows,
      directory: join(folder, `store-${count++}`)
    }))
  })

export const measureCollect = (
  one: CollectCase,
  rows: number,
  parallelisms: ReadonlyArray<number | null>,
  settings: Settings
): Promise<ReadonlyArray<Measured>> =>
  withFolder(async (directory) => {
    const { answer, name } = one
    settings.log(`${name}, ${rows} rows: preparing the jobs`)
    const recordsPerJob = one.recordsPerJob(rows)
    const { outputs } = await run({ step: "jobs", answer, rows, recordsPerJob, directory }, null)
    return await inTurns(one, rows, parallelisms, settings, (side, parallelism) => {
      fs.rmSync(join(directory, "bench", "results"), { recursive: true, force: true })
      return { step: "collect", side, answer, rows, outputs, directory, parallelism }
    })
  })
