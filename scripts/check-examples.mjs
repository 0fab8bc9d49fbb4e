// Type-checks every example in documents, doc comments and notebooks: `npm run build && node scripts/check-examples.mjs`.
import { spawnSync } from "node:child_process"
import { mkdirSync, rmSync, writeFileSync } from "node:fs"
import { allExamples } from "./lib/blocks.mjs"

const folder = "output/examples"
rmSync(folder, { recursive: true, force: true })
mkdirSync(folder, { recursive: true })

const examples = new Map(allExamples().map((example, index) => [`example-${index + 1}.ts`, example]))
for (const [name, { code }] of examples) writeFileSync(`${folder}/${name}`, code)
writeFileSync(
  `${folder}/tsconfig.json`,
  JSON.stringify({
    extends: "../../tsconfig.base.json",
    compilerOptions: { noEmit: true, composite: false, declaration: false, declarationMap: false, noUnusedLocals: false },
    include: ["*.ts"]
  })
)

const tsc = spawnSync(process.execPath, ["node_modules/typescript/bin/tsc", "-p", folder, "--pretty", "false"], { encoding: "utf8" })
// Errors are shown where the examples stand.
process.stdout.write(
  tsc.stdout.replace(/^output\/examples\/(example-\d+\.ts)\((\d+),(\d+)\)/gm, (place, name, line, column) => {
    const example = examples.get(name)
    return example === undefined ? place : `${example.file}(${example.line + Number(line) - 1},${column})`
  })
)
const files = new Set([...examples.values()].map(({ file }) => file))
const wrong = new Set([...tsc.stdout.matchAll(/^output\/examples\/(example-\d+\.ts)/gm)].map(([, name]) => name)).size
const failed = tsc.status === 0 ? 0 : Math.max(1, wrong)
console.log(`examples in ${files.size} files: ${examples.size - failed} passed, ${failed} failed`)
process.exit(failed === 0 ? 0 : 1)
