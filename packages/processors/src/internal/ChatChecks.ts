/**
 * What would fail in every record of a text family: found in the first one, before anything is written.
 *
 * @internal
 */
import type { ModelParameters, OutputWay } from "../Processor.ts"
import type { MediaKind, RenderedTurn } from "../Prompt.ts"
import { checkMore, checkNames } from "./Body.ts"
import { type Asked, conversation, textOf, turnsOf } from "./Conversation.ts"
import { isBlind } from "./ModelFamily.ts"
import { checkThinking, type Thinker } from "./Thinking.ts"

/** How a text family takes a kind of media. @internal */
export interface Taken {
  readonly formats: ReadonlyArray<string>
  /** Whether it is read from S3. */
  readonly s3: boolean
  /** Whether a text must stand beside it, in the same message. */
  readonly besideText?: boolean
}

/** What a text family takes. @internal */
export interface Rules {
  /** Its name, as messages have it. */
  readonly family: string
  /** The fields that the family sets itself, with the parameter that sets them, where there is one. */
  readonly own: ReadonlyMap<string, string | null>
  /** The kinds of media that it takes. */
  readonly media: { readonly [K in MediaKind]?: Taken }
  /** The most stop sequences that it takes. */
  readonly stopSequences: number
  readonly ways: (model: string) => ReadonlyArray<OutputWay>
  /** What the model takes; null where it is not known. */
  readonly thinker: (model: string | undefined) => Thinker | null
}

const isShare = (value: number | undefined): boolean => value === undefined || (value >= 0 && value <= 1)

const checkParameters = ({ family, stopSequences: most }: Rules, parameters: ModelParameters): string | null => {
  const { maxTokens, stopSequences, temperature, topP } = parameters
  if (maxTokens !== undefined && !(Number.isSafeInteger(maxTokens) && maxTokens >= 1)) {
    return `maxTokens must be a whole number of at least 1, not ${maxTokens}`
  }
  if (!isShare(temperature)) return `temperature must be between 0 and 1, not ${temperature}`
  if (!isShare(topP)) return `topP must be between 0 and 1, not ${topP}`
  const stops: unknown = stopSequences
  if (stops !== undefined && !(Array.isArray(stops) && stops.every((text) => typeof text === "string"))) {
    return "stopSequences must be an array of texts"
  }
  if (stopSequences?.some((text) => text === "") === true) return "a stop sequence must not be empty"
  if (stopSequences !== undefined && stopSequences.length > most) {
    return most === 0
      ? `${family} has no stop sequences: leave stopSequences out, or ask the model through Converse`
      : `${family} takes at most ${most} stop sequences, not ${stopSequences.length}`
  }
  for (const key of ["dimensions", "normalize", "truncate"] as const) {
    if (parameters[key] !== undefined) return `${key} is a parameter of embedding models, ${family} has none`
  }
  return null
}

const article = (kind: MediaKind): string => kind === "image" || kind === "audio" ? `an ${kind}` : `a ${kind}`

const checkMedia = (
  { family, media: takes }: Rules,
  turns: ReadonlyArray<RenderedTurn>,
  model: string | undefined
): string | null => {
  for (const { media = [], role } of turns) {
    for (const { format, kind, source } of media) {
      if (role !== "user") return `${article(kind)} may stand in user turns only, and is in one of the ${role}`
      const taken = takes[kind]
      if (taken === undefined) return `${family} takes no ${kind} in a request`
      if (isBlind(model)) return `the model ${model} takes text alone, and the prompt has ${article(kind)}`
      if (source.type === "s3" && !taken.s3) {
        return `${family} cannot read ${article(kind)} from S3: give it inline (s3: "inline")`
      }
      if (!taken.formats.includes(format)) {
        return `${family} takes ${article(kind)} as ${taken.formats.join(", ")}, not as ${JSON.stringify(format)}`
      }
    }
  }
  return null
}

const checkBesideText = ({ family, media: takes }: Rules, turns: ReadonlyArray<RenderedTurn>): string | null => {
  for (const message of conversation(turns).messages) {
    if (textOf(message) !== "") continue
    for (const block of message.blocks) {
      if (typeof block === "string" || takes[block.kind]?.besideText !== true) continue
      return `${family} takes ${article(block.kind)} beside a text only: say what is to be done with it`
    }
  }
  return null
}

const outputName = /^[A-Za-z0-9_-]{1,64}$/

const checkOutput = ({ family, ways }: Rules, request: Asked): string | null => {
  if (request.type !== "chat" || request.output === undefined) return null
  const { name, schema, way } = request.output
  if (!outputName.test(name)) return "the name of an output must be 1 to 64 letters, digits, `_` and `-`"
  const untrusted: unknown = schema
  if (typeof untrusted !== "object" || untrusted === null || Array.isArray(untrusted)) {
    return "the schema of an output must be an object"
  }
  const possible = ways(request.model ?? "")
  return possible.includes(way)
    ? null
    : `${family} cannot tell ${request.model ?? "the model"} of the shape of its answer by ${way}: it can by ${
      possible.join(" or ")
    }`
}

/**
 * Checks a conversation, its parameters and its media.
 *
 * @internal
 */
export const checkChat = (rules: Rules, request: Asked, own = rules.own): string | null => {
  if (request.type === "embed") {
    return `${rules.family} answers prompts; a text without a prompt is for embedding models`
  }
  const { model, parameters, turns } = request
  const first = turns.find((turn) => turn.role !== "system")
  if (first === undefined) return "the prompt has no user turn"
  if (first.role !== "user") return "the first turn after the system text must be a user turn"
  return checkNames(parameters) ??
    checkParameters(rules, parameters) ??
    checkThinking(parameters, rules.thinker(model)) ??
    checkPrefill(request) ??
    checkMore(parameters.more, own) ??
    checkMedia(rules, turns, model) ??
    checkBesideText(rules, turnsOf(request)) ??
    checkOutput(rules, request)
}

/** Claude refuses to think before an answer that has begun. */
const checkPrefill = (request: Asked): string | null => {
  const last = request.type === "chat" ? request.turns.findLast(({ role }) => role !== "system") : undefined
  return last?.role === "assistant" && request.parameters.thinking !== undefined
    ? "a model that thinks cannot go on from a last assistant turn: end the prompt with a user turn"
    : null
}

/** Adds fields that a request sets by one of its parameters. @internal */
export const andOwn = (
  own: ReadonlyMap<string, string | null>,
  fields: { readonly [field: string]: string | false }
): ReadonlyMap<string, string | null> => {
  const added = Object.entries(fields).flatMap(([field, by]) => by === false ? [] : [[field, by] as const])
  return added.length === 0 ? own : new Map([...own, ...added])
}
