import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Exit, Schema } from "effect"
import { readdir, stat } from "node:fs/promises"
import { join } from "node:path"
import * as HeldBack from "../../src/internal/HeldBack.ts"
import type { Segment } from "../../src/internal/RecordEncoder.ts"
import { ownTemporaryFolder } from "../rig/ownTemporaryFolder.ts"

/** Values of every column type. */
const cells = (row: number): ReadonlyArray<unknown> => [
  row,
  `text ${row} \u2028 \ud83d`,
  row % 2 === 0,
  BigInt(row) * 10n ** 12n,
  new Date(row),
  Uint8Array.of(row, 0, 255),
  { deep: [row, null, { a: "b" }] },
  Float32Array.of(row, -0),
  null
]

/** A segment of the records `from` to `to`, each a line of its own length. */
const segment = (from: number, to: number): Segment => {
  const rows = Array.from({ length: to - from }, (_, i) => from + i)
  const lines = rows.map((row) => Buffer.from(`record ${row} ${"x".repeat(row % 13)}\n`))
  let end = 0
  return {
    batch: { length: rows.length, columns: cells(0).map((_, j) => rows.map((row) => cells(row)[j])) },
    bytes: Buffer.concat(lines),
    ends: lines.map((line) => end += line.length)
  }
}

/** What segments hold, record by record. */
const contentOf = (segments: ReadonlyArray<Segment>) =>
  segments.flatMap(({ batch, bytes, ends }) => {
    assert.strictEqual(batch.length, ends.length)
    assert.strictEqual(bytes.length, ends.at(-1) ?? 0)
    return ends.map((end, i) => ({
      line: Buffer.from(bytes.subarray(ends[i - 1] ?? 0, end)).toString(),
      cells: batch.columns.map((values) => values[i])
    }))
  })

const between = (minimum: number, maximum: number) =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum, maximum })))

describe("HeldBack", () => {
  it.effect.prop(
    "gives records back in order and unchanged, whether they waited in memory or in a file",
    {
      limit: between(0, 400),
      moves: Arbitrary.array(Arbitrary.all({ push: between(0, 9), take: between(0, 12) }), { maxLength: 12 })
    },
    Effect.fnUntraced(function*({ limit, moves }) {
      const held = yield* HeldBack.make(limit)
      let pushed = 0
      let taken = 0
      for (const { push, take } of [...moves, { push: 1, take: Infinity }]) {
        if (push > 0) held.push(segment(pushed, pushed + push))
        pushed += push
        const count = Math.min(take, pushed - taken)
        assert.deepStrictEqual(contentOf(held.take(count)), contentOf([segment(taken, taken + count)]))
        taken += count
      }
    }),
    { arbitrary: { runs: 200, size: 30 }, timeout: 60_000 }
  )

  it.effect("keeps its file for its owner alone, small when it is empty, and removes it at the end", () =>
    Effect.gen(function*() {
      const directory = yield* ownTemporaryFolder
      const files = Effect.promise(() => readdir(directory, { recursive: true }))
      const exit = yield* Effect.exit(Effect.scoped(Effect.gen(function*() {
        const held = yield* HeldBack.make(0)
        assert.deepStrictEqual(yield* files, [])
        for (let i = 0; i < 50; i++) held.push(segment(i * 10, i * 10 + 10))
        const [folder, file] = yield* files
        const info = yield* Effect.promise(() => stat(join(directory, file!)))
        assert.isAbove(info.size, 10_000)
        assert.strictEqual(info.mode & 0o777, 0o600)
        assert.strictEqual((yield* Effect.promise(() => stat(join(directory, folder!)))).mode & 0o777, 0o700)
        held.take(495)
        assert.strictEqual((yield* Effect.promise(() => stat(join(directory, file!)))).size, 0)
        held.push(segment(500, 510))
        assert.deepStrictEqual(contentOf(held.take(15)), contentOf([segment(495, 510)]))
        return yield* Effect.die(new Error("cut off"))
      })))
      assert.isTrue(Exit.isFailure(exit))
      assert.deepStrictEqual(yield* files, [])
    }))

  it("takes the head of a segment", () => {
    assert.deepStrictEqual(contentOf([HeldBack.head(segment(3, 9), 2)]), contentOf([segment(3, 5)]))
    const whole = segment(3, 9)
    assert.strictEqual(HeldBack.head(whole, 6), whole)
  })
})
