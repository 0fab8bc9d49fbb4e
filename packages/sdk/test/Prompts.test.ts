import * as PromptLibrary from "@bedrock-batch/processors/PromptLibrary"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import { mkdir, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import * as Prompts from "../src/Prompts.ts"
import { folder, processOf } from "./rig/Bench.ts"
import { memoryStore } from "./rig/MemoryStore.ts"
import { ScriptedJobs } from "./rig/ScriptedJobs.ts"

type Files = { readonly [name: string]: string | Uint8Array }

const good: Files = {
  "haiku.txt": "A haiku about {subject}.\n",
  "notes.md": "# Notes\n\nSum up:\r\n{text}\r\n\r\n",
  "translate.json": JSON.stringify({ system: "Into {language}.", template: "{text}\n" }),
  "plain.JSON": JSON.stringify({ template: "{a}" }),
  "vote.json": JSON.stringify({ turns: [{ role: "user", content: "{q}" }, { role: "assistant", content: "I say" }] }),
  ".hidden.txt": "{not read",
  "data.csv": "a,b",
  "deeper/other.txt": "{not read"
}

/** The same files in a folder, and in a store below a prefix. */
const stage = Effect.fnUntraced(function*(files: Files) {
  const { directory, store } = yield* folder
  const place = join(directory, "my prompts")
  yield* Effect.promise(async () => {
    await mkdir(join(place, "deeper"), { recursive: true })
    for (const [name, content] of Object.entries(files)) await writeFile(join(place, name), content)
  })
  const start = processOf(store, new ScriptedJobs())
  return {
    place,
    store,
    fromStore: (location: string | URL = place) => start(Prompts.fromStore(location)),
    fail: (location: string | URL = place) =>
      Effect.map(Effect.flip(start(Prompts.fromStore(location))), ({ reason }) => reason)
  }
})

const only = Effect.fnUntraced(function*(name: string, content: string | Uint8Array) {
  const { fail, place } = yield* stage({ [name]: content })
  const reason = yield* fail()
  assert.strictEqual(reason._tag, "InvalidPrompt", reason.message)
  if (reason._tag === "InvalidPrompt") assert.strictEqual(reason.uri, pathToFileURL(join(place, name)).href)
  return reason
})

describe("prompts from files", () => {
  it.effect("are read from a folder, a file URL and a prefix of the store alike", () =>
    Effect.gen(function*() {
      const { fromStore, place } = yield* stage(good)
      const store = memoryStore()
      for (const [name, content] of Object.entries(good)) {
        yield* store.create(`my/prompts/${name}`, Buffer.from(content))
      }
      const stored = processOf(store, new ScriptedJobs())
      const libraries = [
        yield* fromStore(),
        yield* fromStore(`${place}/`),
        yield* fromStore(pathToFileURL(place)),
        yield* stored(Prompts.fromStore("store://my/prompts")),
        yield* stored(Prompts.fromStore("store://my/prompts/"))
      ]
      for (const { prompts } of libraries) {
        assert.deepStrictEqual(Object.keys(prompts).sort(), ["haiku", "notes", "plain", "translate", "vote"])
        assert.deepStrictEqual(prompts["haiku"]?.turns, [{ role: "user", content: "A haiku about {subject}." }])
        assert.deepStrictEqual(prompts["notes"]?.turns, [{ role: "user", content: "# Notes\n\nSum up:\r\n{text}" }])
        assert.deepStrictEqual(prompts["translate"]?.turns, [
          { role: "system", content: "Into {language}." },
          { role: "user", content: "{text}\n" }
        ])
        assert.deepStrictEqual(prompts["vote"]?.placeholders, ["q"])
      }
    }))

  it.effect("take the place of built-in ones with the same id", () =>
    Effect.gen(function*() {
      const { fromStore } = yield* stage({ "joke_about_topic.txt": "A long joke about {theme}." })
      const library = PromptLibrary.merge(PromptLibrary.builtIn, yield* fromStore())
      const joke = Result.getOrThrow(PromptLibrary.get(library, "joke_about_topic"))
      assert.deepStrictEqual(joke.placeholders, ["theme"])
      assert.lengthOf(Object.keys(library.prompts), 3)
    }))

  it.effect("cost one list and one read a file", () =>
    Effect.gen(function*() {
      const store = memoryStore()
      for (const name of ["a.txt", "b.txt", "c.txt"]) yield* store.create(`prompts/${name}`, Buffer.from("{x}"))
      const calls: Array<string> = []
      const start = processOf(store, new ScriptedJobs(), {
        before: (operation) => Effect.sync(() => void calls.push(operation))
      })
      yield* start(Prompts.fromStore("store://prompts/"))
      assert.deepStrictEqual(calls.sort(), ["list", "read", "read", "read"])
    }))
})

describe("a file that is no prompt", () => {
  it.effect("is named, with the text and the position where its template is malformed, and without quoting it", () =>
    Effect.gen(function*() {
      const secret = "the secret recipe"
      const text = yield* only("recipe.txt", `one {a}\ntwo { ${secret} {`)
      assert.deepInclude(text, { part: "template" })
      assert.include(text.message, "(line 2, ")
      const single = yield* only("recipe.md", `one }\n${secret}`)
      assert.deepInclude(single, { part: "template", position: 4 })
      const system = yield* only("recipe.json", JSON.stringify({ system: `${secret}\n{`, template: "{a}" }))
      assert.deepInclude(system, { part: "system", position: secret.length + 1 })
      assert.include(system.message, "(line 2, column 1)")
      const turns = [{ role: "user", content: "fine" }, { role: "assistant", content: `{}${secret}` }]
      const turn = yield* only("recipe.json", JSON.stringify({ turns }))
      assert.deepInclude(turn, { part: "turns[1]", position: 0 })
      const nested = yield* only("recipe.txt", `{"${secret}": {"b": 1}}`)
      for (const { message } of [text, single, system, turn, nested]) assert.notInclude(message, "secret")
    }))

  it.effect("has a name that is no id, is empty or too large, or is no text", () =>
    Effect.gen(function*() {
      const files: ReadonlyArray<readonly [string, string | Uint8Array]> = [
        ["my prompt.txt", "{a}"],
        ["a.b.txt", "{a}"],
        [`${"x".repeat(65)}.md`, "{a}"],
        ["empty.txt", ""],
        ["blank.txt", " \n"],
        ["large.txt", "x".repeat(256 * 1024 + 1)],
        ["latin.txt", Uint8Array.of(0x66, 0xfc, 0x72)]
      ]
      const messages = yield* Effect.forEach(files, ([name, content]) =>
        Effect.map(only(name, content), ({ message }) => message))
      const name = "must be an id"
      const expected = [name, name, name, "file is empty", "prompt is empty", "262145 bytes", "UTF-8"]
      for (const [i, part] of expected.entries()) assert.include(messages[i], part)
    }))

  it.effect("is JSON of another shape, or none", () =>
    Effect.gen(function*() {
      assert.include((yield* only("a.json", "{\"template\": \"x\"")).message, "is not JSON")
      const shapes = [
        [],
        "text",
        { template: 1 },
        { system: "s" },
        { turns: [] },
        { turns: [{ role: "tool", content: "x" }] },
        { template: "x", turns: [{ role: "user", content: "x" }] },
        { template: "x", temperature: 1 }
      ]
      for (const shape of shapes) {
        const { message } = yield* only("a.json", JSON.stringify(shape))
        assert.include(message, "the file must hold", JSON.stringify(shape))
      }
    }))

  it.effect("has the id of another", () =>
    Effect.gen(function*() {
      const { fail } = yield* stage({ "a.txt": "{a}", "a.md": "{a}" })
      const reason = yield* fail()
      assert.strictEqual(reason._tag, "InvalidPrompt")
      assert.match(reason.message, /a\.txt: there is another file with the id a: .*a\.md$/)
    }))
})

describe("a location without prompts", () => {
  it.effect("is told apart: not there, empty, or no location", () =>
    Effect.gen(function*() {
      const { fail, place } = yield* stage({ "data.csv": "a" })
      assert.deepInclude(yield* fail(), { _tag: "InvalidSource", problem: "empty" })
      assert.deepInclude(yield* fail(join(place, "nowhere")), { _tag: "InvalidSource", problem: "not-found" })
      assert.deepInclude(yield* fail("store://nowhere/"), { _tag: "InvalidSource", problem: "empty" })
      assert.deepInclude(yield* fail("ftp://host/x"), { _tag: "InvalidOption" })
      assert.deepInclude(yield* fail(""), { _tag: "InvalidOption" })
    }))
})
