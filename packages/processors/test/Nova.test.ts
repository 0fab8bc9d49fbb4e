import { assert, describe, it } from "@effect/vitest"
import type { Processor } from "../src/index.ts"
import { nova } from "../src/Nova.ts"
import { asking, assistant, chat, media, schema, stored, system, user, written } from "./requests.ts"

const answer = (content: ReadonlyArray<Processor.Json>, stopReason = "end_turn"): Processor.Json => ({
  output: { message: { role: "assistant", content } },
  stopReason,
  usage: {
    inputTokens: 10,
    outputTokens: 5,
    totalTokens: 15,
    cacheReadInputTokenCount: 3,
    cacheWriteInputTokenCount: 0
  }
})

const usage = { inputTokens: 13, outputTokens: 5, cacheReadTokens: 3, cacheWriteTokens: 0 }

describe("encode", () => {
  it("writes Nova's own body", () => {
    const parameters = {
      maxTokens: 5,
      temperature: 0,
      topP: 0.5,
      stopSequences: ["."],
      more: { inferenceConfig: { topK: 20 }, toolConfig: { tools: [] } }
    }
    assert.deepStrictEqual(written(nova, chat([system("s"), user("a"), assistant("b"), user("c")], parameters)), {
      schemaVersion: "messages-v1",
      system: [{ text: "s" }],
      messages: [
        { role: "user", content: [{ text: "a" }] },
        { role: "assistant", content: [{ text: "b" }] },
        { role: "user", content: [{ text: "c" }] }
      ],
      inferenceConfig: { maxTokens: 5, temperature: 0, topP: 0.5, stopSequences: ["."], topK: 20 },
      toolConfig: { tools: [] }
    })
  })

  it("sends 1024 as maxTokens and nothing else that was not asked for", () => {
    assert.deepStrictEqual(written(nova, chat([user("Hi")])), {
      schemaVersion: "messages-v1",
      messages: [{ role: "user", content: [{ text: "Hi" }] }],
      inferenceConfig: { maxTokens: 1024 }
    })
  })

  it("sends media as base64, or by reference", () => {
    const turn = { ...user("What?"), media: [media("image", "png"), stored("video", "mp4")] }
    assert.deepInclude(nova.encode(chat([turn])), {
      messages: [{
        role: "user",
        content: [
          { image: { format: "png", source: { bytes: "AAAA" } } },
          { video: { format: "mp4", source: { s3Location: { uri: "s3://bucket/key" } } } },
          { text: "What?" }
        ]
      }]
    })
  })

  it("thinks with an effort, and with high effort without the parameters that Nova refuses then", () => {
    assert.deepInclude(nova.encode(chat([user("Hi")], { thinking: { effort: "low" }, maxTokens: 9 })), {
      inferenceConfig: { maxTokens: 9, reasoningConfig: { type: "enabled", maxReasoningEffort: "low" } }
    })
    assert.deepInclude(nova.encode(chat([user("Hi")], { thinking: { effort: "high" } })), {
      inferenceConfig: { reasoningConfig: { type: "enabled", maxReasoningEffort: "high" } }
    })
  })

  it("tells of the shape of the answer by instruction", () => {
    const { messages } = written(nova, asking("instruction"))
    assert.include(messages[0].content[0].text, JSON.stringify(schema))
  })
})

describe("check", () => {
  const image = [{ ...user("a"), media: [media("image", "png")] }]
  it.each<[name: string, request: Processor.ModelRequest, problem: string | null]>([
    ["a plain request", chat([user("a")]), null],
    ["top k", chat([user("a")], { more: { inferenceConfig: { topK: 1 } } }), null],
    ["temperature in more", chat([user("a")], { more: { inferenceConfig: { temperature: 1 } } }), "give temperature"],
    ["messages in more", chat([user("a")], { more: { messages: [] } }), "must not have messages"],
    ["an effort", chat([user("a")], { thinking: { effort: "low" } }, "us.amazon.nova-2-lite-v1:0"), null],
    [
      "an effort of Nova 1",
      chat([user("a")], { thinking: { effort: "low" } }, "amazon.nova-pro-v1:0"),
      "not one that thinks"
    ],
    ["a budget", chat([user("a")], { thinking: { budgetTokens: 2048 } }), "takes thinking.effort"],
    [
      "a high effort with maxTokens",
      chat([user("a")], { thinking: { effort: "high" }, maxTokens: 1 }),
      "refuses maxTokens"
    ],
    ["an image", chat(image, {}, "amazon.nova-lite-v1:0"), null],
    ["an image for Nova Micro", chat(image, {}, "us.amazon.nova-micro-v1:0"), "takes text alone"],
    ["an output by tool", asking("tool"), "it can by instruction"],
    ["an output by instruction", asking("instruction"), null],
    ["a raw body", { type: "raw", body: { messages: [] } }, null],
    ["a raw body of OpenAI", { type: "raw", body: { messages: [], max_tokens: 1 } }, "max_tokens"]
  ])("of %s", (_, request, problem) => {
    const message = nova.check?.(request)
    if (problem === null) assert.isNull(message)
    else assert.include(message, problem)
  })
})

describe("decode", () => {
  it("reads text, reasoning and tokens, those of the cache too", () => {
    const content = [{ reasoningContent: { reasoningText: { text: "[REDACTED]" } } }, { text: "a" }, { text: "b" }]
    assert.deepStrictEqual(nova.decode(answer(content)), {
      status: "succeeded",
      answer: { response: "ab" },
      stopReason: "end_turn",
      usage,
      reasoning: "[REDACTED]"
    })
  })

  it.each<[stopReason: string, status: Processor.Reading<unknown>["status"]]>([
    ["stop_sequence", "succeeded"],
    ["max_tokens", "truncated"],
    ["content_filtered", "refused"]
  ])("%s means %s", (stopReason, status) => {
    assert.deepInclude(nova.decode(answer([{ text: "a" }], stopReason)), { status, stopReason })
  })

  it("takes the input of a tool for the answer where there is no text", () => {
    const content = [{ toolUse: { toolUseId: "1", name: "label", input: { a: "x" } } }]
    assert.deepInclude(nova.decode(answer(content, "tool_use")), { answer: { response: "{\"a\":\"x\"}" } })
  })

  it("the output of another family is invalid, and says so", () => {
    const reading = nova.decode({ generation: "a", stop_reason: "stop" })
    assert.include("message" in reading ? reading.message : "", "not a Nova answer")
  })
})
