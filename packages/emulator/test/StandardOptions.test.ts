import { assert, it } from "@effect/vitest"
import * as Responder from "../src/Responder.ts"
import { anthropic, converse, haiku } from "./Fixture.ts"

const asked = (
  modelId: string,
  modelInput: Record<string, unknown>,
  modelInvocationType: "InvokeModel" | "Converse" = "InvokeModel"
) =>
  ({ modelId, modelInvocationType, recordId: "r", modelInput })
const bad = (prompt: string) => prompt.includes("bad")
const chat = (content: string) => ({ messages: [{ role: "user", content }] })

it("refuses the prompts that it is told to, in the family's own word", () => {
  const responder = Responder.make({ refusals: bad })
  const word = (request: Responder.RecordRequest): unknown => {
    const answer: any = responder(request)
    return answer.stop_reason ?? answer.stopReason ?? answer.choices[0].finish_reason
  }
  for (const text of ["good", "bad"]) {
    const is = (good: string, refused: string) => text === "good" ? good : refused
    assert.strictEqual(word(asked(haiku, anthropic(text))), is("end_turn", "refusal"))
    assert.strictEqual(word(asked(haiku, converse(text), "Converse")), is("end_turn", "content_filtered"))
    assert.strictEqual(
      word(asked("amazon.nova-lite-v1:0", { messages: [{ role: "user", content: [{ text }] }] })),
      is("end_turn", "content_filtered")
    )
    assert.strictEqual(word(asked("qwen.qwen3-32b-v1:0", chat(text))), is("stop", "content_filter"))
  }
})

it("cuts answers short, and hides errors inside successes", () => {
  const responder = Responder.make({ truncations: bad, hiddenErrors: bad })
  assert.deepInclude(responder(asked(haiku, anthropic("bad"))), { stop_reason: "max_tokens" })
  assert.deepInclude(responder(asked(haiku, anthropic("good"))), { stop_reason: "end_turn" })
  assert.deepStrictEqual(responder(asked("amazon.titan-embed-image-v1", { inputText: "bad" })), {
    embedding: null,
    inputTextTokenCount: 1,
    message: "The model could not embed the input."
  })
  assert.deepInclude(responder(asked("amazon.titan-embed-image-v1", { inputText: "good" })), { message: null })
})

it("adds fields of the future everywhere but to what the model wrote", () => {
  const responder = Responder.make({ unknownFields: 1 })
  const answer: any = responder(asked(haiku, anthropic("x")))
  assert.isObject(answer.futureField)
  assert.isObject(answer.usage.futureField)
  assert.deepStrictEqual(answer.content.map(({ type }: any) => type), ["future_block", "text"])
  const plain: any = Responder.standard(asked(haiku, anthropic("x")))
  assert.strictEqual(answer.content[1].text, plain.content[0].text)
  const tools = [{ name: "t", input_schema: { type: "object", properties: { a: { type: "string" } } } }]
  const called: any = responder(asked(haiku, { ...anthropic("x"), tools, tool_choice: { type: "any" } }))
  assert.deepStrictEqual(Object.keys(called.content[1].input), ["a"])
})

it("counts tokens of the request as cached, and the same number in all", () => {
  const responder = Responder.make({ cacheReads: 1 })
  const text = "a prompt of some length"
  const claude: any = responder(asked(haiku, anthropic(text)))
  const total = ({ cache_creation_input_tokens, cache_read_input_tokens, input_tokens }: any) =>
    cache_creation_input_tokens + cache_read_input_tokens + input_tokens
  const plain: any = Responder.standard(asked(haiku, anthropic(text)))
  assert.isAbove(claude.usage.cache_read_input_tokens, 0)
  assert.isAbove(claude.usage.cache_creation_input_tokens, 0)
  assert.strictEqual(total(claude.usage), total(plain.usage))
  const spoken: any = responder(asked(haiku, converse(text), "Converse"))
  assert.strictEqual(
    spoken.usage.totalTokens,
    spoken.usage.inputTokens + spoken.usage.outputTokens + spoken.usage.cacheReadInputTokens +
      spoken.usage.cacheWriteInputTokens
  )
})

it("strikes the given share of the prompts, and the same ones each time", () => {
  const responder = Responder.make({ refusals: 0.2 })
  const struck = () =>
    Array.from({ length: 1000 }, (_, i): any => responder(asked(haiku, anthropic(`question ${i}`))))
      .map(({ stop_reason }) => stop_reason === "refusal")
  const first = struck()
  assert.approximately(first.filter((one) => one).length, 200, 40)
  assert.deepStrictEqual(struck(), first)
})
