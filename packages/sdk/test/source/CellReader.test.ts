import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Result, Schema } from "effect"
import { fieldsOf } from "../../src/internal/ColumnsOf.ts"
import { makeReader } from "../../src/source/internal/CellReader.ts"

const schemas = { int: Schema.Int, finite: Schema.Finite, number: Schema.Number, boolean: Schema.Boolean }

describe("makeReader", () => {
  const cells = Arbitrary.array(
    Arbitrary.schema(Schema.Literals(["0", "1", "9", "12345", "-", "+", ".", "e", "E", " ", "true", "false", "NaN", "x"])),
    { maxLength: 8 }
  ).pipe(Arbitrary.map((parts) => parts.join("")))

  it.prop(
    "reads plain numbers and booleans as the codec does",
    { cell: cells, number: Schema.Finite, int: Schema.Int },
    ({ cell, int, number }) => {
      for (const field of fieldsOf(Schema.Struct(schemas))!) {
        const schema = Schema.make<Schema.ConstraintDecoder<unknown>>(field.ast)
        const decode = Schema.decodeUnknownResult(Schema.toCodecStringTree(schema))
        for (const text of [cell, String(number), String(int), number.toFixed(3), "-0", "-0.0", "true", "007"]) {
          const read = makeReader(field)!(text)
          const decoded = decode(text)
          assert.strictEqual(Result.isSuccess(read), Result.isSuccess(decoded), `${field.name} ${text}`)
          if (Result.isSuccess(read) && Result.isSuccess(decoded)) assert.deepStrictEqual(read.success, decoded.success)
        }
      }
    },
    { arbitrary: { runs: 500 } }
  )
})
