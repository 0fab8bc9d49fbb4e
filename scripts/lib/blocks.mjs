// The TypeScript in documents and doc comments.
import { globSync, readFileSync } from "node:fs"

/**
 * The ```ts blocks of a text, each with the line it begins at. Lines may begin with `prefix`, for instance the ` * ` of a
 * doc comment.
 */
export const blocksOf = (text, prefix = "") => {
  const blocks = []
  let open = null
  for (const [index, full] of text.split("\n").entries()) {
    if (!full.trimStart().startsWith(prefix.trim())) {
      open = null
      continue
    }
    const line = prefix === "" ? full : full.trimStart().slice(prefix.trim().length).replace(/^ /, "")
    if (open === null && line === "```ts") open = { line: index + 2, lines: [] }
    else if (open !== null && line === "```") {
      blocks.push({ line: open.line, code: `${open.lines.join("\n")}\n` })
      open = null
    } else open?.lines.push(line)
  }
  return blocks
}

/** All cells of a notebook as one module. */
const cellsOf = (text) =>
  JSON.parse(text).cells.filter((cell) => cell.cell_type === "code").map((cell) => [cell.source].flat().join("")).join("\n\n")

/** Every example in the repository: file, line and code. */
export const allExamples = () => {
  const documents = globSync(["README.md", "CHANGELOG.md", "docs/**/*.md", "packages/*/README.md"], { exclude: ["docs/api/**"] })
  const sources = globSync("packages/*/src/**/*.ts")
  const notebooks = globSync("examples/*.ipynb")
  const read = (file) => readFileSync(file, "utf8")
  return [
    ...documents.flatMap((file) => blocksOf(read(file)).map((block) => ({ file, ...block }))),
    ...sources.flatMap((file) => blocksOf(read(file), "* ").map((block) => ({ file, ...block }))),
    ...notebooks.map((file) => ({ file, line: 1, code: cellsOf(read(file)) }))
  ]
}
