// Bundles each Lambda function into ES modules with their source maps: dist/lambda/<name>/index.mjs, and beside it
// what is loaded on first use. Prints the sizes. Why so: docs/decisions/lambda-bundles.md.
import { build } from "esbuild"
import { chmodSync, globSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync } from "node:fs"
import { basename, dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { gzipSync } from "node:zlib"

process.chdir(join(dirname(fileURLToPath(import.meta.url)), ".."))

/** Bytes, compressed, that a function may have. More wants a reason. */
const largest = 1_000_000

const kilobytes = (bytes) => `${Math.round(bytes / 1000)} kB`.padStart(8)
const sum = (files, size) => files.reduce((total, file) => total + size(file), 0)

// What is there is replaced at the end, in one step: somebody may be using it.
mkdirSync("dist", { recursive: true })
const folder = mkdtempSync("dist/lambda-")
chmodSync(folder, 0o755)
process.on("exit", () => rmSync(folder, { recursive: true, force: true }))
const over = []
for (const file of globSync("src/handlers/*.ts").sort()) {
  const name = basename(file, ".ts")
  const outdir = `${folder}/${name}`
  await build({
    absWorkingDir: process.cwd(),
    entryPoints: { index: file },
    outdir,
    outExtension: { ".js": ".mjs" },
    chunkNames: "chunks/[name]-[hash]",
    bundle: true,
    splitting: true,
    minify: true,
    // For stack traces where no map is read.
    keepNames: true,
    platform: "node",
    target: "node22",
    format: "esm",
    sourcemap: "linked",
    // The sources are in the package.
    sourcesContent: false,
    legalComments: "none",
    mainFields: ["module", "main"],
    // Some of what is bundled is CommonJS.
    banner: {
      js: "import { createRequire as makeRequire } from \"node:module\"; const require = makeRequire(import.meta.url);"
    },
    logLevel: "warning"
  })
  const modules = globSync(`${outdir}/**/*.mjs`)
  const packed = sum(modules, (module) => gzipSync(readFileSync(module)).length)
  const size = sum(modules, (module) => statSync(module).size)
  const maps = sum(globSync(`${outdir}/**/*.map`), (map) => statSync(map).size)
  const sizes = `${kilobytes(size)}, compressed ${kilobytes(packed)}, maps ${kilobytes(maps)}`
  console.log(`${name.padEnd(8)} ${sizes}, ${String(modules.length).padStart(2)} modules`)
  if (packed > largest) over.push(name)
}
if (over.length > 0) {
  console.error(`${over.join(", ")}: over ${kilobytes(largest).trim()} compressed`)
  process.exit(1)
}
rmSync("dist/lambda", { recursive: true, force: true })
renameSync(folder, "dist/lambda")
