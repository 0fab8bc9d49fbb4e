import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import type { Processor } from "../src/index.ts"
import { openAiChat } from "../src/OpenAiChat.ts"
import { asking, assistant, chat, media, schema, stored, system, user, written } from "./requests.ts"

const gptOss = "openai.gpt-oss-120b-1:0"

const answer = (message: { readonly [key: string]: Processor.Json }, finish_reason = "stop"): Processor.Json => ({
  id: "chatcmpl-1",
  object: "chat.completion",
  created: 1,
  model: gptOss,
  choices: [{ index: 0, message: { role: "assistant", ...message }, finish_reason }],
  usage: { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 }
})

const usage = { inputTokens: 10, outputTokens: 5 }

describe("encode", () => {
  it("writes the body of a chat completion", () => {
    const parameters = {
      maxTokens: 5,
      temperature: 0,
      topP: 0.5,
      stopSequences: ["."],
      thinking: { effort: "low" },
      more: { seed: 1 }
    } as const
    const turns = [system("s"), user("a"), user("b"), assistant("c"), user("d")]
    assert.deepStrictEqual(written(openAiChat, chat(turns, parameters)), {
      messages: [
        { role: "system", content: "s" },
        { role: "user", content: "a\n\nb" },
        { role: "assistant", content: "c" },
        { role: "user", content: "d" }
      ],
      max_completion_tokens: 5,
      temperature: 0,
      top_p: 0.5,
      stop: ["."],
      reasoning_effort: "low",
      seed: 1
    })
    assert.deepStrictEqual(written(openAiChat, chat([user("a")])), {
      messages: [{ role: "user", content: "a" }],
      max_completion_tokens: 1024
    })
  })

  it("sends images as data URLs and sounds as base64", () => {
    const turn = { ...user("What?"), media: [media("image", "jpeg"), media("audio", "mp3", "BBBB")] }
    assert.deepInclude(openAiChat.encode(chat([turn])), {
      messages: [{
        role: "user",
        content: [
          { type: "image_url", image_url: { url: "data:image/jpeg;base64,AAAA" } },
          { type: "input_audio", input_audio: { data: "BBBB", format: "mp3" } },
          { type: "text", text: "What?" }
        ]
      }]
    })
  })

  it("tells of the shape of the answer by response_format, or by instruction", () => {
    assert.deepStrictEqual(written(openAiChat, asking("schema")), {
      messages: [{ role: "user", content: "Hi" }],
      max_completion_tokens: 1024,
      response_format: { type: "json_schema", json_schema: { name: "label", schema, strict: true } }
    })
    assert.include(written(openAiChat, asking("instruction")).messages[0].content, JSON.stringify(schema))
    assert.deepStrictEqual(openAiChat.outputWays!(gptOss), ["schema", "instruction"])
    assert.deepStrictEqual(openAiChat.outputWays!("minimax.minimax-m9"), ["instruction", "schema"])
  })
})

describe("check", () => {
  const image = [{ ...user("a"), media: [media("image", "png")] }]
  it.each<[name: string, request: Processor.ModelRequest, problem: string | null]>([
    ["a plain request", chat([user("a")], { thinking: { effort: "high" } }), null],
    ["a budget", chat([user("a")], { thinking: { budgetTokens: 2048 } }), "takes thinking.effort"],
    [
      "an effort twice",
      chat([user("a")], { thinking: { effort: "low" }, more: { reasoning_effort: "low" } }),
      "give thinking"
    ],
    ["max_tokens in more", chat([user("a")], { more: { max_tokens: 1 } }), "give maxTokens instead"],
    ["a stream", chat([user("a")], { more: { stream: true } }), "more must not have stream"],
    ["an image", chat(image, {}, "qwen.qwen3-vl-235b-a22b"), null],
    ["an image for gpt-oss", chat(image, {}, gptOss), "takes text alone"],
    ["an image in S3", chat([{ ...user("a"), media: [stored("image", "png")] }]), "from S3"],
    ["a document", chat([{ ...user("a"), media: [media("document", "pdf")] }]), "takes no document"],
    ["an output", asking("schema"), null],
    ["an output by tool", asking("tool"), "it can by instruction or schema"],
    ["a raw body", { type: "raw", body: { messages: [] } }, null],
    ["a raw body of Nova", { type: "raw", body: { messages: [], inferenceConfig: {} } }, "inferenceConfig"]
  ])("of %s", (_, request, problem) => {
    const message = openAiChat.check?.(request)
    if (problem === null) assert.isNull(message)
    else assert.include(message, problem)
  })
})

describe("decode", () => {
  it("reads text, stop reason and tokens", () => {
    assert.deepStrictEqual(openAiChat.decode(answer({ content: "a" })), {
      status: "succeeded",
      answer: { response: "a" },
      stopReason: "stop",
      usage
    })
  })

  it.each([
    [{ content: "<reasoning>hm</reasoning>a" }],
    [{ content: "\n<reasoning>hm</reasoning>a" }],
    [{ content: "a", reasoning_content: "hm" }],
    [{ content: "a", reasoning: "hm", refusal: null }],
    [{ content: [{ type: "thinking", thinking: [{ type: "text", text: "hm" }] }, { type: "text", text: "a" }] }]
  ])("keeps reasoning apart from the answer: %j", (message) => {
    assert.deepStrictEqual(openAiChat.decode(answer(message)), {
      status: "succeeded",
      answer: { response: "a" },
      stopReason: "stop",
      usage,
      reasoning: "hm"
    })
  })

  it("leaves tags inside the answer alone", () => {
    const content = "Write <reasoning>a</reasoning> so."
    assert.deepInclude(openAiChat.decode(answer({ content })), { answer: { response: content } })
  })

  it("an answer that was cut off in its reasoning is truncated and empty", () => {
    assert.deepStrictEqual(openAiChat.decode(answer({ content: "<reasoning>We need" }, "length")), {
      status: "truncated",
      answer: { response: "" },
      stopReason: "length",
      usage,
      reasoning: "We need"
    })
    assert.deepInclude(openAiChat.decode(answer({ content: null }, "length")), {
      status: "truncated",
      answer: { response: "" }
    })
  })

  it("reasoning without an answer is invalid", () => {
    assert.deepInclude(openAiChat.decode(answer({ content: "<reasoning>a</reasoning>" })), {
      status: "invalid",
      raw: null,
      reasoning: "a"
    })
  })

  it("a refusal is a refusal, by its member or by the filter", () => {
    assert.deepInclude(openAiChat.decode(answer({ content: null, refusal: "I cannot." })), {
      status: "refused",
      raw: "I cannot.",
      stopReason: "stop"
    })
    assert.deepInclude(openAiChat.decode(answer({ content: "a" }, "content_filter")), { status: "refused", raw: "a" })
  })

  it("tells the input tokens that were read from a cache, which are among those of the prompt", () => {
    const output = {
      choices: [{ message: { content: "a" }, finish_reason: "stop" }],
      usage: { prompt_tokens: 10, completion_tokens: 5, prompt_tokens_details: { cached_tokens: 4 } }
    }
    assert.deepInclude(openAiChat.decode(output), { usage: { ...usage, cacheReadTokens: 4 } })
  })

  it("takes the arguments of a tool for the answer where there is no text", () => {
    const tool_calls = [{ id: "1", type: "function", function: { name: "label", arguments: "{\"a\":\"x\"}" } }]
    assert.deepInclude(openAiChat.decode(answer({ content: null, tool_calls }, "tool_calls")), {
      status: "succeeded",
      answer: { response: "{\"a\":\"x\"}" }
    })
  })

  it("the output of another family is invalid, an error a failure", () => {
    const reading = openAiChat.decode({ generation: "a" })
    assert.include("message" in reading ? reading.message : "", "not an answer of OpenAI chat")
    assert.deepInclude(openAiChat.decode({ error: { message: "overloaded", code: 503 } }), {
      status: "failed",
      message: "overloaded"
    })
  })

  it.prop("splits reasoning off whatever it and the answer say", [
    Schema.String,
    Schema.NonEmptyString
  ], ([left, text]) => {
    const reasoning = left.replaceAll("</reasoning>", "")
    const reading = openAiChat.decode(answer({ content: `<reasoning>${reasoning}</reasoning>${text}` }))
    assert.deepInclude(reading, { status: "succeeded", answer: { response: text } })
    if (reasoning === "") assert.notProperty(reading, "reasoning")
    else assert.deepInclude(reading, { reasoning })
  })
})
