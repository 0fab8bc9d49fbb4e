import type { ModelParameters } from "@bedrock-batch/processors/Processor"
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import { CellProblem } from "../../src/internal/CellProblem.ts"
import { rowParameters } from "../../src/internal/RowParameters.ts"

const names = ["max", "temp", "stops"]
const indexOf = (name: string) => names.indexOf(name)
const from = { maxTokens: "max", temperature: "temp", stopSequences: "stops" }
const own: ModelParameters = { maxTokens: 50, topP: 0.5 }

const of = (max: unknown, temp: unknown, stops: unknown) =>
  rowParameters(from, own, indexOf)([[max], [temp], [stops]], 0)

const problemOf = (run: () => unknown): CellProblem => {
  try {
    run()
  } catch (cause) {
    if (cause instanceof CellProblem) return cause
  }
  return assert.fail("it is taken")
}

describe("rowParameters", () => {
  it("takes numbers, bigints and decimal texts, and the run's own parameter for a cell that holds nothing", () => {
    assert.deepStrictEqual(of(10, 0.25, null), { maxTokens: 10, temperature: 0.25, topP: 0.5 })
    assert.deepStrictEqual(of(10n, "0.25", ""), { maxTokens: 10, temperature: 0.25, topP: 0.5 })
    assert.deepStrictEqual(of(" 1e2 ", "-.5", undefined), { maxTokens: 100, temperature: -0.5, topP: 0.5 })
    assert.deepStrictEqual(of("", null, null), { maxTokens: 50, topP: 0.5 })
    assert.deepStrictEqual(of("007", "+1.", null), { maxTokens: 7, temperature: 1, topP: 0.5 })
  })

  it("takes stop sequences as an array, a JSON array or one text", () => {
    const stops = (value: unknown) => of(null, null, value).stopSequences
    assert.deepStrictEqual(stops(["a", "b"]), ["a", "b"])
    assert.deepStrictEqual(stops(" [\"a\", \"]\"]"), ["a", "]"])
    assert.deepStrictEqual(stops("END"), ["END"])
    assert.deepStrictEqual(stops("[/INST]"), ["[/INST]"])
    assert.deepStrictEqual(stops("[1, 2]"), ["[1, 2]"])
    assert.deepStrictEqual(stops([]), [])
  })

  it("refuses everything else, names the column and quotes nothing", () => {
    for (const value of ["many", "0x10", "1 2", "NaN", "Infinity", Number.NaN, Infinity, true, [1], {}, new Date(0)]) {
      const problem = problemOf(() => of(value, null, null))
      assert.strictEqual(problem.column, "max")
      if (typeof value === "string") assert.notInclude(problem.message, value)
    }
    for (const value of [1, true, ["a", 1], { a: "b" }]) {
      assert.strictEqual(problemOf(() => of(null, null, value)).column, "stops")
    }
  })

  it("gives one object for rows of equal parameters", () => {
    const parameters = rowParameters(from, own, indexOf)
    const columns = [[1, "1", 2, 1n], [null, "", null, null], [null, null, null, null]]
    const [first, second, third, fourth] = [0, 1, 2, 3].map((row) => parameters(columns, row))
    assert.strictEqual(first, second)
    assert.strictEqual(first, fourth)
    assert.notStrictEqual(first, third)
  })

  it.prop("reads back every number from its text", [Arbitrary.schema(Schema.Finite)], ([value]) => {
    assert.deepStrictEqual(of(String(value), value, null), of(value, String(value), null))
    assert.strictEqual(of(String(value), null, null).maxTokens, value)
  })

  it("takes -0 for 0, as a text and as a number", () => {
    assert.isTrue(Object.is(of(-0, "-0", null).maxTokens, 0))
    assert.deepStrictEqual(of(-0, "-0", null), of("0", 0, null))
  })
})
