// Writes the JSON Schema of an execution's input: dist/input.schema.json.
import { writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { jsonSchema } from "../dist/Input.js"

const file = join(dirname(fileURLToPath(import.meta.url)), "..", "dist", "input.schema.json")
writeFileSync(file, `${JSON.stringify(jsonSchema(), null, 2)}\n`)
