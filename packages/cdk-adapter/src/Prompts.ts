/**
 * The prompts that are deployed with a pipeline.
 *
 * @since 0.2.0
 */
import * as PromptLibrary from "@bedrock-batch/processors/PromptLibrary"
import * as Schema from "effect/Schema"
import { readdirSync, readFileSync } from "node:fs"
import { basename, extname, join } from "node:path"

/**
 * A prompt: a template, which becomes one user turn; a template with a system text; or several turns. All texts are
 * templates, in which `{topic}` stands for the column `topic`, and `{{` for a brace.
 *
 * @since 0.2.0
 * @category models
 */
export type PromptText =
  | string
  | { readonly system?: string | undefined; readonly template: string }
  | { readonly turns: ReadonlyArray<PromptTurn> }

/**
 * A turn of a prompt.
 *
 * @since 0.2.0
 * @category models
 */
export interface PromptTurn {
  readonly role: "system" | "user" | "assistant"
  readonly content: string
}

/**
 * The prompts that are deployed, in one of two forms.
 *
 * - `texts`: prompts by their ids, which are 1 to 64 letters, digits, `_` and `-`;
 * - `folder`: a local folder, in which each file is a prompt whose id is the file's name: `<id>.txt` and `<id>.md`
 *   hold a template, `<id>.json` what `texts` may hold as an object. Other files are left alone.
 *
 * @since 0.2.0
 * @category models
 */
export type PromptSource =
  | { readonly texts: { readonly [id: string]: PromptText } }
  | { readonly folder: string }

/** A file that is put below the prefix of prompts. @internal */
export interface PromptFile {
  readonly name: string
  readonly body: string
}

/** It travels in the template, of which there is a megabyte. */
const mostBytes = 32_768

const decode = Schema.decodeUnknownSync(
  Schema.Union([
    Schema.Struct({ system: Schema.optionalKey(Schema.String), template: Schema.String }),
    Schema.Struct({
      turns: Schema.NonEmptyArray(
        Schema.Struct({ role: Schema.Literals(["system", "user", "assistant"]), content: Schema.String })
      )
    })
  ]),
  { onExcessProperty: "error" }
)

const checked = (id: string, entry: PromptLibrary.Entry, file: PromptFile): PromptFile => {
  // Throws for a malformed template or id.
  PromptLibrary.make<{ readonly [id: string]: PromptLibrary.Entry }>({ [id]: entry })
  const bytes = Buffer.byteLength(file.body)
  if (bytes > mostBytes) {
    throw new Error(
      `prompt ${id} has ${bytes} bytes, and ${mostBytes} can be deployed: put it below the bucket's prompts/ yourself`
    )
  }
  return file
}

/** The files of the prompts; throws where one is malformed, before anything is deployed. @internal */
export const promptFiles = (source: PromptSource): ReadonlyArray<PromptFile> => {
  if ("texts" in source) {
    return Object.entries(source.texts).map(([id, prompt]) => {
      const entry = typeof prompt === "string" ? { template: prompt } : prompt
      return checked(id, entry, { name: `${id}.json`, body: JSON.stringify(entry) })
    })
  }
  const { folder } = source
  const ids = new Set<string>()
  const files = namesIn(folder).sort().filter((name) =>
    !name.startsWith(".") && [".txt", ".md", ".json"].includes(extname(name))
  )
  return files.map((name) => {
    const id = basename(name, extname(name))
    if (ids.has(id)) throw new Error(`prompts: ${folder} has two files with the id ${id}`)
    ids.add(id)
    const body = readFileSync(join(folder, name), "utf8")
    const entry = extname(name) === ".json"
      ? parsed(join(folder, name), body)
      : { template: body.replace(/[\r\n]+$/, "") }
    return checked(id, entry, { name, body })
  })
}

const namesIn = (folder: string): Array<string> => {
  try {
    return readdirSync(folder)
  } catch (cause) {
    throw new Error(`prompts: ${folder} is no folder that can be read`, { cause })
  }
}

const parsed = (path: string, body: string): PromptLibrary.Entry => {
  try {
    return decode(JSON.parse(body))
  } catch (cause) {
    throw new Error(
      `prompts: ${path} must hold { "template": "..." }, with "system" beside it or not, or { "turns": [...] }`,
      { cause }
    )
  }
}
