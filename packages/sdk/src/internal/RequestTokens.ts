/**
 * The tokens of requests before they are sent, as far as their texts tell.
 *
 * @internal
 */
import { innermost } from "@bedrock-batch/processors/Families"
import type { Json, ModelRequest, Processor } from "@bedrock-batch/processors/Processor"
import type { Media } from "@bedrock-batch/processors/Prompt"
import * as Tokens from "@bedrock-batch/processors/Tokens"

/** What surrounds a turn: its role, and where it begins and ends. Only for the heuristic. */
const tokensPerTurn = 4

/** A longer text of nothing but base64 in a body of the user's own is taken for media. */
const leastBase64 = 1000

const base64 = /^(?:data:[^,]*,)?[A-Za-z0-9+/_-]+={0,2}$/

type JsonObject = { readonly [key: string]: Json }

const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** The names under which the families' bodies hold the most tokens of an answer. */
const limits: ReadonlyArray<string> = [
  "maxTokens",
  "max_tokens",
  "max_completion_tokens",
  "max_new_tokens",
  "max_gen_len",
  "maxTokenCount"
]

/** The most tokens that the answer to a body can have; null where it does not say. @internal */
export const mostTokensOf = (body: Json): number | null => {
  if (!isObject(body)) return null
  for (const holder of [body, body.inferenceConfig, body.textGenerationConfig]) {
    if (!isObject(holder)) continue
    for (const name of limits) {
      const limit = holder[name]
      if (typeof limit === "number" && Number.isFinite(limit) && limit >= 0) return limit
    }
  }
  return null
}

type Chat = Extract<ModelRequest, { readonly type: "chat" }>

/** A tokenizer that gives no number. @internal */
export class NoCount extends Error {}

/** The sums over the requests that were counted. @internal */
export class RequestTokens {
  /** Of the requests' texts. */
  input = 0
  /** The most that the answers can have; null as soon as one request does not say. */
  most: number | null = 0
  /** Images, documents and so on. */
  media = 0
  readonly #processor: Processor<object>
  readonly #tokenizer: ((text: string) => number) | undefined
  /** The limit that the family sends where none is given; undefined while it is not known. */
  #usual: number | null | undefined = undefined
  /** Tokens of the shape of the answer, which the processor adds to every request; undefined while not known. */
  #shape: number | undefined = undefined

  constructor(processor: Processor<object>, tokenizer: ((text: string) => number) | undefined) {
    this.#processor = processor
    this.#tokenizer = tokenizer
  }

  /** Counts a request. Throws what the user's tokenizer throws, and `NoCount` where it gives none. */
  add(request: ModelRequest): void {
    switch (request.type) {
      case "chat": {
        for (const { content, media } of request.turns) {
          this.input += this.#tokens(content) + (this.#tokenizer === undefined ? tokensPerTurn : 0)
          this.#addMedia(media)
        }
        this.input += this.#shapeIn(request)
        this.#addMost(request.parameters.maxTokens ?? this.#usualFor(request))
        return
      }
      case "embed":
        this.input += this.#tokens(request.text)
        this.#addMedia(request.media === undefined ? undefined : [request.media])
        return
      case "raw":
        this.#addBody(request.body)
        this.#addMost(this.#processor.accepts === "embed" ? 0 : mostTokensOf(request.body))
    }
  }

  #tokens(text: string): number {
    if (text === "") return 0
    if (this.#tokenizer === undefined) return Tokens.estimate(text)
    const tokens: unknown = this.#tokenizer(text)
    if (typeof tokens === "number" && Number.isFinite(tokens) && tokens >= 0) return tokens
    throw new NoCount()
  }

  /** By how much a request is longer than the family itself makes it. */
  #shapeIn(request: Chat): number {
    if (this.#shape === undefined) {
      const text: Chat = { ...request, turns: request.turns.map(({ content, role }) => ({ role, content })) }
      const tokensBy = (processor: Processor<object>) => this.#tokens(JSON.stringify(processor.encode(text)))
      const inner = innermost(this.#processor)
      this.#shape = inner === this.#processor ? 0 : Math.max(0, tokensBy(this.#processor) - tokensBy(inner))
    }
    return this.#shape
  }

  #usualFor(request: ModelRequest): number | null {
    if (this.#usual === undefined) this.#usual = mostTokensOf(this.#processor.encode(request))
    return this.#usual
  }

  #addMost(tokens: number | null): void {
    this.most = tokens === null || this.most === null ? null : this.most + tokens
  }

  #addMedia(media: ReadonlyArray<Media> | undefined): void {
    this.media += media?.length ?? 0
  }

  /** The texts of a body, whatever its shape; those that are base64 are media. */
  #addBody(body: Json): void {
    if (typeof body === "string") {
      if (body.length >= leastBase64 && base64.test(body)) this.media++
      else this.input += this.#tokens(body)
    } else if (Array.isArray(body)) {
      for (const one of body) this.#addBody(one)
    } else if (isObject(body)) {
      for (const one of Object.values(body)) this.#addBody(one)
    }
  }
}
