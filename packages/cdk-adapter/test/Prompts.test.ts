import { assert, describe, it } from "@effect/vitest"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promptFiles } from "../src/Prompts.ts"

const inFolder = (files: { readonly [name: string]: string }) => {
  const folder = mkdtempSync(join(tmpdir(), "bedrock-batch-prompts-"))
  try {
    for (const [name, body] of Object.entries(files)) writeFileSync(join(folder, name), body)
    return promptFiles({ folder })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

describe("prompts that are deployed", () => {
  it("are files of the forms that the library reads", () => {
    const files = promptFiles({
      texts: {
        haiku: "A haiku about {subject}.",
        translation: { system: "You translate into {language}.", template: "{text}" },
        vote: { turns: [{ role: "user", content: "{question}" }] }
      }
    })
    assert.deepStrictEqual(files.map(({ name }) => name), ["haiku.json", "translation.json", "vote.json"])
    assert.deepStrictEqual(files.map(({ body }) => JSON.parse(body)), [
      { template: "A haiku about {subject}." },
      { system: "You translate into {language}.", template: "{text}" },
      { turns: [{ role: "user", content: "{question}" }] }
    ])
  })

  it("come from a folder as they are, and other files do not", () => {
    const files = {
      "haiku.txt": "A haiku about {subject}.\n",
      "vote.json": "{ \"template\": \"{question}\" }",
      "notes.pdf": "x",
      ".hidden.txt": "{"
    }
    assert.deepStrictEqual(
      inFolder(files).map(({ body, name }) => [name, body]),
      [["haiku.txt", files["haiku.txt"]], ["vote.json", files["vote.json"]]]
    )
  })

  it("are refused before anything is deployed where they are malformed", () => {
    const wrong: ReadonlyArray<readonly [{ readonly [name: string]: string }, RegExp]> = [
      [{ "haiku.txt": "A haiku about {subject." }, /prompt haiku/],
      [{ "two words.txt": "{a}" }, /"two words" cannot be the id of a prompt/],
      [{ "vote.json": "{ \"prompt\": \"{a}\" }" }, /vote\.json must hold/],
      [{ "vote.json": "{" }, /vote\.json must hold/],
      [{ "haiku.txt": "{a}", "haiku.md": "{a}" }, /two files with the id haiku/],
      [{ "long.txt": "x".repeat(40_000) }, /prompt long has 40000 bytes, and 32768 can be deployed/]
    ]
    for (const [files, message] of wrong) assert.throws(() => inFolder(files), message)
    assert.throws(() => promptFiles({ folder: "nowhere" }), "nowhere is no folder that can be read")
  })
})
