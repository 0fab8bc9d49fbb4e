/**
 * What a row of a result must hold, read from a model's answer by hand: another reader than the families' own.
 */
import type { Outcome } from "@bedrock-batch/sdk"

/** The columns that an answer adds to its row, and what became of it. */
export interface Read {
  readonly status: Outcome.Outcome
  readonly stop: string | null
  readonly input: number | null
  readonly output: number | null
  readonly columns: { readonly [column: string]: unknown }
}

const statuses: { readonly [stop: string]: Outcome.Outcome } = {
  end_turn: "succeeded",
  stop: "succeeded",
  tool_use: "succeeded",
  max_tokens: "truncated",
  length: "truncated",
  refusal: "refused",
  content_filtered: "refused",
  content_filter: "refused"
}

/** A text and what was thought before it; of one that was refused nothing is kept. */
const told = (
  stop: string,
  text: string,
  reasoning: string | null,
  input: number | null,
  output: number | null
): Read => {
  const status = statuses[stop]
  if (status === undefined) throw new Error(`an answer stopped for an unknown reason: ${stop}`)
  const columns = status === "refused" ? { response: null, reasoning: null } : { response: text, reasoning }
  return { status, stop, input, output, columns }
}

const joined = (texts: ReadonlyArray<string | undefined>): string => texts.map((text) => text ?? "").join("")
const orNull = (text: string): string | null => text === "" ? null : text

/** Anthropic Messages. */
export const anthropic = (answer: any): Read => {
  const { content, stop_reason, usage } = answer
  const [tool] = content.filter(({ type }: any) => type === "tool_use")
  const text = joined(content.map(({ text }: any) => text))
  return told(
    stop_reason,
    tool === undefined ? text : JSON.stringify(tool.input),
    orNull(joined(content.map(({ thinking }: any) => thinking))),
    usage.input_tokens + usage.cache_read_input_tokens + usage.cache_creation_input_tokens,
    usage.output_tokens
  )
}

/** Converse, and Nova's own format, whose cache counts have other names. */
export const converse = (answer: any): Read => {
  const { output, stopReason, usage } = answer
  const content: ReadonlyArray<any> = output.message.content
  return told(
    stopReason,
    joined(content.map(({ text }) => text)),
    orNull(joined(content.map(({ reasoningContent }) => reasoningContent?.reasoningText.text))),
    usage.inputTokens + (usage.cacheReadInputTokens ?? usage.cacheReadInputTokenCount) +
      (usage.cacheWriteInputTokens ?? usage.cacheWriteInputTokenCount),
    usage.outputTokens
  )
}

/** Llama. */
export const llama = (answer: any): Read =>
  told(answer.stop_reason, answer.generation, null, answer.prompt_token_count, answer.generation_token_count)

/** Mistral AI's models of 2024, which count no tokens. */
export const mistralChat = ({ choices: [choice] }: any): Read =>
  told(choice.stop_reason, choice.message.content, null, null, null)

/** Mistral AI's models of 2024, which count no tokens. */
export const mistralText = ({ outputs: [output] }: any): Read => told(output.stop_reason, output.text, null, null, null)

/** Chat completions, with the reasoning of gpt-oss in front of its text. */
export const openai = ({ choices: [choice], usage }: any): Read => {
  const { content, reasoning_content: apart = "" } = choice.message
  const [, tagged = "", text = content] = /^<reasoning>([^]*)<\/reasoning>([^]*)$/.exec(content) ?? []
  return told(choice.finish_reason, text, orNull(tagged + apart), usage.prompt_tokens, usage.completion_tokens)
}

const vectors = (columns: { readonly [column: string]: unknown }, input: number | null): Read =>
  ({ status: "succeeded", stop: null, input, output: null, columns })

/** Eight bits a byte, the first in the highest place. */
const packed = (bits: ReadonlyArray<number>): Uint8Array =>
  Uint8Array.from({ length: bits.length / 8 }, (_, byte) => parseInt(bits.slice(8 * byte, 8 * byte + 8).join(""), 2))

/** Titan Text Embeddings V2, as numbers, bits or both. */
export const titanText = ({ embedding, embeddingsByType: { binary }, inputTextTokenCount }: any): Read =>
  vectors({
    ...(embedding === undefined ? {} : { embedding: Float32Array.from(embedding) }),
    ...(binary === undefined ? {} : { embedding_binary: packed(binary) })
  }, inputTextTokenCount)

/** Titan Multimodal Embeddings, whose message is an error. */
export const titanImage = ({ embedding, inputTextTokenCount, message }: any): Read =>
  message === null
    ? vectors({ embedding: Float32Array.from(embedding) }, inputTextTokenCount)
    : { ...vectors({ embedding: null }, inputTextTokenCount), status: "failed" }

/** Nova Multimodal Embeddings: one vector, or those of a video and its sound. */
export const novaEmbeddings = ({ embeddings }: any): Read => {
  const of = (type: string) => Float32Array.from(embeddings.find((one: any) => one.embeddingType === type).embedding)
  const cut = embeddings[0].truncatedCharLength
  const columns = embeddings.length === 2
    ? { video_embedding: of("VIDEO"), audio_embedding: of("AUDIO") }
    : { embedding: Float32Array.from(embeddings[0].embedding) }
  return { ...vectors(columns, null), stop: cut === undefined ? null : `truncatedCharLength=${cut}` }
}

/** A whole answer as JSON; its stop reason and tokens are found, too. */
export const raw = (read: (answer: any) => Read) => (answer: any): Read => {
  const { input, output, stop } = read(answer)
  return { status: "succeeded", stop, input, output, columns: { output: answer } }
}

const parsed = (text: string): object | null => {
  try {
    return Object(JSON.parse(text))
  } catch {
    return null
  }
}

/** A text that is JSON, whose members are columns; one that was cut off, or that is no JSON, is not an answer. */
export const structured = (read: (answer: any) => Read) => (answer: any): Read => {
  const plain = read(answer)
  if (plain.status === "refused") return plain
  const text = String(plain.columns["response"])
  const members = parsed(text)
  return members === null || plain.status === "truncated"
    ? { ...plain, status: "invalid", columns: { ...plain.columns, response: orNull(text) } }
    : { ...plain, columns: { ...plain.columns, ...members } }
}
