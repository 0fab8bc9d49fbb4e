import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Schema, Stream } from "effect"
import { limitRows } from "../../src/source/internal/Selected.ts"

const numbers = (from: number, length: number) => ({
  length,
  columns: [Array.from({ length }, (_, i) => from + i)]
})

describe("limitRows", () => {
  it.effect.prop("takes so many rows, however the batches come", {
    lengths: Arbitrary.array(Arbitrary.array(Arbitrary.schema(Schema.Literals([0, 1, 2, 3])), { maxLength: 4 }), { maxLength: 5 }),
    limit: Arbitrary.schema(Schema.Literals([1, 2, 5, 9, 100]))
  }, ({ lengths, limit }) =>
    Effect.gen(function*() {
      let rows = 0
      const chunks = lengths.map((chunk) => chunk.map((length) => numbers((rows += length) - length, length)))
      const batches = yield* Stream.runCollect(limitRows(Stream.flattenIterable(Stream.fromIterable(chunks)), limit))
      const taken = batches.flatMap(({ columns }) => columns[0]!)
      assert.deepStrictEqual(taken, Array.from({ length: Math.min(rows, limit) }, (_, i) => i))
      assert.strictEqual(batches.reduce((sum, { length }) => sum + length, 0), taken.length)
    }))
})
