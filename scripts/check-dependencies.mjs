// Compares docs/decisions/dependencies.md with what is installed: `node scripts/check-dependencies.mjs`.
import assert from "node:assert/strict"
import { existsSync, globSync, readFileSync } from "node:fs"

const read = (file) => JSON.parse(readFileSync(file, "utf8"))
const described = new Map(
  readFileSync("docs/decisions/dependencies.md", "utf8").split("\n")
    .map((line) => line.split("|").map((cell) => cell.trim()))
    .filter(([, name]) => name?.startsWith("`"))
    .map(([, name, version, , licence]) => [name.replaceAll("`", ""), { version, licence }])
)

const used = new Set()
for (const manifest of ["package.json", ...globSync(["packages/*/package.json", "examples/package.json", "test/package.json"])]) {
  const { dependencies, devDependencies, peerDependencies } = read(manifest)
  for (const name of Object.keys({ ...dependencies, ...devDependencies, ...peerDependencies })) {
    if (!name.startsWith("@bedrock-batch/")) used.add(name)
  }
}
for (const name of used) assert.ok(described.has(name), `${name} is not in docs/decisions/dependencies.md`)
for (const [name, { licence, version }] of described) {
  // Optional ones are not installed on every platform.
  if (!used.has(name)) assert.match(name, /^node-linux-/, `${name} is described, and nothing depends on it`)
  const manifest = `node_modules/${name}/package.json`
  if (!existsSync(manifest)) continue
  const installed = read(manifest)
  assert.deepEqual({ version, licence }, { version: installed.version, licence: installed.license }, name)
}
console.log(`${used.size} dependencies are described`)
