import { assert, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import * as fs from "node:fs"
import { join } from "node:path"
import { promisify } from "node:util"

const root = join(import.meta.dirname, "../..")

it("the family of the guide runs as it stands there, and is read from its own model", async () => {
  const guide = fs.readFileSync(join(root, "docs/guides/add-a-family.md"), "utf8")
  const [, code] = /^```ts\n([^]*?)^```$/m.exec(guide)!
  // Within the repository, where the packages are found.
  fs.mkdirSync(join(root, "output"), { recursive: true })
  const folder = fs.mkdtempSync(join(root, "output/add-a-family-"))
  try {
    fs.writeFileSync(join(folder, "poems.ts"), code!)
    const { stdout } = await promisify(execFile)(process.execPath, ["poems.ts"], { cwd: folder })
    assert.match(stdout, /succeeded: 150/)
    assert.include(stdout, "2 Roses are red,\nviolet 0 is blue\n2 Roses are red,\nviolet 1 is blue\n150 records")
    const [run] = fs.readdirSync(join(folder, "poems")).filter((name) => name.startsWith("poems-"))
    const files = fs.readdirSync(join(folder, "poems", run!), { recursive: true }).map(String)
    const results = files.filter((name) => name.endsWith(".csv"))
    assert.lengthOf(results, 1)
    const [header] = fs.readFileSync(join(folder, "poems", run!, results[0]!), "utf8").split("\n")
    assert.match(header!, /^topic,record_id,poem,lines,batch_status,/)
    // The family itself stays as short as the guide says.
    const family = /const poems: [^]*?\n}\n/.exec(code!)![0]
    assert.isAtMost(family.split("\n").length, 31)
  } finally {
    fs.rmSync(folder, { recursive: true, force: true })
  }
})
