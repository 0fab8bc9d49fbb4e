/**
 * Prompts by id: three that come with this package, and those of your own.
 *
 * @since 0.2.0
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { forModel } from "./Families.ts"
import { ranked } from "./internal/Nearest.ts"
import * as Prompt from "./Prompt.ts"

/**
 * Prompts by their ids. Where the ids are known to the compiler, so are the columns that each prompt names:
 * `library.prompts.joke_about_topic` is a `Prompt<"topic">`. Made by {@link make} and {@link merge}; immutable.
 *
 * @since 0.2.0
 * @category models
 */
export interface Library<out P extends { readonly [id: string]: Prompt.Any }> {
  /** The prompts; for an id that is only known at run time there is {@link get}. */
  readonly prompts: P
}

/**
 * Any library: its ids are not known to the compiler.
 *
 * @since 0.2.0
 * @category models
 */
export type Any = Library<{ readonly [id: string]: Prompt.Any }>

/**
 * What an entry of {@link make} can be: a prompt; a template, which becomes one user turn; a template with a system
 * text; or several turns, with a system text before them or not. All texts are templates.
 *
 * @since 0.2.0
 * @category models
 */
export type Entry =
  | Prompt.Any
  | string
  | { readonly system?: string | undefined; readonly template: string }
  | { readonly system?: string | undefined; readonly turns: ReadonlyArray<Prompt.Turn> }

/**
 * The templates of an entry, as far as they are literals.
 *
 * @since 0.2.0
 * @category models
 */
export type TemplatesOf<E> = E extends Prompt.Any ? never
  : E extends string ? E
  :
    | (E extends { readonly template: infer T extends string } ? T : never)
    | (E extends { readonly turns: ReadonlyArray<infer Turn extends Prompt.Turn> } ? Turn["content"] : never)
    | (E extends { readonly system: infer S extends string } ? S : never)

/**
 * The columns of media that the turns of an entry name.
 *
 * @since 0.2.0
 * @category models
 */
export type MediaOf<E> = E extends { readonly turns: ReadonlyArray<infer T> }
  ? T extends { readonly media: ReadonlyArray<Prompt.Attachment<infer Column>> } ? Column : never
  : never

/**
 * The prompt that an entry becomes.
 *
 * @since 0.2.0
 * @category models
 */
export type PromptOf<E> = E extends Prompt.Prompt<infer Columns> ? Prompt.Prompt<Columns>
  : Prompt.Prompt<Prompt.Placeholders<TemplatesOf<E>> | MediaOf<E>>

/**
 * The entries themselves where their literal templates are well formed; else a readable error type at the entry.
 *
 * @since 0.2.0
 * @category models
 */
export type CheckEntries<E> = {
  readonly [Id in keyof E]: TemplatesOf<E[Id]> extends Parameters<typeof Prompt.make<TemplatesOf<E[Id]>>>[0] ? E[Id]
    : Parameters<typeof Prompt.make<TemplatesOf<E[Id]>>>[0]
}

const idPattern = /^[A-Za-z0-9_-]{1,64}$/

/**
 * Whether a text can be the id of a prompt: 1 to 64 letters, digits, `_` and `-`.
 *
 * @since 0.2.0
 * @category guards
 */
export const isPromptId = (id: string): boolean => idPattern.test(id)

/**
 * Thrown by {@link make} for ids that are none: they are 1 to 64 letters, digits, `_` and `-`.
 *
 * @since 0.2.0
 * @category errors
 */
export class InvalidPromptId extends Schema.TaggedError<InvalidPromptId>(
  "@bedrock-batch/processors/InvalidPromptId"
)("InvalidPromptId", { id: Schema.String }) {
  /** What an id may be. */
  override get message(): string {
    return `${JSON.stringify(this.id)} cannot be the id of a prompt: give 1 to 64 letters, digits, "_" and "-"`
  }
}

const isPrompt = (entry: Entry): entry is Prompt.Any =>
  typeof entry === "object" && "~@bedrock-batch/processors/Prompt" in entry

const promptOf = (id: string, entry: Entry): Prompt.Any => {
  if (isPrompt(entry)) return entry
  try {
    if (typeof entry === "string") return Prompt.make<string>(entry)
    if ("template" in entry) return Prompt.make<string, string | undefined>(entry.template, { system: entry.system })
    const system: ReadonlyArray<Prompt.Turn> = entry.system === undefined || entry.system === ""
      ? []
      : [{ role: "system", content: entry.system }]
    return Prompt.chat<ReadonlyArray<Prompt.Turn>>([...system, ...entry.turns])
  } catch (error) {
    if (!(error instanceof Prompt.PromptSyntaxError)) throw error
    const { near, part, position, problem } = error
    throw new Prompt.PromptSyntaxError({ part: `prompt ${id}, its ${part},`, problem, position, near })
  }
}

/**
 * Makes a library. Throws {@link InvalidPromptId}, or `PromptSyntaxError` for a malformed template, which the compiler
 * reports earlier for literals.
 *
 * @since 0.2.0
 * @category constructors
 * @example
 * ```ts
 * import { Prompt, PromptLibrary } from "@bedrock-batch/processors"
 *
 * const library = PromptLibrary.make({
 *   haiku: "Write a haiku about {subject}.",
 *   translation: { system: "You translate into {language}.", template: "{text}" },
 *   vote: Prompt.chat([{ role: "system", content: "Answer yes or no." }, { role: "user", content: "{question}" }])
 * })
 *
 * library.prompts.translation.placeholders // ["language", "text"]
 * ```
 */
export const make = <const E extends { readonly [id: string]: Entry }>(
  entries: E & CheckEntries<E>
): Library<{ readonly [Id in keyof E]: PromptOf<E[Id]> }> => {
  const prompts = Object.fromEntries(
    Object.entries<Entry>(entries).map(([id, entry]) => {
      if (!isPromptId(id)) throw new InvalidPromptId({ id })
      return [id, promptOf(id, entry)]
    })
  )
  return { prompts: prompts as { readonly [Id in keyof E]: PromptOf<E[Id]> } }
}

/**
 * The library that comes with this package: `joke_about_topic` (column `topic`), a joke in less than 50 words;
 * `sentiment_classifier` (column `input_text`), one of the words positive, negative and neutral; `question_answering`
 * (column `source`), the reasoning in `<thinking>` tags and then the answer in `<answer>` tags. The ids and columns are
 * those of the AWS sample that runs batch inference in Step Functions, the texts are our own.
 *
 * @since 0.2.0
 * @category constants
 * @example
 * ```ts
 * import { PromptLibrary } from "@bedrock-batch/processors"
 *
 * const joke = PromptLibrary.builtIn.prompts.joke_about_topic
 *
 * joke.placeholders // ["topic"]
 * ```
 */
export const builtIn = make({
  joke_about_topic: "Tell me a joke about {topic}. It must be shorter than 50 words. Answer with the joke alone.",
  sentiment_classifier: `What is the sentiment of the text between the <text> tags: positive, negative or neutral?

<text>
{input_text}
</text>

Answer with one of the words positive, negative and neutral, in lower case, and with nothing else.`,
  question_answering:
    `Answer the question at the end. First think it through, step by step, between <thinking> tags. Then give the \
answer, without the reasoning, between <answer> tags.

An example:

Question: A train leaves at 14:50 and arrives at 16:05. It stands still for 10 minutes of that time. For how long does \
it move?
<thinking>
From 14:50 to 16:05 it is 1 hour and 15 minutes, which is 75 minutes. Of these the train stands still for 10, so it \
moves for 75 - 10 = 65 minutes.
</thinking>
<answer>
65 minutes
</answer>

Question: {source}`
})

/**
 * Puts two libraries together. Where both have an id, the prompt of `own` counts: a team's `sentiment_classifier` takes
 * the place of the built-in one. A run that was prepared before is not changed by it: its prompt is part of its
 * fingerprint.
 *
 * @since 0.2.0
 * @category combinators
 * @example
 * ```ts
 * import { PromptLibrary } from "@bedrock-batch/processors"
 *
 * const library = PromptLibrary.merge(
 *   PromptLibrary.builtIn,
 *   PromptLibrary.make({ sentiment_classifier: "Is this review good or bad? {review}" })
 * )
 *
 * library.prompts.sentiment_classifier.placeholders // ["review"]
 * ```
 */
export const merge = <
  P extends { readonly [id: string]: Prompt.Any },
  Q extends { readonly [id: string]: Prompt.Any }
>(
  library: Library<P>,
  own: Library<Q>
): Library<Omit<P, keyof Q> & Q> => {
  const prompts: Omit<P, keyof Q> & Q = { ...library.prompts, ...own.prompts }
  return { prompts }
}

/**
 * No prompt has the id; `near` lists ids that are close, the closest first, and `known` all of them. `message` says so.
 *
 * @since 0.2.0
 * @category models
 */
export interface UnknownPrompt {
  readonly id: string
  readonly near: ReadonlyArray<string>
  readonly known: ReadonlyArray<string>
  readonly message: string
}

const unknown = (library: Any, id: string): UnknownPrompt => {
  const known = Object.keys(library.prompts)
  const near = ranked(id, known).slice(0, 3)
  const named = (ids: ReadonlyArray<string>) => ids.map((id) => JSON.stringify(id)).join(", ")
  const some = known.length <= 20 ? named(known) : `${named(known.slice(0, 20))} and ${known.length - 20} more`
  const message = `there is no prompt with the id ${JSON.stringify(id)}` +
    (near.length > 0 ? `: did you mean ${named(near)}?` : known.length > 0 ? `; there are ${some}` : "; there are none")
  return { id, near, known, message }
}

/**
 * Finds a prompt by an id that is only known at run time. For an id that the compiler knows it cannot fail, and the
 * columns are known; `library.prompts[id]` is shorter then.
 *
 * @since 0.2.0
 * @category getters
 * @example
 * ```ts
 * import { PromptLibrary } from "@bedrock-batch/processors"
 * import { Result } from "effect"
 *
 * const found = PromptLibrary.get(PromptLibrary.builtIn, "joke_about_topics")
 *
 * Result.isFailure(found) ? found.failure.near : found.success.placeholders // ["joke_about_topic"]
 * ```
 */
export function get<P extends { readonly [id: string]: Prompt.Any }, const Id extends keyof P & string>(
  library: Library<P>,
  id: Id
): Result.Result<P[Id], string extends keyof P ? UnknownPrompt : never>
export function get(library: Any, id: string): Result.Result<Prompt.Any, UnknownPrompt>
export function get(library: Any, id: string): Result.Result<Prompt.Any, UnknownPrompt> {
  return lookUp(library, id)
}

const lookUp = (library: Any, id: string): Result.Result<Prompt.Any, UnknownPrompt> => {
  const prompt = Object.hasOwn(library.prompts, id) ? library.prompts[id] : undefined
  return prompt === undefined ? Result.fail(unknown(library, id)) : Result.succeed(prompt)
}

/**
 * What {@link validate} is asked about.
 *
 * @since 0.2.0
 * @category models
 */
export interface Request {
  /** Model id, inference profile id or ARN. */
  readonly model: string
  /** The id of the prompt: for text models one of the library, for embedding models null, or left out. */
  readonly promptId?: string | null | undefined
  /** The columns of the rows. */
  readonly columns: ReadonlyArray<string>
  /** The column that an embedding model reads. Default: `input_text`. */
  readonly embed?: string | undefined
  /** What the model takes, where its id does not tell. Default: by the id. */
  readonly accepts?: "chat" | "embed" | undefined
  /** Default: {@link builtIn}. */
  readonly library?: Any | undefined
}

/**
 * What rows are made into requests with: the prompt of a text model, or the column that an embedding model reads.
 *
 * @since 0.2.0
 * @category models
 */
export type Valid =
  | { readonly type: "chat"; readonly prompt: Prompt.Any }
  | { readonly type: "embed"; readonly column: string }

/**
 * Why a request is not valid: its model is not known (`unknown-model`); a text model without a prompt id
 * (`prompt-required`), or with one that the library does not have (`unknown-prompt`); an embedding model with a prompt
 * id (`prompt-not-allowed`); or columns that the rows do not have (`missing-columns`). `message` says what to do;
 * `missing` are the columns, `near` names that are close to what is not known.
 *
 * @since 0.2.0
 * @category models
 */
export interface Invalid {
  readonly problem: "unknown-model" | "prompt-required" | "unknown-prompt" | "prompt-not-allowed" | "missing-columns"
  readonly message: string
  readonly missing: ReadonlyArray<string>
  readonly near: ReadonlyArray<string>
}

const invalid = (
  problem: Invalid["problem"],
  message: string,
  near: ReadonlyArray<string> = [],
  missing: ReadonlyArray<string> = []
): Result.Result<never, Invalid> => Result.fail({ problem, message, missing, near })

const missingColumns = (
  what: string,
  { missing }: Prompt.ColumnsNotFound,
  columns: ReadonlyArray<string>
): Result.Result<never, Invalid> =>
  invalid(
    "missing-columns",
    `${what}: ` +
      missing.map(({ column, nearest }) =>
        JSON.stringify(column) + (nearest === null ? "" : ` (did you mean ${JSON.stringify(nearest)}?)`)
      ).join(", ") + `; there are ${columns.map((column) => JSON.stringify(column)).join(", ")}`,
    missing.flatMap(({ nearest }) => nearest === null ? [] : [nearest]),
    missing.map(({ column }) => column)
  )

/**
 * Checks the rules of a request by prompt id: a text model needs the id of a prompt that the library has, and every
 * placeholder of it as a column; an embedding model needs a column of texts, `input_text` where `embed` names no other,
 * and no prompt. Gives what the requests are made with.
 *
 * @since 0.2.0
 * @category combinators
 * @example
 * ```ts
 * import { PromptLibrary } from "@bedrock-batch/processors"
 * import { Result } from "effect"
 *
 * const valid = PromptLibrary.validate({
 *   model: "us.anthropic.claude-haiku-4-5-20251001-v1:0",
 *   promptId: "joke_about_topic",
 *   columns: ["id", "subject"]
 * })
 *
 * Result.isFailure(valid) ? valid.failure.missing : valid.success.type // ["topic"]
 * ```
 */
export const validate = (request: Request): Result.Result<Valid, Invalid> => {
  const { columns, embed: column = "input_text", library = builtIn, model, promptId = null } = request
  const kind = request.accepts === undefined
    ? Result.map(forModel(model), (family) => family.accepts)
    : Result.succeed(request.accepts)
  if (Result.isFailure(kind)) return invalid("unknown-model", kind.failure.message, kind.failure.near)
  if (kind.success === "embed") {
    if (promptId !== null) {
      return invalid(
        "prompt-not-allowed",
        `${model} is an embedding model and takes no prompt: make the prompt id null, not ${JSON.stringify(promptId)}`
      )
    }
    return columns.includes(column)
      ? Result.succeed({ type: "embed", column })
      : missingColumns(
        "the column of the texts to embed is missing",
        { missing: [{ column, nearest: Prompt.nearest(column, columns) }] },
        columns
      )
  }
  if (promptId === null) {
    return invalid("prompt-required", `${model} is a text model and needs a prompt id`, Object.keys(library.prompts))
  }
  const prompt = lookUp(library, promptId)
  if (Result.isFailure(prompt)) return invalid("unknown-prompt", prompt.failure.message, prompt.failure.near)
  const compiled = Prompt.compile(prompt.success, columns)
  return Result.isSuccess(compiled)
    ? Result.succeed({ type: "chat", prompt: prompt.success })
    : missingColumns(`columns of the prompt ${JSON.stringify(promptId)} are missing`, compiled.failure, columns)
}
