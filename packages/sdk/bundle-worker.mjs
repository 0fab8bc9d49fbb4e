// Makes one file of the worker that joins jobs: it starts faster than its modules one by one.
import { build } from "esbuild"

await build({
  entryPoints: ["dist/internal/JoinWorker.js"],
  outfile: "dist/internal/JoinWorker.bundle.js",
  bundle: true,
  minify: true,
  platform: "node",
  target: "node22",
  format: "esm",
  legalComments: "linked",
  // Some of what is bundled is CommonJS.
  banner: {
    js: "import { createRequire as makeRequire } from \"node:module\"; const require = makeRequire(import.meta.url);"
  },
  logLevel: "warning"
})
