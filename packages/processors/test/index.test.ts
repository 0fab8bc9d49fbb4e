import { assert, describe, it } from "@effect/vitest"
import { readdirSync } from "node:fs"

describe("package", () => {
  const modules = readdirSync(new URL("../src", import.meta.url))
    .filter((file) => file.endsWith(".ts") && file !== "index.ts")
    .map((file) => file.slice(0, -3))

  it("has each module at a path of its own and in the index", async () => {
    const index = await import("@bedrock-batch/processors")
    assert.deepStrictEqual(Object.keys(index).sort(), modules.sort())
    for (const name of modules) {
      const module = await import(`@bedrock-batch/processors/${name}`)
      assert.deepStrictEqual(Object.keys(module), Object.keys(Object.entries(index).find(([key]) => key === name)![1]))
    }
  })

  it("keeps what is internal to itself", async () => {
    for (const path of ["internal/Json", "index"]) {
      const error: unknown = await import(`@bedrock-batch/processors/${path}`).then(() => null, (cause) => cause)
      assert.instanceOf(error, Error)
    }
  })
})
