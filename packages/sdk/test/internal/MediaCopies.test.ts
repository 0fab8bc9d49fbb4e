import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import { HeldBack } from "../../src/internal/HeldBack.ts"
import { entryOf, isCopyIn, moved, nameOf, openFolder, placeIn, prefix } from "../../src/internal/MediaCopies.ts"
import type { Segment } from "../../src/internal/RecordEncoder.ts"

const store = { uri: (key: string) => `s3://bucket/base/${key}` }
const open = openFolder(store, "run", "0123456789abcdef", 1)
const folder = "s3://bucket/base/run/inputs/0123456789abcdef/1-000007/"
const other = "s3://bucket/base/run/inputs/fedcba9876543210/12-000003/"
const name = nameOf("s3://bucket/a cat.png", "png")

describe("copies of media", () => {
  const texts = Arbitrary.schema(Schema.String)

  it.prop("are named where their job is, and nothing else of a request changes", [texts, texts], ([before, after]) => {
    const request = (of: string) => Buffer.from(JSON.stringify([before, of + name, after, of + name, of.length]))
    const bytes = request(open)
    placeIn(bytes, open, folder)
    assert.deepStrictEqual(bytes.toString(), request(folder).toString())
  })

  it.prop("go along when a line moves, and nothing else of it changes", [texts, texts], ([before, after]) => {
    const part = `${folder}part-0.jsonl`
    const line = (of: string) => Buffer.from(JSON.stringify([before, of + name, part, prefix, after]))
    const to = moved(line(folder), folder, other)
    assert.strictEqual(to.line.toString(), line(other).toString())
    assert.deepStrictEqual([...to.names], [name])
    const untouched = Buffer.from(JSON.stringify([before, after]))
    assert.strictEqual(moved(untouched, folder, other).line, untouched)
  })

  it("have names by which they are told from what else may lie in the folder", () => {
    assert.match(name, /^media-[0-9a-f]{32}\.png$/)
    assert.notStrictEqual(name, nameOf("s3://bucket/a dog.png", "png"))
    assert.isTrue(isCopyIn(folder, folder + name))
    for (const key of ["part-0.jsonl", "media-0.png", `${name}.jsonl`, `x/${name}`, name.replace(".png", "")]) {
      assert.isFalse(isCopyIn(folder, folder + key), key)
    }
    assert.isFalse(isCopyIn(folder, other + name))
  })

  it("are in their job's entry by names and sizes, in any order", () => {
    const copies = [0, 1, 2].map((i) => ({ key: folder + nameOf(String(i), "png"), size: i }))
    const entry = entryOf(folder, copies)
    assert.deepStrictEqual([entry.count, entry.bytes], [3, 3])
    assert.deepStrictEqual(entryOf(folder, copies.toReversed()), entry)
    const others = [copies.slice(1), copies.map((copy) => ({ ...copy, size: 1 })), [...copies, copies[0]!]]
    for (const changed of others) assert.notStrictEqual(entryOf(folder, changed).sha256, entry.sha256)
  })

  it("stay with their records while these wait for their job, in memory and in a file", () => {
    for (const limit of [1_000_000, 0]) {
      const held = new HeldBack(limit)
      const segment: Segment = {
        batch: { length: 4, columns: [[0, 1, 2, 3]] },
        bytes: Buffer.from("aabbccdd"),
        ends: [2, 4, 6, 8],
        references: [0, 2, 2, 3].map((record) => ({ record, row: record, column: "photo", from: "s3://b/k", name }))
      }
      held.push(segment)
      const taken = [1, 2, 1].flatMap((records) => held.take(records))
      assert.deepStrictEqual(taken.map(({ references }) => references?.map(({ record, row }) => [record, row])), [
        [[0, 0]],
        [[1, 2], [1, 2]],
        [[0, 3]]
      ])
      held.close()
    }
  })
})
