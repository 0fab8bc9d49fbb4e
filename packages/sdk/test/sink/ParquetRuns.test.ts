import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import { readRleBitPackedHybrid } from "hyparquet/src/encoding.js"
import { RunWriter } from "../../src/sink/internal/ParquetRuns.ts"

const whole = (minimum: number, maximum: number) =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum, maximum })))

/** Numbers of a width as runs, some of them long. */
const anyRuns = whole(1, 16).pipe(
  Arbitrary.flatMap((width) => {
    const run = Arbitrary.all({ value: whole(0, 2 ** width - 1), count: whole(0, 30), isLong: whole(0, 9) })
    return Arbitrary.array(run, { maxLength: 60 }).pipe(
      Arbitrary.map((runs) => ({
        width,
        runs: runs.map(({ count, isLong, value }) => [value, isLong === 0 ? count * 5000 : count] as const)
      }))
    )
  })
)

describe("ParquetRuns", () => {
  const writer = new RunWriter()

  it.prop("writes numbers of any width so that they are read back", [anyRuns], ([{ runs, width }]) => {
    writer.begin(width)
    for (const [value, count] of runs) writer.push(value, count)
    writer.end()
    const expected = runs.flatMap(([value, count]) => new Array<number>(count).fill(value))
    const bytes = writer.bytes.slice(0, writer.length)
    const reader = { view: new DataView(bytes.buffer), offset: 0 }
    const read = new Array<number>(expected.length)
    readRleBitPackedHybrid(reader, width, read, bytes.length)
    assert.isTrue(read.every((value, i) => value === expected[i]))
  }, { arbitrary: { runs: 300 } })

  it("writes a run of one value in a few bytes", () => {
    writer.begin(1)
    for (let i = 0; i < 10_000; i++) writer.push(1, 1)
    writer.end()
    assert.strictEqual(writer.length, 4)
  })
})
