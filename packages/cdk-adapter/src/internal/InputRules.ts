/**
 * Rules of the input that are about more than one field, as JSON Schema says them.
 *
 * @internal
 */
import { endings } from "./InputProblems.ts"

const given = { type: "string" }
const absent = { type: "null" }

/** Of fields that may be null, what is asked of one that is not. */
const has = (field: string, schema: object = given) => ({ required: [field], properties: { [field]: schema } })
const lacks = (...fields: ReadonlyArray<string>) => ({
  properties: Object.fromEntries(fields.map((field) => [field, absent]))
})

/** JSON Schema's patterns know no flags. */
const anyCase = (pattern: string): string =>
  pattern.replace(/[a-z]/g, (letter) => `[${letter}${letter.toUpperCase()}]`)

const knownName = endings.map(([, ending]) => anyCase(ending)).join("|")

/** @internal */
export const schemaRules = [
  {
    description: "The rows: s3_uri or dataset_id, one of the two.",
    oneOf: [has("s3_uri"), has("dataset_id")]
  },
  {
    description: "A file whose name does not tell its format needs input_format.",
    if: has("s3_uri", { ...given, not: { pattern: knownName } }),
    then: has("input_format")
  },
  {
    description: "A prompt is named, or brought.",
    if: has("prompt_template"),
    then: lacks("prompt_id"),
    else: lacks("system")
  }
]
