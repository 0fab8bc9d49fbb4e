import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import { Families, type Processor } from "../src/index.ts"
import { assertReading, nearly } from "./decoding.ts"
import { anyRequest, asking, assistant, media, system, user } from "./requests.ts"

const processorOf = (id: string): Processor.Processor<object> => {
  const processor = Families.forId(id)
  assert.isDefined(processor, id)
  return processor!
}

const textFamilies = [
  "converse/1",
  "anthropic-messages/1",
  "nova/1",
  "llama/1",
  "mistral-chat/1",
  "mistral-text/1",
  "openai-chat/1"
].map(processorOf)

const all = [
  ...textFamilies,
  ...[
    "raw/1",
    "raw/1?invocationType=Converse",
    "titan-text-embeddings/1",
    "titan-multimodal-embeddings/1",
    "nova-multimodal-embeddings/1"
  ].map(processorOf)
]

const text = Arbitrary.schema(Schema.String)
const number = Arbitrary.schema(Schema.Natural)
const one = (...values: ReadonlyArray<string>): Arbitrary.Arbitrary<Processor.Json> =>
  number.pipe(Arbitrary.map((index) => values[index % values.length]!))

const blocks = Arbitrary.array(
  nearly({
    type: one("text", "thinking", "tool_use"),
    text,
    thinking: text,
    name: text,
    input: Arbitrary.schema(Schema.Json),
    reasoningContent: nearly({ reasoningText: nearly({ text }) }),
    toolUse: nearly({ name: text, input: Arbitrary.schema(Schema.Json) }),
    citationsContent: nearly({ content: Arbitrary.array(nearly({ text }), { maxLength: 2 }) })
  }),
  { maxLength: 3 }
)

const choice = nearly({
  message: nearly({
    content: Arbitrary.all([text, blocks]).pipe(Arbitrary.map(([text, list]) => text.length % 2 === 0 ? text : list)),
    reasoning_content: text,
    refusal: text,
    tool_calls: Arbitrary.array(nearly({ function: nearly({ name: text, arguments: text }) }), { maxLength: 2 })
  }),
  finish_reason: one("stop", "length", "content_filter", "tool_calls"),
  stop_reason: one("stop", "length"),
  text
})

/** An output that has members of all families, right, null, absent or something else. */
const anyOutput = nearly({
  output: nearly({ message: nearly({ content: blocks }) }),
  content: blocks,
  choices: Arbitrary.array(choice, { maxLength: 2 }),
  outputs: Arbitrary.array(choice, { maxLength: 2 }),
  generation: text,
  stopReason: one("end_turn", "max_tokens", "content_filtered", "malformed_model_output"),
  stop_reason: one("end_turn", "max_tokens", "refusal", "pause_turn", "length"),
  error: nearly({ message: text }),
  message: text,
  prompt_token_count: number,
  generation_token_count: number,
  usage: nearly({
    inputTokens: number,
    outputTokens: number,
    cacheReadInputTokens: number,
    cacheWriteInputTokenCount: number,
    input_tokens: number,
    output_tokens: number,
    cache_creation_input_tokens: number,
    prompt_tokens: number,
    completion_tokens: number,
    prompt_tokens_details: nearly({ cached_tokens: number })
  })
})

describe.each(all.map((processor) => [processor.id, processor] as const))("%s", (_, processor) => {
  it.prop("gives a legal reading of whatever it reads", [anyOutput], ([output]) => assertReading(processor, output), {
    arbitrary: { runs: 100 }
  })

  it("reads JSON that is nested too deep to be written", () => {
    const deep: Processor.Json = JSON.parse("[".repeat(20_000) + "]".repeat(20_000))
    const outputs: ReadonlyArray<Processor.Json> = [
      deep,
      { content: [{ type: "tool_use", name: "f", input: deep }], stop_reason: "tool_use" },
      { output: { message: { content: [{ toolUse: { name: "f", input: deep } }] } }, stopReason: "tool_use" },
      { choices: [{ message: { content: deep, tool_calls: [{ function: { arguments: deep } }] } }] }
    ]
    for (const output of outputs) {
      const { status } = processor.decode(output)
      if (!processor.id.startsWith("raw/")) assert.strictEqual(status, "invalid")
    }
  })

  it.prop("writes JSON for any request, and checks it", [anyRequest], ([request]) => {
    const body = processor.encode(request)
    assert.deepStrictEqual(JSON.parse(JSON.stringify(body)), body)
    const problem = processor.check?.(request) ?? null
    if (problem !== null) assert.isNotEmpty(problem)
  }, { arbitrary: { runs: 100 } })

  it.prop("passes a finished body on unchanged", [Schema.Json], ([body]) => {
    assert.strictEqual(processor.encode({ type: "raw", body }), body)
  })
})

const copying = textFamilies.filter((processor) => processor["~@bedrock-batch/processors/changesTexts"] !== true)

describe.each(copying.map((processor) => [processor.id, processor] as const))("texts of %s", (_, processor) => {
  const mark = "text of this request \u2015 not to be found in any other"
  const image = media("image", "png")

  it.prop("stand in the request as they are, in the place of any other", [Schema.NonEmptyString], ([text]) => {
    for (const model of [undefined, "us.anthropic.claude-haiku-4-5-20251001-v1:0", "amazon.nova-lite-v1:0"]) {
      for (const way of ["instruction", "schema", "tool"] as const) {
        const body = (value: string): string => {
          const turns = [
            system(value),
            user(`${value}${value}`),
            assistant(`Yes, ${value}.`),
            { ...user(`${value} or not?`), media: [image] }
          ]
          return JSON.stringify(processor.encode(asking(way, turns, model)))
        }
        assert.strictEqual(body(text), body(mark).replaceAll(mark, () => JSON.stringify(text).slice(1, -1)))
      }
    }
  })
})

/** What a model of a family answers that repeats a text. */
const emulated: { readonly [id: string]: (text: string, stopped: boolean) => Processor.Json } = {
  "converse/1": (text, stopped) => ({
    output: { message: { role: "assistant", content: [{ text, toolUse: null }] } },
    stopReason: stopped ? "max_tokens" : "end_turn"
  }),
  "anthropic-messages/1": (text, stopped) => ({
    content: [{ type: "text", text }],
    stop_reason: stopped ? "max_tokens" : "end_turn"
  }),
  "nova/1": (text, stopped) => ({
    output: { message: { role: "assistant", content: [{ text }] } },
    stopReason: stopped ? "max_tokens" : "end_turn"
  }),
  "llama/1": (text, stopped) => ({ generation: text, stop_reason: stopped ? "length" : "stop" }),
  "mistral-chat/1": (text, stopped) => ({
    choices: [{ message: { content: text }, stop_reason: stopped ? "length" : "stop" }]
  }),
  "mistral-text/1": (text, stopped) => ({ outputs: [{ text, stop_reason: stopped ? "length" : "stop" }] }),
  "openai-chat/1": (text, stopped) => ({
    choices: [{ message: { content: text }, finish_reason: stopped ? "length" : "stop" }]
  })
}

/** Families whose answers have the same form. */
const shapes: { readonly [id: string]: string } = {
  "converse/1": "converse",
  "nova/1": "converse",
  "mistral-chat/1": "chat completion",
  "openai-chat/1": "chat completion"
}

describe.each(Object.entries(emulated))("answers of %s", (id, answer) => {
  const processor = processorOf(id)

  it.prop("come back as the model gave them", [Schema.NonEmptyString], ([text]) => {
    const read = (stopped: boolean) => processor.decode(JSON.parse(JSON.stringify(answer(text, stopped))))
    assert.deepInclude(read(false), { status: "succeeded", answer: { response: text } })
    assert.deepInclude(read(true), { status: "truncated", answer: { response: text } })
  })

  it.prop("of other families are never taken for its own", [Schema.NonEmptyString], ([text]) => {
    const shape = (id: string): string => shapes[id] ?? id
    for (const [other, strange] of Object.entries(emulated)) {
      if (shape(other) === shape(id)) continue
      assert.notStrictEqual(processor.decode(strange(text, false)).status, "succeeded", `${other} read by ${id}`)
    }
  })
})
