import { assert, describe, it } from "@effect/vitest"
import type { Column } from "../../src/Column.ts"
import { rowAt, toRows } from "../../src/internal/Rows.ts"

const columns: ReadonlyArray<Column> = [
  { name: "b", type: "string" },
  { name: "__proto__", type: "string" },
  { name: "constructor", type: "string" },
  { name: "toString", type: "json" },
  { name: "a", type: "number" }
]
const batch = { length: 2, columns: [["x", null], ["p", "q"], ["c", "d"], [{ deep: 1 }, null], [1, 2]] }

describe("Rows", () => {
  it("makes plain objects with every column as an own property, in order", () => {
    const rows = toRows(columns, batch)
    assert.deepStrictEqual(rows.map(Object.keys), [columns.map(({ name }) => name), columns.map(({ name }) => name)])
    assert.deepStrictEqual(rows.map((row) => Object.getPrototypeOf(row)), [Object.prototype, Object.prototype])
    assert.deepStrictEqual(Object.values(rows[0]!), ["x", "p", "c", { deep: 1 }, 1])
    assert.strictEqual(
      JSON.stringify(rows[1]),
      "{\"b\":null,\"__proto__\":\"q\",\"constructor\":\"d\",\"toString\":null,\"a\":2}"
    )
  })

  it("makes one row", () => {
    assert.deepStrictEqual(Object.values(rowAt(columns, batch, 1)), [null, "q", "d", null, 2])
  })
})
