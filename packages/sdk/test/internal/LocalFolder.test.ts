import { assert, describe, it } from "@effect/vitest"
import { unfit } from "../../src/internal/LocalFolder.ts"

describe("keys that become files", () => {
  it("may have any name on Linux, and none that Windows has another use for on Windows", () => {
    const signs = ["a:b", "a*", "what?", "a|b", "<a>", "\"a\"", "tab\t", "dot.", "space "]
    const names = [...signs, "con", "NUL.txt", "Com1", "lpt9.a"]
    for (const name of names) {
      for (const key of [name, `run/${name}/a`, `run/a/${name}`]) {
        assert.isNull(unfit([key], "linux"), key)
        assert.include(unfit([key], "win32")?.what, "Windows", key)
      }
    }
    for (const key of ["a.b/c d/-_!'()", "console/comb", "a/com10", "nul-l", ".a"]) {
      assert.isNull(unfit([key], "win32"), key)
    }
  })

  it("must not be one file, where the case of letters makes none", () => {
    const keys = ["run/A/x", "run/a/X"]
    assert.isNull(unfit(keys, "linux"))
    for (const platform of ["win32", "darwin"] as const) {
      assert.strictEqual(unfit(keys, platform)?.key, "run/a/X")
      assert.strictEqual(unfit(["run/\u00e9", "run/e\u0301"], platform)?.key, "run/e\u0301")
    }
  })

  it("must not be one that another one is written as", () => {
    for (const suffix of [".part", ".part.json"]) {
      assert.strictEqual(unfit(["a/b", "a/c", `a/b${suffix}`], "linux")?.key, `a/b${suffix}`)
      assert.strictEqual(unfit([`a/b${suffix}`, "a/b"], "linux")?.key, "a/b")
    }
    assert.isNull(unfit(["a/b", "a/part", "a/b.json"], "linux"))
  })
})
