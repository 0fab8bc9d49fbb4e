/**
 * Makes a run of every model family and form of answer, through the emulator over HTTP and a local S3, and checks every
 * row of its result.
 *
 *     npm run families -- [--rows N] [--family TEXT] [--json]
 */
import { buildIfMissing, command } from "../rig/Command.ts"

const help = `npm run families -- [options]

Makes a run of each model family, with images, thinking, vectors of each length, finished bodies and answers held to a
schema, through prepare, submit, awaitAll and collect against the emulator over HTTP and a local S3 in one process. The
emulator refuses some prompts, cuts some answers short, hides errors in some and adds fields of the future to others.
Each row of a result is held against the answer that the emulator gives to the request that this row must become, which
is written and read by hand: its columns, its status, its stop reason and its tokens. Ends with exit code 1 if any row
of any family is not as it must be.

  --rows N       rows of each run, from 100 to 100000                      (200)
  --family TEXT  only the families in whose name or model the text occurs  (all)
  --json         prints one JSON array instead of a line for each family

The files of one run are in memory, at 5,000 rows up to half a gigabyte.
`

const { usage, values } = command(help, {
  options: {
    rows: { type: "string", default: "200" },
    family: { type: "string", default: "" },
    json: { type: "boolean", default: false }
  }
})
const rows = Number(values.rows)
if (!/^[1-9]\d*$/.test(values.rows) || rows < 100 || rows > 100_000) {
  usage(`--rows is ${JSON.stringify(values.rows)}, and must be a whole number from 100 to 100000`)
}

buildIfMissing("emulator")

const { cases } = await import("../rig/FamilyCases.ts")
const { check } = await import("../rig/FamilyRun.ts")
const { Effect } = await import("effect")

const wanted = values.family.toLowerCase()
const chosen = cases.filter(({ family, model }) => `${family} ${model}`.toLowerCase().includes(wanted))
if (chosen.length === 0) usage(`no family has ${JSON.stringify(values.family)} in its name or model`)

const checked = await Effect.runPromise(Effect.forEach(chosen, (one) =>
  Effect.tap(check(one, rows), ({ family, model, ok, problems, rowsPerSecond, seconds }) =>
    Effect.sync(() => {
      if (!values.json) {
        const figures = [`${rows} rows`, ok ? "ok" : "failed", `${seconds.toFixed(1)} s`, `${rowsPerSecond} rows/s`]
        console.log(`${family.padEnd(48)} ${model.padEnd(46)} ${figures.map((figure) => figure.padStart(12)).join("")}`)
      }
      for (const problem of problems) console.error(`${family}: ${problem}`)
    }))))

const failed = checked.filter(({ ok }) => !ok).length
console.log(values.json ? JSON.stringify(checked, null, 1) : `${checked.length - failed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1
