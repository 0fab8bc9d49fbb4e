// Runs the cells of a notebook in order, in this process: `node scripts/run-notebook.mjs <file.ipynb>`.
//
// Cells are TypeScript, share one scope and may await, as in a notebook: Node's inspector evaluates them in REPL mode.
// Imports resolve from the notebook's folder, which is also the working directory. Ends at the first cell that throws.
import { readFileSync } from "node:fs"
import inspector from "node:inspector"
import { registerHooks, stripTypeScriptTypes } from "node:module"
import { basename, dirname, resolve } from "node:path"
import { pathToFileURL } from "node:url"

const file = resolve(process.argv[2] ?? "")
if (!file.endsWith(".ipynb")) {
  console.error("usage: node scripts/run-notebook.mjs <file.ipynb>")
  process.exit(2)
}
process.chdir(dirname(file))

// What this file imports for a cell is resolved as if the notebook imported it.
registerHooks({
  resolve: (specifier, context, next) =>
    next(specifier, context.parentURL === import.meta.url ? { ...context, parentURL: pathToFileURL(file).href } : context)
})
globalThis.importFromNotebook = (specifier) => import(specifier)

const statement = /^import\s+(?:(?<whole>[\w$]+)\s*,?\s*)?(?:\{(?<names>[^}]*)\}|\*\s+as\s+(?<all>[\w$]+))?\s*(?:from\s+)?(?<specifier>"[^"]+"|'[^']+');?$/gm

/** An expression cannot hold import statements: they become dynamic imports. */
const withoutImportStatements = (source) =>
  source.replace(/^import\s+type\s[^\n]*$/gm, "").replace(statement, (...match) => {
    const { all, names, specifier, whole } = match.at(-1)
    if (all !== undefined) return `const ${all} = await importFromNotebook(${specifier})`
    const bindings = (names ?? "").split(",").map((name) => name.trim())
      .filter((name) => name !== "" && !name.startsWith("type "))
      .map((name) => name.replace(/\s+as\s+/, ": "))
    if (whole !== undefined) bindings.unshift(`default: ${whole}`)
    return `const { ${bindings.join(", ")} } = await importFromNotebook(${specifier})`
  })

const session = new inspector.Session()
session.connect()
const evaluate = (expression) =>
  new Promise((done, failed) =>
    session.post(
      "Runtime.evaluate",
      { expression, replMode: true, awaitPromise: true, generatePreview: true },
      (error, result) => (error === null ? done(result) : failed(error))
    )
  )

const { cells, metadata } = JSON.parse(readFileSync(file, "utf8"))
if (metadata.language_info?.name !== "typescript") {
  console.error(`${basename(file)} is not a notebook in TypeScript`)
  process.exit(1)
}
const sources = cells.filter((cell) => cell.cell_type === "code").map((cell) => [cell.source].flat().join(""))
let ran = 0
for (const source of sources) {
  ran++
  const { exceptionDetails, result } = await evaluate(stripTypeScriptTypes(withoutImportStatements(source)))
  if (exceptionDetails !== undefined) {
    console.error(`cell ${ran} failed: ${exceptionDetails.exception?.description ?? exceptionDetails.text}`)
    process.exit(1)
  }
  if (result.type !== "undefined") console.log(`[${ran}]`, result.value ?? result.description)
}
console.log(`${ran} cells ran`)
