import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { configsOf, defaultConfig } from "../../src/source/internal/HubConfigs.ts"
import { areaOf, chooseFormat, filesOf, splitsOf } from "../../src/source/internal/HubSplits.ts"
import { HubYamlFault, type Yaml, yamlKey } from "../../src/source/internal/HubYaml.ts"

/**
 * What PyYAML 6.0.3 makes of headers (all scalars but null as text; mappings as lists of entries), and what `datasets`
 * 5.0.1 makes of the names of files: their splits, and the files of a pattern.
 */
const cases: {
  readonly yaml: ReadonlyArray<readonly [string, unknown]>
  readonly splits: ReadonlyArray<readonly [ReadonlyArray<string>, Record<string, ReadonlyArray<string>>]>
  readonly globs: ReadonlyArray<readonly [string, ReadonlyArray<string>, ReadonlyArray<string>]>
} = JSON.parse(readFileSync(new URL("hubCases.json", import.meta.url), "utf8"))

const plain = (value: Yaml | undefined): unknown => {
  if (value instanceof Map) return { m: Array.from(value, ([key, inner]) => [key, plain(inner)]) }
  return Array.isArray(value) ? value.map(plain) : value
}

const faultOf = (header: string): HubYamlFault | null => {
  try {
    yamlKey(header, "configs")
    return null
  } catch (fault) {
    if (fault instanceof HubYamlFault) return fault
    throw fault
  }
}

describe("the header of a dataset's card", () => {
  it("is read as PyYAML reads it", () => {
    for (const [header, expected] of cases.yaml) {
      assert.deepStrictEqual(plain(yamlKey(header, "configs")), expected, header)
    }
  })

  it("is read from collections of all forms, with comments, quotes and any line ends", () => {
    const header = [
      "---x: 1",
      "pretty_name: \"a: b\"",
      "'configs':",
      "",
      "# comment",
      "- a: 'it''s'   # comment",
      "  \"b\\u00e9\\n\": \"\\x41\\U0001F600\\\\ # no comment\"",
      "  c: [x, 'y, z', {k: v, e: }, ",
      "    # comment",
      "    last,]",
      "  d:",
      "  - - nested",
      "    - https://x/y?z#w",
      "  -",
      "    null",
      "  e: ~",
      "",
      "other: *anchor"
    ]
    const expected = [{
      m: [
        ["a", "it's"],
        ["bé\n", "A😀\\ # no comment"],
        ["c", ["x", "y, z", { m: [["k", "v"], ["e", null]] }, "last"]],
        ["d", [["nested", "https://x/y?z#w"], null]],
        ["e", null]
      ]
    }]
    for (const end of ["\n", "\r\n", "\r"]) {
      assert.deepStrictEqual(plain(yamlKey(header.join(end), "configs")), expected)
    }
  })

  it("is not guessed where it has what is not understood", () => {
    const wrong = [
      "configs: &a []",
      "configs: *a",
      "configs: !t []",
      "configs: |\n  a",
      "configs: >-\n  a",
      "configs: a\n  b",
      "configs: 'a\n  b'",
      "configs: \"a",
      "configs: \"\\q\"",
      "configs: \"\\UFFFFFFFF\"",
      "configs: [a",
      "configs: [a, , b]",
      "configs: [a] b",
      "configs: {a}",
      "configs: {a: 1, a: 2}",
      "configs:\n- a: 1\n  a: 2",
      "configs:\n- <<: x",
      "configs:\n- a: b: c",
      "configs:\n- a: 1\n   b: 2",
      "configs:\n\t- a",
      "configs:\n- ? a\n  : b",
      "configs:\n- *.csv",
      "configs:\n- %a",
      "configs: 1\nconfigs: 2",
      "{configs: []}",
      "? configs\n: []",
      "  configs: []",
      `configs: ${"[".repeat(200)}${"]".repeat(200)}`,
      `configs: ${"[".repeat(100_000)}`,
      `configs:\n${"- ".repeat(10_000)}a`
    ]
    for (const header of wrong) assert.isNotNull(faultOf(header), header.slice(0, 60))
    assert.strictEqual(faultOf("license: mit\nconfigs:\n- a: 1\n- *b")?.line, 4)
    assert.isUndefined(yamlKey("license: mit\nmore:\n  configs: 1\n", "configs"))
  })

  it("makes configs, or says why not", () => {
    const card = (yaml: string) => `\ufeff---\r\n${yaml}\r\n---\r\ntext\n---\n`
    assert.isNull(configsOf(null, null))
    assert.isNull(configsOf("# A title\n---\nconfigs: x\n---", null))
    assert.isNull(configsOf(card("license: mit"), null))
    assert.isNull(configsOf(card("configs: []"), null))
    const lines = ["config_name: a", "data_dir: ./x//y/", "default: True", "sep: \"\\t\"", "encoding: utf-8"]
    const yaml = ["configs:", "-", ...lines.map((line) => `  ${line}`)]
    const configs = configsOf(card(yaml.join("\r\n")), null)
    assert.deepStrictEqual(configs, [
      { name: "a", isDefault: true, folder: "x/y", patterns: null, delimiter: "\t", unread: [] }
    ])
    const wrong = [
      "configs: a",
      "configs: [a]",
      "configs: [{data_files: a}]",
      "configs: [{config_name: a, data_files: {train: a}}]",
      "configs: [{config_name: a, data_files: [{split: train}]}]",
      "configs: [{config_name: a, data_files: [{split: train, path: [[a]]}]}]",
      "configs: [{config_name: a, data_files: [{split: a-b, path: a}]}]",
      "configs: [{config_name: a, data_files: [{split: a, path: a}, {split: a, path: b}]}]",
      "configs: [{config_name: a, data_files: [{split: a, path: a}, b]}]",
      "configs: [{config_name: a}, {config_name: a}]",
      "configs: [{config_name: a, data_dir: ../x}]",
      "configs: [{config_name: a, data_files: /x}]",
      "configs: [{config_name: a, data_files: \"hf://x\"}]",
      "configs: [{config_name: a, data_files: x**.csv}]",
      "configs: [{config_name: a, sep: [a]}]",
      "configs: *a"
    ]
    for (const yaml of wrong) {
      const problem = configsOf(card(yaml), null)
      assert.isTrue(problem !== null && "problem" in problem, yaml)
    }
  })

  it("names the default config", () => {
    const config = (name: string, isDefault = false) => ({ name, isDefault })
    assert.isNull(defaultConfig([]))
    assert.isNull(defaultConfig([config("a"), config("b")]))
    assert.isNull(defaultConfig([config("default"), config("b", true)]))
    assert.strictEqual(defaultConfig([config("a")])?.name, "a")
    assert.strictEqual(defaultConfig([config("a"), config("b", true)])?.name, "b")
    assert.strictEqual(defaultConfig([config("a"), config("default")])?.name, "default")
  })
})

describe("the names of a dataset's files", () => {
  it("tell the splits as the datasets library finds them", () => {
    for (const [names, expected] of cases.splits) {
      assert.deepStrictEqual(Object.fromEntries(splitsOf(names, "")), expected, names.join())
      const below = names.map((name) => `a/b/${name}`)
      const moved = Object.entries(expected).map(([split, files]) => [split, files.map((file) => `a/b/${file}`)])
      if (names.every((name) => !/eval|dev|val/.test(name))) {
        assert.deepStrictEqual(Object.fromEntries(splitsOf(below, "a/b")), Object.fromEntries(moved))
      }
    }
  })

  it("match patterns as the datasets library matches them", () => {
    for (const [pattern, names, expected] of cases.globs) {
      assert.deepStrictEqual(filesOf(names, "", [pattern]).files, expected, `${pattern} ${names.join()}`)
    }
  })

  it("match in bounded time, whatever the pattern", () => {
    const name = `${"a/".repeat(200)}${"a".repeat(200)}`
    const patterns = [`${"**/*a*/".repeat(60)}b`, `${"*a".repeat(200)}b`, "**/".repeat(500) + "b"]
    for (const pattern of patterns) assert.deepStrictEqual(filesOf([name], "", [pattern]).files, [])
  })

  it("are in an order that does not depend on the list, each once", () => {
    const names = ["b.csv", "😀.csv", "\uffee.csv", "a.csv"]
    assert.deepStrictEqual(filesOf(names, "", ["*.csv", "a*"]).files, ["a.csv", "b.csv", "\uffee.csv", "😀.csv"])
    assert.strictEqual(filesOf(names, "x", ["a.csv"]).absent, "x/a.csv")
  })

  it("are looked for in the folder that a pattern names", () => {
    assert.deepStrictEqual(areaOf("", "a.csv"), { folder: "", recursive: false })
    assert.deepStrictEqual(areaOf("x", "./a/b*.csv"), { folder: "x/a", recursive: false })
    assert.deepStrictEqual(areaOf("", "a/*/c.csv"), { folder: "a", recursive: true })
    assert.deepStrictEqual(areaOf("", "a/**"), { folder: "a", recursive: true })
    assert.deepStrictEqual(areaOf("", "**"), { folder: "", recursive: true })
  })

  it("tell the format of a split", () => {
    const formatOf = (...names: ReadonlyArray<string>) => chooseFormat(names)?.format ?? null
    assert.strictEqual(formatOf("a.csv", "b.parquet"), "parquet")
    assert.strictEqual(formatOf("a.csv", "b.jsonl"), "csv")
    assert.strictEqual(formatOf("a.CSV", "c.tsv.gz", "b.parquet"), "csv")
    assert.strictEqual(formatOf("a.json.zst", "b.ndjson"), "jsonl")
    assert.strictEqual(formatOf("a.csv", "b.txt", "c.txt"), "csv")
    assert.strictEqual(formatOf("a.jpg", "metadata.csv"), null)
    assert.strictEqual(formatOf("metadata.csv"), "csv")
    const unread = ["a.arrow", "a.zip", "a.parquet.gz", "a.csv.zip", "a.txt", "README", "constructor", "a.constructor"]
    for (const name of unread) {
      assert.isNull(formatOf(name), name)
    }
  })
})
