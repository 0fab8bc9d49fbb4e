import type { Processor } from "@bedrock-batch/processors/Processor"
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import type { Column } from "../../src/Column.ts"
import { AnswerReader, Answers, noOddities } from "../../src/internal/Answers.ts"
import * as Layout from "../../src/internal/Layout.ts"
import { labelColumns, labels } from "../rig/labels.ts"

const line = (value: unknown) => Buffer.from(typeof value === "string" ? value : JSON.stringify(value))

const read = (
  lines: ReadonlyArray<unknown>,
  processor: Processor<object> = labels,
  columns: ReadonlyArray<Column> = labelColumns
) => {
  const oddities = noOddities()
  const answers = new Answers(10, 14, columns.length)
  const reader = new AnswerReader(processor, columns)
  for (const one of lines) {
    const answer = reader.read(line(one), 10, 14, oddities)
    if (answer !== null) answers.put(reader.row, answer, oddities)
  }
  return { answers: [10, 11, 12, 13].map((row) => answers.at(row)), oddities, at: answers.at(10) }
}

const id = Layout.recordId(10)
const none = { stopReason: null, inputTokens: null, outputTokens: null }
const failed = { ...none, outcome: "failed", values: null }

describe("Answers", () => {
  it("reads the columns of an answer, its stop reason and its tokens", () => {
    const modelOutput = { label: "a", score: 0.5, in: 3, out: 1 }
    const { at, oddities } = read([{ recordId: id, modelInput: {}, modelOutput }])
    assert.deepStrictEqual(at, {
      outcome: "succeeded",
      values: ["a", 0.5],
      stopReason: "end_turn",
      code: null,
      message: null,
      inputTokens: 3,
      outputTokens: 1
    })
    assert.deepStrictEqual(oddities, { ...noOddities(), outputs: 1 })
  })

  it("reads what a model says instead of an answer", () => {
    const outcomes = [{ cut: 1 }, { no: 1 }, { bad: 1 }, { broken: 1 }].map((modelOutput) => {
      const { at } = read([{ recordId: id, modelOutput }])
      return [at?.outcome, at?.code, at?.message, at?.stopReason]
    })
    assert.deepStrictEqual(outcomes, [
      ["truncated", null, null, "max_tokens"],
      ["refused", "Refused", "declined", "refusal"],
      ["invalid", "InvalidAnswer", "no label", null],
      ["failed", "ModelError", "the model broke", null]
    ])
  })

  it("keeps the text of an answer that is not what was asked for, and of none that is refused", () => {
    const columns: ReadonlyArray<Column> = [
      { name: "response", type: "string" },
      { name: "score", type: "number" },
      { name: "reasoning", type: "string" }
    ]
    const usage = { inputTokens: 1, outputTokens: 2 }
    const reading = { raw: "{", reasoning: "hmm", message: "no", stopReason: null, usage }
    const texts: Processor<object> = {
      ...labels,
      decode: (output) =>
        output === "odd"
          ? { status: "succeeded", answer: { response: "text", score: "high" }, stopReason: null, usage }
          : output === "bare"
          ? { ...reading, status: "invalid", raw: null, reasoning: undefined }
          : { ...reading, status: output === "refused" ? "refused" : "invalid" }
    }
    const answers = ["invalid", "refused", "odd", "bare"].map((modelOutput) => {
      const { at } = read([{ recordId: id, modelOutput }], texts, columns)
      return [at?.outcome, at?.values]
    })
    assert.deepStrictEqual(answers, [
      ["invalid", ["{", null, "hmm"]],
      ["refused", null],
      ["invalid", ["text", null, null]],
      ["invalid", null]
    ])
    // A column of that name that holds no text is left alone.
    const numbers: ReadonlyArray<Column> = [{ name: "response", type: "number" }]
    assert.isNull(read([{ recordId: id, modelOutput: "invalid" }], texts, numbers).at?.values)
  })

  it("says where a value of several parts does not fit its column", () => {
    const point: Column = { name: "point", type: { type: "struct", fields: [{ name: "at", type: "date" }] } }
    const columns: ReadonlyArray<Column> = [{ name: "points", type: { type: "list", element: point.type } }]
    const given = (points: unknown): Processor<object> => ({
      ...labels,
      decode: () => ({
        status: "succeeded",
        answer: { points },
        stopReason: null,
        usage: { inputTokens: 1, outputTokens: 2 }
      })
    })
    const message = (points: unknown) => read([{ recordId: id, modelOutput: 1 }], given(points), columns).at?.message
    assert.isNull(message([{ at: new Date(0) }, null, { at: null }, {}]))
    const wrong = [{ at: new Date(0) }, { at: "secret" }]
    assert.match(message(wrong) ?? "", /column "points": at \[1\]\["at"\]: expected a Date$/)
    assert.match(message([[]]) ?? "", /at \[0\]: expected an object$/)
    assert.match(message({}) ?? "", /expected an array$/)
  })

  it("reads errors with codes that are numbers, texts, absent or no text at all", () => {
    const cases = [
      [{ errorCode: 400, errorMessage: "bad request", expired: false }, "400", "bad request"],
      [{ errorCode: "429", errorMessage: "slow down" }, "429", "slow down"],
      [{ errorCode: 0, errorMessage: "" }, "0", "Bedrock reported an error without a message"],
      [{ errorMessage: "only words" }, "Unknown", "only words"],
      [{}, "Unknown", "Bedrock reported an error without a message"],
      [{ errorCode: { deep: 1 }, errorMessage: ["x"] }, "Unknown", "Bedrock reported an error without a message"],
      ["plain words", "Unknown", "plain words"],
      [500, "Unknown", "500"],
      [[1], "Unknown", "Bedrock reported an error without a message"],
      [false, "Unknown", "Bedrock reported an error without a message"]
    ] as const
    for (const [error, code, message] of cases) {
      assert.deepStrictEqual(read([{ recordId: id, error }]).at, { ...failed, code, message } as never)
    }
  })

  it("takes an error that says so for an expiry, and an error for more than an output beside it", () => {
    const expired = read([{ recordId: id, error: { errorCode: 408, errorMessage: "late", expired: true } }]).at
    assert.deepStrictEqual([expired?.outcome, expired?.code, expired?.message], ["expired", "408", "late"])
    const silent = read([{ recordId: id, error: { expired: true } }]).at
    assert.deepStrictEqual([silent?.outcome, silent?.code], ["expired", "Expired"])
    assert.strictEqual(read([{ recordId: id, error: { expired: "true" } }]).at?.outcome, "failed")
    const both = { error: { errorCode: 400 }, modelOutput: { label: "a" } }
    assert.strictEqual(read([{ recordId: id, ...both }]).at?.outcome, "failed")
  })

  it("reads the output beside an error that is null, and finds neither where both are", () => {
    assert.strictEqual(read([{ recordId: id, error: null, modelOutput: { label: "a" } }]).at?.outcome, "succeeded")
    for (const neither of [{ error: null, modelOutput: null }, {}, { modelOutput: null }]) {
      const { at } = read([{ recordId: id, ...neither }])
      assert.deepStrictEqual([at?.outcome, at?.code], ["invalid", "InvalidAnswer"])
    }
  })

  it("takes a processor that throws for an invalid answer, without its words", () => {
    for (const modelOutput of [{ throw: "secret" }, "text", 7, []]) {
      const { at } = read([{ recordId: id, modelOutput }])
      assert.strictEqual(at?.outcome, "invalid")
      assert.match(at?.message ?? "", /^the processor labels\/1 threw (Range|Type)Error$/)
    }
    const odd: Processor<object> = {
      ...labels,
      decode: () => {
        throw "words"
      }
    }
    const { at } = read([{ recordId: id, modelOutput: {} }], odd)
    assert.strictEqual(at?.message, "the processor labels/1 threw string")
  })

  it("takes values that do not fit the processor's columns for an invalid answer", () => {
    for (const answer of [{ label: 7, score: 1 }, { label: "a", score: "high" }, { label: [], score: null }]) {
      const odd: Processor<object> = {
        ...labels,
        decode: () => ({ status: "succeeded", answer, stopReason: null, usage: { inputTokens: 1, outputTokens: 1 } })
      }
      const { at } = read([{ recordId: id, modelOutput: {} }], odd)
      assert.deepStrictEqual([at?.outcome, at?.code, at?.values], ["invalid", "InvalidAnswer", null])
      assert.match(at?.message ?? "", /^the processor labels\/1 gave a value that does not fit column "(label|score)": expected /)
    }
  })

  it("counts no tokens that are no count", () => {
    for (const tokens of [-1, 1.5, 1e300]) {
      const { at } = read([{ recordId: id, modelOutput: { label: "a", in: tokens, out: tokens } }])
      assert.deepStrictEqual([at?.outcome, at?.inputTokens, at?.outputTokens], ["succeeded", null, null])
    }
  })

  it("counts lines that are malformed or nobody's", () => {
    const { answers, oddities } = read([
      "not json",
      "[]",
      "null",
      "7",
      "{\"recordId\":",
      { modelOutput: {} },
      { recordId: 10 },
      { recordId: "r000000001" },
      { recordId: "R0000000010" },
      { recordId: "r00000000a0" },
      { recordId: "" },
      { recordId: Layout.recordId(9) },
      { recordId: Layout.recordId(14) },
      { recordId: `${id}0` }
    ])
    assert.deepStrictEqual(oddities, { ...noOddities(), malformed: 7, unknown: 7 })
    assert.deepStrictEqual(answers, [undefined, undefined, undefined, undefined])
  })

  it("reads a line with white space around it, and text that is no UTF-8", () => {
    const spaced = ` ${JSON.stringify({ recordId: id, modelOutput: { label: "\u2028" } })} \r`
    assert.strictEqual(read([spaced]).at?.values?.[0], "\u2028")
    const bytes = Buffer.from(JSON.stringify({ recordId: id, modelOutput: { label: "?" } }))
    bytes[bytes.indexOf(0x3f)] = 0xff
    const reader = new AnswerReader(labels, labelColumns)
    const answer = reader.read(bytes, 10, 11, noOddities())
    assert.strictEqual(answer?.values?.[0], "\ufffd")
  })

  it("lets the best of several lines count", () => {
    const lines = [
      { error: { expired: true } },
      { error: { errorCode: 500 } },
      { modelOutput: { bad: 1 } },
      { modelOutput: { no: 1 } },
      { modelOutput: { cut: 1 } },
      { modelOutput: { label: "a" } }
    ].map((rest) => ({ recordId: id, ...rest }))
    for (let from = 0; from < lines.length; from++) {
      const { at, oddities } = read(lines.slice(0, from + 1))
      assert.strictEqual(at?.outcome, ["expired", "failed", "invalid", "refused", "truncated", "succeeded"][from])
      assert.strictEqual(oddities.duplicates, from)
    }
  })

  it("chooses among equal outcomes also where a column is a vector or a bigint", () => {
    const vectors: Processor<object> = {
      ...labels,
      decode: (output) => ({
        status: "succeeded",
        answer: { label: Float32Array.of(Number(output)), score: BigInt(Number(output)) },
        stopReason: null,
        usage: { inputTokens: null, outputTokens: null }
      })
    }
    const lines = [3, 1, 2].map((modelOutput) => ({ recordId: id, modelOutput }))
    const columns: ReadonlyArray<Column> = [{ name: "label", type: "vector" }, { name: "score", type: "bigint" }]
    const forward = read(lines, vectors, columns).at
    assert.deepStrictEqual(forward, read(lines.toReversed(), vectors, columns).at)
    assert.deepStrictEqual(forward?.values, [Float32Array.of(1), 1n])
  })

  const outputs = Schema.Literals([
    "{\"modelOutput\":{\"label\":\"a\"}}",
    "{\"modelOutput\":{\"label\":\"b\",\"in\":4}}",
    "{\"modelOutput\":{\"cut\":1}}",
    "{\"modelOutput\":{\"cut\":2,\"out\":2}}",
    "{\"modelOutput\":{\"no\":1}}",
    "{\"modelOutput\":{\"throw\":1}}",
    "{\"modelOutput\":null}",
    "{\"error\":{\"errorCode\":400}}",
    "{\"error\":{\"errorCode\":500,\"errorMessage\":\"x\"}}",
    "{\"error\":{\"expired\":true}}",
    "malformed"
  ])

  it.prop(
    "comes to the same, whatever the order of the lines",
    {
      lines: Arbitrary.array(
        Arbitrary.all({
          row: Arbitrary.schema(Schema.Literals([10, 11, 12, 13, 14])),
          output: Arbitrary.schema(outputs),
          key: Arbitrary.schema(Schema.Int)
        }),
        { maxLength: 20 }
      )
    },
    ({ lines }) => {
      const written = lines.map(({ output, row }) =>
        output === "malformed" ? output : `{"recordId":"${Layout.recordId(row)}",${output.slice(1)}`
      )
      const shuffled = written.map((text, i) => ({ text, key: lines[i]!.key })).sort((a, b) => a.key - b.key)
      assert.deepStrictEqual(read(shuffled.map(({ text }) => text)), read(written))
    },
    { arbitrary: { runs: 500, size: 20 } }
  )
})
