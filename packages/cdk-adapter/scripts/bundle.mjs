// Makes one ES module of each Lambda function, with its source map: dist/lambda/<name>/index.mjs. Prints the sizes.
import { build } from "esbuild"
import { createHash } from "node:crypto"
import { existsSync, globSync, readFileSync, rmSync, statSync } from "node:fs"
import { basename, dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { gzipSync } from "node:zlib"

process.chdir(join(dirname(fileURLToPath(import.meta.url)), ".."))

/** Every function's code together, compressed: what is uploaded. More than this wants a reason. */
const largest = 1_500_000

rmSync("dist/lambda", { recursive: true, force: true })
const names = globSync("src/handlers/*.ts").map((file) => basename(file, ".ts")).sort()

const sizes = []
for (const name of names) {
  const outfile = `dist/lambda/${name}/index.mjs`
  await build({
    entryPoints: [`src/handlers/${name}.ts`],
    outfile,
    bundle: true,
    minify: true,
    // Names of errors and of services are read at run time.
    keepNames: true,
    platform: "node",
    target: "node22",
    format: "esm",
    sourcemap: "linked",
    // The sources are in the package; without them a map is a third of its size.
    sourcesContent: false,
    legalComments: "none",
    mainFields: ["module", "main"],
    // Some of what is bundled is CommonJS.
    banner: {
      js: "import { createRequire as makeRequire } from \"node:module\"; const require = makeRequire(import.meta.url);"
    },
    logLevel: "warning"
  })
  const code = readFileSync(outfile)
  const packed = gzipSync(code).length
  sizes.push(packed)
  const kilobytes = (bytes) => `${Math.round(bytes / 1000)} kB`.padStart(8)
  const map = existsSync(`${outfile}.map`) ? statSync(`${outfile}.map`).size : 0
  const digest = createHash("sha256").update(code).digest("hex").slice(0, 8)
  console.log(`${name.padEnd(8)} ${kilobytes(code.length)}, compressed ${kilobytes(packed)}, map ${kilobytes(map)}  ${digest}`)
}
const over = names.filter((_, index) => sizes[index] > largest)
if (over.length > 0) {
  console.error(`${over.join(", ")}: over ${largest} bytes compressed`)
  process.exit(1)
}
