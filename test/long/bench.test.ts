import { assert, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import * as fs from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"

const bench = join(import.meta.dirname, "../bench/bench.ts")

it("the benchmark measures every usual case, and writes its figures to a file", async () => {
  const folder = fs.mkdtempSync(join(tmpdir(), "bench-test-"))
  try {
    const file = join(folder, "figures.json")
    const { stdout } = await promisify(execFile)(
      process.execPath,
      [bench, "--rows", "2000", "--runs", "1", "--json", file]
    )
    const figures: ReadonlyArray<Record<string, unknown>> = JSON.parse(fs.readFileSync(file, "utf8"))
    assert.deepStrictEqual(figures.map(({ name, parallelism, rows }) => [name, rows, parallelism]), [
      ["prepare csv", 2000, null],
      ["prepare parquet", 2000, null],
      ["prepare jsonl", 2000, null],
      ["collect text", 2000, 1],
      ["collect text", 2000, 2],
      ["collect embeddings", 200, 1],
      ["collect embeddings", 200, 2]
    ])
    for (const figure of figures) {
      for (const key of ["rowsPerSecond", "ceilingRowsPerSecond", "ratio", "peakRssMb"]) {
        const value = figure[key]
        assert.isTrue(typeof value === "number" && value > 0, `${key} of ${figure["name"]}`)
      }
      assert.include(stdout, String(figure["name"]))
    }
    assert.deepStrictEqual(fs.readdirSync(folder), ["figures.json"])
  } finally {
    fs.rmSync(folder, { recursive: true, force: true })
  }
})

it("the benchmark refuses what it does not know", async () => {
  for (const args of [["finish"], ["--case", "prepare"], ["--rows", "many"], ["--rows", "10"], ["--run", "1"]]) {
    const failure = await promisify(execFile)(process.execPath, [bench, ...args]).then(() => null, (error) => error)
    assert.strictEqual(failure?.code, 2, args.join(" "))
  }
})
