import { assert, describe, it } from "@effect/vitest"
import { Prompt, PromptLibrary } from "../src/index.ts"
import { Result } from "effect"

const haiku = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
const titan = "amazon.titan-embed-text-v2:0"

const render = (prompt: Prompt.Any, row: { readonly [column: string]: unknown }) => {
  const compiled = Result.getOrThrow(Prompt.compile(prompt, Object.keys(row)))
  return compiled.render(Object.values(row).map((value) => [value]), 0)
}

describe("the built-in library", () => {
  const { joke_about_topic, question_answering, sentiment_classifier } = PromptLibrary.builtIn.prompts

  it("has the ids and columns that users of the orchestrator know", () => {
    assert.deepStrictEqual(
      Object.entries(PromptLibrary.builtIn.prompts).map(([id, { placeholders }]) => [id, ...placeholders]),
      [["joke_about_topic", "topic"], ["sentiment_classifier", "input_text"], ["question_answering", "source"]]
    )
  })

  it("asks for a short joke, for one word, and for tags with a worked example", () => {
    const joke = render(joke_about_topic, { topic: "cats" })[0]?.content ?? ""
    assert.include(joke, "cats. It must be shorter than 50 words")
    const sentiment = render(sentiment_classifier, { input_text: "I {love} it" })[0]?.content ?? ""
    for (const part of ["I {love} it", "positive", "negative", "neutral", "nothing else"]) {
      assert.include(sentiment, part)
    }
    const question = render(question_answering, { source: "Why?" })[0]?.content ?? ""
    assert.strictEqual(question.split("<thinking>").length, 3)
    assert.match(question, /<thinking>\n[^]+<\/thinking>\n<answer>\n65 minutes\n<\/answer>\n\nQuestion: Why\?$/)
  })
})

describe("a library of one's own", () => {
  it("takes templates, a system text with a template or turns, and prompts", () => {
    const own = Prompt.make("{a}")
    const { prompts } = PromptLibrary.make({
      text: "About {topic}",
      system: { system: "In {language}.", template: "{text}" },
      turns: { system: "S", turns: [{ role: "user", content: "{q}" }, { role: "assistant", content: "{r}" }] },
      picture: { turns: [{ role: "user", content: "{ask}", media: [Prompt.image("photo")] }] },
      own
    })
    assert.deepStrictEqual([...prompts.picture.placeholders].sort(), ["ask", "photo"])
    assert.deepStrictEqual(render(prompts.text, { topic: "x" }), [{ role: "user", content: "About x" }])
    assert.deepStrictEqual(prompts.system.placeholders, ["language", "text"])
    assert.deepStrictEqual(prompts.turns.turns, [
      { role: "system", content: "S" },
      { role: "user", content: "{q}" },
      { role: "assistant", content: "{r}" }
    ])
    assert.strictEqual(prompts.own, own)
  })

  it("refuses ids that are none, and takes those that objects have of their own", () => {
    for (const id of ["", "a b", "a/b", "é", "..", "x".repeat(65)]) {
      assert.throws(() => PromptLibrary.make({ [id]: "text" }), PromptLibrary.InvalidPromptId)
      assert.isFalse(PromptLibrary.isPromptId(id))
    }
    const longest = "x".repeat(64)
    const library: PromptLibrary.Any = PromptLibrary.make({ ["__proto__"]: "{a}", constructor: "{b}", [longest]: "c" })
    assert.deepStrictEqual(Result.getOrThrow(PromptLibrary.get(library, "__proto__")).placeholders, ["a"])
    assert.deepStrictEqual(Result.getOrThrow(PromptLibrary.get(library, "constructor")).placeholders, ["b"])
    const builtIn: PromptLibrary.Any = PromptLibrary.builtIn
    for (const id of ["__proto__", "constructor", "toString"]) {
      assert.isTrue(Result.isFailure(PromptLibrary.get(builtIn, id)), id)
    }
  })

  it("says which prompt is malformed, and where", () => {
    const [template, content]: ReadonlyArray<string> = ["fine {a} not }", "a {"]
    const broken = (entry: PromptLibrary.Entry) => {
      try {
        PromptLibrary.make<{ readonly [id: string]: PromptLibrary.Entry }>({ fine: "{a}", broken: entry })
        return null
      } catch (error) {
        return error instanceof Prompt.PromptSyntaxError ? [error.part, error.position] : error
      }
    }
    assert.deepStrictEqual(broken(template!), ["prompt broken, its template,", 13])
    assert.deepStrictEqual(broken({ system: content, template: "" }), ["prompt broken, its system,", 2])
    const turns: ReadonlyArray<Prompt.Turn> = [{ role: "user", content: content! }]
    assert.deepStrictEqual(broken({ turns }), ["prompt broken, its turns[0],", 2])
  })

  it("puts its own prompts in the place of others with the same id", () => {
    const own = PromptLibrary.make({ sentiment_classifier: "Good or bad? {review}", mine: "{x}" })
    const { prompts } = PromptLibrary.merge(PromptLibrary.builtIn, own)
    assert.deepStrictEqual(prompts.sentiment_classifier.placeholders, ["review"])
    assert.deepStrictEqual(prompts.joke_about_topic.placeholders, ["topic"])
    assert.deepStrictEqual(Object.keys(prompts).length, 4)
  })

  it("finds a prompt by its id, and names the nearest of one that is not there", () => {
    const joke = PromptLibrary.get(PromptLibrary.builtIn, "joke_about_topic")
    assert.deepStrictEqual(Result.getOrThrow(joke).placeholders, ["topic"])
    const id: string = "joke_about_topics"
    const found = PromptLibrary.get(PromptLibrary.builtIn, id)
    assert.isTrue(Result.isFailure(found))
    if (Result.isFailure(found)) {
      assert.deepStrictEqual(found.failure.near, ["joke_about_topic"])
      assert.lengthOf(found.failure.known, 3)
      assert.include(found.failure.message, "did you mean \"joke_about_topic\"?")
    }
    const other: string = "zzz"
    const far = PromptLibrary.get(PromptLibrary.builtIn, other)
    assert.include(Result.isFailure(far) ? far.failure.message : "", "there are \"joke_about_topic\", \"sentiment_")
  })
})

describe("the rules of a request by prompt id", () => {
  const problem = (request: PromptLibrary.Request) => {
    const checked = PromptLibrary.validate(request)
    return Result.isFailure(checked) ? checked.failure : checked.success
  }

  it("give a text model its prompt and an embedding model its column", () => {
    const joke = problem({ model: haiku, promptId: "joke_about_topic", columns: ["id", "topic"] })
    assert.deepStrictEqual(joke, { type: "chat", prompt: PromptLibrary.builtIn.prompts.joke_about_topic })
    assert.deepStrictEqual(problem({ model: titan, promptId: null, columns: ["input_text"] }), {
      type: "embed",
      column: "input_text"
    })
    const named = problem({ model: titan, columns: ["body"], embed: "body" })
    assert.deepStrictEqual(named, { type: "embed", column: "body" })
  })

  it("need a known prompt id for a text model, and all its columns", () => {
    const columns = ["topics", "id"]
    assert.deepInclude(problem({ model: haiku, columns }), { problem: "prompt-required" })
    assert.deepInclude(problem({ model: haiku, promptId: null, columns }), { problem: "prompt-required" })
    assert.deepInclude(problem({ model: haiku, promptId: "joke", columns }), { problem: "unknown-prompt" })
    const missing = problem({ model: haiku, promptId: "joke_about_topic", columns })
    assert.deepInclude(missing, { problem: "missing-columns", missing: ["topic"], near: ["topics"] })
    assert.include("message" in missing ? missing.message : "", "did you mean \"topics\"?")
    const library = PromptLibrary.make({ two: "{b} {a} {id}" })
    assert.deepInclude(problem({ model: haiku, promptId: "two", columns, library }), { missing: ["b", "a"] })
  })

  it("need no prompt and a column of texts for an embedding model", () => {
    const columns = ["text"]
    const prompted = problem({ model: titan, promptId: "joke_about_topic", columns })
    assert.deepInclude(prompted, { problem: "prompt-not-allowed" })
    assert.deepInclude(problem({ model: titan, columns }), { problem: "missing-columns", missing: ["input_text"] })
    const other = problem({ model: titan, columns: ["input_text"], embed: "body" })
    assert.deepInclude(other, { missing: ["body"] })
  })

  it("need a model that is known, unless it is said what it takes", () => {
    const columns = ["topic", "input_text"]
    const arn = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc"
    assert.deepInclude(problem({ model: arn, promptId: "joke_about_topic", columns }), { problem: "unknown-model" })
    const chat = problem({ model: arn, accepts: "chat", promptId: "joke_about_topic", columns })
    assert.deepInclude(chat, { type: "chat" })
    assert.deepInclude(problem({ model: arn, accepts: "embed", columns }), { type: "embed" })
    assert.deepInclude(problem({ model: "cohere.embed-english-v3", columns }), { problem: "unknown-model" })
  })
})
