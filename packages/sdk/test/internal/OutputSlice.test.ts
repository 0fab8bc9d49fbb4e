import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Schema } from "effect"
import { cut, forEachLine, type Readable, whole } from "../../src/internal/OutputSlice.ts"
import { memoryStore } from "../rig/MemoryStore.ts"

const textsOf = Effect.fnUntraced(function*(store: Readable, slices: ReturnType<typeof cut>) {
  const texts: Array<string> = []
  for (const slice of slices) yield* forEachLine(store, slice, (line) => texts.push(line.toString()))
  return texts
})

describe("OutputSlice", () => {
  const content = Arbitrary.array(Arbitrary.schema(Schema.Literals(["", "a", "bc", "d\u2028e", "x".repeat(40)])), { maxLength: 30 })

  it.effect.prop("gives every line to exactly one slice, wherever the slices are cut", {
    files: Arbitrary.array(content, { maxLength: 3 }),
    ended: Arbitrary.schema(Schema.Boolean),
    bytes: Arbitrary.schema(Schema.Literals([1, 2, 3, 7, 20, 1000]))
  }, ({ bytes, ended, files }) =>
    Effect.gen(function*() {
      const store = memoryStore()
      for (const [i, parts] of files.entries()) {
        yield* store.create(`f${i}`, Buffer.from(parts.join("\n") + (ended ? "\n" : "")))
      }
      const { objects } = yield* store.list("")
      const expected = files.flatMap((parts) => parts.filter((part) => part !== ""))
      assert.deepStrictEqual(yield* textsOf(store, whole(objects)), expected)
      assert.deepStrictEqual(yield* textsOf(store, cut(objects, bytes)), expected)
    }))

  it.effect("fails when a file is shorter than the list said", () =>
    Effect.gen(function*() {
      const store = memoryStore()
      yield* store.create("f", Buffer.from("a\nb\n"))
      const { reason } = yield* Effect.flip(textsOf(store, [{ key: "f", size: 9, start: 0, end: 9 }]))
      assert.strictEqual(reason._tag, "Damaged")
      assert.match(reason.message, /f has 9 bytes by the store's list, and ends at byte 4/)
    }))
})
