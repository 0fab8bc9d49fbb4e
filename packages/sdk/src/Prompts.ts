/**
 * Prompts from files: a local folder, or all below a prefix in S3.
 *
 * @since 0.2.0
 */
import * as Prompt from "@bedrock-batch/processors/Prompt"
import * as PromptLibrary from "@bedrock-batch/processors/PromptLibrary"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { BatchError, InvalidPrompt } from "./BatchError.ts"
import { mostBytes, openPromptFiles, type PromptFile } from "./internal/PromptFiles.ts"
import type { ObjectStore } from "./store/ObjectStore.ts"

const invalid = (uri: string, message: string, part: string | null = null, position: number | null = null) =>
  new BatchError({
    module: "Prompts",
    method: "fromStore",
    reason: new InvalidPrompt({ uri, part, position, message: `${uri}: ${message}` })
  })

const Turn = Schema.Struct({ role: Schema.Literals(["system", "user", "assistant"]), content: Schema.String })

const decodeJson = Schema.decodeUnknownResult(
  Schema.Union([
    Schema.Struct({ system: Schema.optionalKey(Schema.String), template: Schema.String }),
    Schema.Struct({ turns: Schema.NonEmptyArray(Turn) })
  ]),
  { onExcessProperty: "error" }
)

const parseJson = (text: string): Result.Result<unknown, null> =>
  Result.try({ try: () => JSON.parse(text), catch: () => null })

/** Line and column of a position, both from 1. */
const lineAt = (text: string, position: number): string => {
  const before = text.slice(0, position).split("\n")
  return `line ${before.length}, column ${before.at(-1)!.length + 1}`
}

/** The texts of an entry by the names that `PromptSyntaxError` gives them. */
const textOf = (entry: Exclude<PromptLibrary.Entry, Prompt.Any | string>, part: string): string =>
  "template" in entry
    ? (part === "system" ? entry.system ?? "" : entry.template)
    : entry.turns[Number(/\d+/.exec(part)?.[0])]?.content ?? ""

/** The problem without the text of the template, which is nobody's business in a log. */
const problemOf = ({ problem }: Prompt.PromptSyntaxError): string =>
  problem.startsWith("a { inside") ? "a { inside a placeholder (write {{ for a brace)" : problem

const promptOf = (uri: string, entry: Exclude<PromptLibrary.Entry, Prompt.Any | string>): Prompt.Any | BatchError => {
  const texts = "template" in entry ? [entry.template] : entry.turns.map(({ content }) => content)
  if (texts.every((text) => text.trim() === "")) return invalid(uri, "the prompt is empty")
  try {
    return "template" in entry
      ? Prompt.make<string, string | undefined>(entry.template, { system: entry.system })
      : Prompt.chat<ReadonlyArray<Prompt.Turn>>(entry.turns)
  } catch (error) {
    if (!(error instanceof Prompt.PromptSyntaxError)) throw error
    const { part, position } = error
    const where = `the ${part} is malformed at position ${position} (${lineAt(textOf(entry, part), position)})`
    return invalid(uri, `${where}: ${problemOf(error)}`, part, position)
  }
}

const utf8 = new TextDecoder("utf-8", { fatal: true })

const read = Effect.fnUntraced(function*({ content, extension, id, size, uri }: PromptFile) {
  if (!PromptLibrary.isPromptId(id)) {
    return yield* invalid(uri, "before its ending the name must be an id: 1 to 64 letters, digits, \"_\" and \"-\"")
  }
  if (size === 0) return yield* invalid(uri, "the file is empty")
  if (size > mostBytes) {
    return yield* invalid(uri, `the file has ${size} bytes, and a prompt file may have ${mostBytes} at most`)
  }
  const bytes = yield* content
  const text = yield* Effect.try({
    try: () => utf8.decode(bytes),
    catch: () => invalid(uri, "the file is no text in UTF-8")
  })
  let entry: Exclude<PromptLibrary.Entry, Prompt.Any | string>
  if (extension === "json") {
    const json = parseJson(text)
    if (Result.isFailure(json)) return yield* invalid(uri, "the file is not JSON")
    const decoded = decodeJson(json.success)
    if (Result.isFailure(decoded)) {
      return yield* invalid(
        uri,
        "the file must hold { \"template\": \"...\" }, with \"system\" beside it or not, or " +
          "{ \"turns\": [{ \"role\": \"user\", \"content\": \"...\" }, ...] }, and nothing else"
      )
    }
    entry = decoded.success
  } else {
    // Editors end a file with a line break.
    entry = { template: text.replace(/[\r\n]+$/, "") }
  }
  const prompt = promptOf(uri, entry)
  return prompt instanceof BatchError ? yield* prompt : { id, uri, prompt }
})

/**
 * Reads a library of prompts: a file a prompt, directly in a local folder or directly below a prefix in S3, whose name
 * is the prompt's id and an ending.
 *
 * - `<id>.txt` and `<id>.md` hold one template, which becomes one user turn; line breaks at the end are left out;
 * - `<id>.json` holds `{ "system": "...", "template": "..." }`, the system text being optional, or
 *   `{ "turns": [{ "role": "user", "content": "..." }, ...] }`.
 *
 * Files of other endings, files whose name begins with a dot, and what lies deeper are left alone. The location is one
 * as of a source: `s3://bucket/prefix/`, `store://prefix/`, a `file://` URL or a local path. It costs one paged list
 * and one read a file, 16 at a time; a file may have 256 KB, and there may be 1,000 of them.
 *
 * Fails with `InvalidPrompt`, which names the file and, for a malformed template, the position in it; with
 * `InvalidSource` (`not-found`, `empty`, `failed`) for the location; with `InvalidOption` where it is none.
 *
 * @since 0.2.0
 * @category constructors
 * @example
 * ```ts
 * import { prepare, PromptLibrary, Prompts, Source } from "@bedrock-batch/sdk"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const own = yield* Prompts.fromStore("s3://my-bucket/prompts/")
 *   const library = PromptLibrary.merge(PromptLibrary.builtIn, own)
 *   const prompt = yield* Effect.fromResult(PromptLibrary.get(library, "support_ticket"))
 *   return yield* prepare({
 *     name: "tickets",
 *     source: Source.csv("s3://my-bucket/tickets.csv"),
 *     model: "us.anthropic.claude-haiku-4-5-20251001-v1:0",
 *     prompt
 *   })
 * })
 * ```
 */
export const fromStore = Effect.fn("Prompts.fromStore")(
  function*(location: string | URL): Effect.fn.Return<PromptLibrary.Any, BatchError, ObjectStore> {
    const files = yield* openPromptFiles(location)
    const found = yield* Effect.forEach(files, read, { concurrency: 16 })
    const uris = new Map<string, string>()
    for (const { id, uri } of found) {
      const other = uris.get(id)
      if (other !== undefined) return yield* invalid(uri, `there is another file with the id ${id}: ${other}`)
      uris.set(id, uri)
    }
    const library: PromptLibrary.Any = { prompts: Object.fromEntries(found.map(({ id, prompt }) => [id, prompt])) }
    return library
  }
)
