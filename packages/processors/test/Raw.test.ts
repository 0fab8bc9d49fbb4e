import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { type Processor, Raw } from "../src/index.ts"
import { chat, user } from "./requests.ts"

const processor = Raw.raw()

describe("raw", () => {
  it.prop("passes a body on untouched", [Schema.Json], ([body]) => {
    assert.strictEqual(processor.encode({ type: "raw", body }), body)
  })

  it("has an id for each API", () => {
    assert.deepInclude(processor, { id: "raw/1", invocationType: "InvokeModel", accepts: "raw" })
    assert.strictEqual(Raw.raw({ invocationType: "InvokeModel" }), processor)
    const converse = Raw.raw({ invocationType: "Converse" })
    assert.deepInclude(converse, { id: "raw/1?invocationType=Converse", invocationType: "Converse" })
    assert.strictEqual(Raw.fromId(converse.id), converse)
    assert.strictEqual(Raw.fromId("raw/1"), processor)
    for (const id of ["raw/2", "raw/1?", "raw/1?invocationType=InvokeModel", "raw/1?invocationType=Converse&a=1"]) {
      assert.isUndefined(Raw.fromId(id), id)
    }
  })

  it.each<[name: string, request: Processor.ModelRequest, problem: string | null]>([
    ["a body", { type: "raw", body: { anything: 1 } }, null],
    ["a list", { type: "raw", body: [] }, "must be a JSON object"],
    ["a body with its model", { type: "raw", body: { modelId: "a" } }, "must not have modelId"],
    ["a prompt", chat([user("a")]), "leave the prompt out"]
  ])("checks %s", (_, request, problem) => {
    const message = processor.check?.(request)
    if (problem === null) assert.isNull(message)
    else assert.include(message, problem)
  })

  it("checks bodies of Converse as Converse does", () => {
    const check = (body: Processor.Json) => Raw.raw({ invocationType: "Converse" }).check?.({ type: "raw", body })
    assert.isNull(check({ messages: [] }))
    assert.include(check({}), "lacks messages")
    assert.include(check({ messages: [], toolConfig: {} }), "toolConfig")
  })

  it.each<[output: Processor.Json, stopReason: string | null, usage: Processor.Usage]>([
    [{}, null, { inputTokens: null, outputTokens: null }],
    [
      {
        content: [],
        stop_reason: "end_turn",
        usage: { input_tokens: 1, output_tokens: 2, cache_read_input_tokens: 3 }
      },
      "end_turn",
      { inputTokens: 4, outputTokens: 2, cacheReadTokens: 3 }
    ],
    [
      { output: {}, stopReason: "max_tokens", usage: { inputTokens: 1, outputTokens: 2, cacheWriteInputTokens: 5 } },
      "max_tokens",
      { inputTokens: 6, outputTokens: 2, cacheWriteTokens: 5 }
    ],
    [
      { usage: { inputTokens: 1, outputTokens: 2, cacheReadInputTokenCount: 3 } },
      null,
      { inputTokens: 4, outputTokens: 2, cacheReadTokens: 3 }
    ],
    [
      { generation: "", prompt_token_count: 1, generation_token_count: 2, stop_reason: "length" },
      "length",
      { inputTokens: 1, outputTokens: 2 }
    ],
    [{ choices: [{ message: {}, stop_reason: "stop" }] }, "stop", { inputTokens: null, outputTokens: null }],
    [{ outputs: [{ text: "a", stop_reason: "stop" }] }, "stop", { inputTokens: null, outputTokens: null }],
    [
      {
        choices: [{ message: {}, finish_reason: "stop" }],
        usage: { prompt_tokens: 1, completion_tokens: 2, prompt_tokens_details: { cached_tokens: 1 } }
      },
      "stop",
      { inputTokens: 1, outputTokens: 2, cacheReadTokens: 1 }
    ],
    [{ embedding: [1], inputTextTokenCount: 7, message: null }, null, { inputTokens: 7, outputTokens: null }],
    [
      { inputTextTokenCount: 3, results: [{ tokenCount: 4, outputText: "a", completionReason: "FINISH" }] },
      "FINISH",
      { inputTokens: 3, outputTokens: 4 }
    ]
  ])("gives the whole output, and finds stop reason and tokens: %j", (output, stopReason, usage) => {
    assert.deepStrictEqual<unknown>(processor.decode(output), {
      status: "succeeded",
      answer: { output },
      stopReason,
      usage
    })
  })

  it("tells an output that is no object, or that is an error, from an answer", () => {
    assert.deepInclude(processor.decode("a"), { status: "invalid" })
    assert.deepInclude(processor.decode([{}]), { status: "invalid" })
    assert.deepInclude(processor.decode({ embedding: null, message: "too long" }), {
      status: "failed",
      message: "too long"
    })
    assert.deepInclude(processor.decode({ type: "error", error: { type: "x", message: "no" } }), {
      status: "failed",
      message: "no"
    })
    assert.deepInclude(processor.decode({ error: {} }), { status: "failed" })
    assert.deepInclude(processor.decode({ message: { role: "assistant" }, error: null }), { status: "succeeded" })
  })
})
