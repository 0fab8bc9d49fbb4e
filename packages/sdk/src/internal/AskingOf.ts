/**
 * From the options that say what is asked to what the encoder does for each row, bound to the source's columns.
 *
 * @internal
 */
import type { ModelParameters } from "@bedrock-batch/processors/Processor"
import * as Prompt from "@bedrock-batch/processors/Prompt"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { BatchError, InvalidColumns, InvalidOption } from "../BatchError.ts"
import type { Column } from "../Column.ts"
import type { Embed, ParametersFrom, RunDefinition } from "../prepare.ts"
import type { Asking } from "./RecordEncoder.ts"
import { type RowParameters, rowParameterNames, rowParameters } from "./RowParameters.ts"

/** What is embedded where nothing else is said. */
const defaultColumn = "input_text"

/** What is embedded, in one form. @internal */
export interface Embedded {
  readonly text: string | null
  readonly media: Prompt.Attachment | null
}

const isAttachment = (value: unknown): value is Prompt.Attachment =>
  typeof value === "object" && value !== null && "column" in value && typeof value.column === "string" &&
  "kind" in value && "s3" in value && "directory" in value

/** Null for what cannot be embedded. */
const embedded = (embed: Embed | undefined): Embedded | null => {
  if (embed === undefined || typeof embed === "string") return { text: embed ?? defaultColumn, media: null }
  if (isAttachment(embed)) return { text: null, media: embed }
  // What the compiler does not see in JavaScript, in a notebook, or behind a cast.
  const given: unknown = embed
  if (typeof given !== "object" || given === null || !("media" in given) || !isAttachment(given.media)) return null
  const text: unknown = "text" in given ? given.text : undefined
  return text === undefined || typeof text === "string" ? { text: text ?? null, media: given.media } : null
}

/** What the fingerprint holds of what is asked. @internal */
export const askedOf = (options: RunDefinition<unknown>): unknown => {
  if (options.body !== undefined) return { body: options.body }
  if (options.prompt !== undefined) return Prompt.fingerprint(options.prompt)
  const { embed } = options
  return { embed: typeof embed === "object" ? embedded(embed) : embed ?? defaultColumn }
}

/** What the fingerprint holds of the parameters. @internal */
export const parametersOf = (parameters: ModelParameters, from: ParametersFrom | undefined): unknown =>
  from === undefined || Object.keys(from).length === 0 ? parameters : { parameters, from }

/** What is wrong with the kinds of these options, or null. @internal */
export const askingProblem = (options: RunDefinition<unknown>): InvalidOption | null => {
  const { body, embed, parametersFrom, prompt } = options
  const invalid = (path: string, message: string) => new InvalidOption({ path, message })
  if (body !== undefined) {
    if (typeof body !== "string") return invalid("body", "body must be the name of a column")
    for (const [path, value] of [["prompt", prompt], ["embed", embed], ["parametersFrom", parametersFrom]] as const) {
      if (value !== undefined) return invalid(path, `${path} and body exclude each other: body holds whole requests`)
    }
    if (Object.keys(options.parameters ?? {}).length > 0) {
      return invalid("parameters", "parameters and body exclude each other: body holds whole requests")
    }
  }
  if (embedded(embed) === null) {
    return invalid(
      "embed",
      "embed must be the name of a column, media such as Prompt.image(\"photo\"), or { text, media }"
    )
  }
  if (parametersFrom === undefined) return null
  const from: unknown = parametersFrom
  if (typeof from !== "object" || from === null || Array.isArray(from)) {
    return invalid("parametersFrom", "parametersFrom must be an object: for example { maxTokens: \"column\" }")
  }
  const names: ReadonlyArray<string> = rowParameterNames
  for (const [name, column] of Object.entries(from)) {
    if (!names.includes(name)) {
      const near = Prompt.nearest(name, names)
      return invalid(
        `parametersFrom.${name}`,
        `there is no parameter ${name} of single rows${near === null ? "" : ` (did you mean ${near}?)`}: ` +
          `give ${names.join(", ")}`
      )
    }
    if (column !== undefined && typeof column !== "string") {
      return invalid(`parametersFrom.${name}`, `parametersFrom.${name} must be the name of a column`)
    }
  }
  return null
}

/** How a row becomes a request. @internal */
export const askingOf = Effect.fnUntraced(function*(options: RunDefinition<unknown>, columns: ReadonlyArray<Column>) {
  const available = columns.map((column) => column.name)
  const indexOf = (column: string) => available.indexOf(column)
  const missing = (columns: Prompt.ColumnsNotFound["missing"], what: string) =>
    new BatchError({
      module: "prepare",
      method: "prepare",
      reason: new InvalidColumns({
        missing: columns.map(({ column }) => column),
        clashing: [],
        available,
        nearest: Object.fromEntries(
          columns.flatMap(({ column, nearest }) => nearest === null ? [] : [[column, nearest]])
        ),
        message: `${what} ` +
          columns.map(({ column, nearest }) =>
            JSON.stringify(column) + (nearest === null ? "" : ` (did you mean ${JSON.stringify(nearest)}?)`)
          ).join(", ") + `; the source has ${available.map((name) => JSON.stringify(name)).join(", ")}`
      })
    })
  const check = (named: ReadonlyArray<string | null | undefined>, what: string): Effect.Effect<void, BatchError> => {
    const absent = [...new Set(named)].flatMap((column) =>
      column == null || indexOf(column) >= 0 ? [] : [{ column, nearest: Prompt.nearest(column, available) }]
    )
    return absent.length === 0 ? Effect.void : Effect.fail(missing(absent, what))
  }

  const { body, parametersFrom } = options
  if (body !== undefined) {
    yield* check([body], "the column of the requests is missing (body names it):")
    const asking: Asking = { type: "body", column: indexOf(body), name: body }
    return { asking, rowParameters: null }
  }
  let asking: Asking
  if (options.prompt === undefined) {
    // `askingProblem` has refused what is none.
    const { media, text } = embedded(options.embed) ?? { text: defaultColumn, media: null }
    const what = media === null
      ? "the column of the texts to embed is missing (name another with embed):"
      : "embed names columns that the source does not have:"
    yield* check([text, media?.column], what)
    asking = {
      type: "embed",
      column: text === null ? null : indexOf(text),
      ...(media === null ? {} : { media: { attachment: media, column: indexOf(media.column), turn: null } })
    }
  } else {
    const compiled = Prompt.compile(options.prompt, available)
    if (Result.isFailure(compiled)) {
      return yield* missing(compiled.failure.missing, "the prompt names columns that the source does not have:")
    }
    const { attachments, render, templates } = compiled.success
    asking = { type: "chat", render, templates, attachments }
  }
  const named = rowParameterNames.flatMap((name) => parametersFrom?.[name] ?? [])
  yield* check(named, "parametersFrom names columns that the source does not have:")
  const own: RowParameters | null = parametersFrom === undefined || named.length === 0
    ? null
    : rowParameters(parametersFrom, options.parameters ?? {}, indexOf)
  return { asking, rowParameters: own }
})
