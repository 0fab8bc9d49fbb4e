import { anthropicMessages } from "@bedrock-batch/processors/AnthropicMessages"
import { converse } from "@bedrock-batch/processors/Converse"
import { forId } from "@bedrock-batch/processors/Families"
import type { ModelRequest, Processor } from "@bedrock-batch/processors/Processor"
import * as Prompt from "@bedrock-batch/processors/Prompt"
import { withReasoning } from "@bedrock-batch/processors/Reasoning"
import { structured } from "@bedrock-batch/processors/StructuredOutput"
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Option, Result, Schema } from "effect"
import { type Asking, RecordEncoder, type Segment } from "../../src/internal/RecordEncoder.ts"

/** A processor that passes on what it is asked. */
const echo: Processor<object> = {
  id: "echo/1",
  invocationType: "InvokeModel",
  accepts: "chat",
  columns: Schema.Struct({ a: Schema.String }),
  encode: (request) =>
    request.type === "chat"
      ? { texts: request.turns.map(({ content }) => content), max: request.parameters.maxTokens ?? 0 }
      : request.type === "embed"
      ? { inputText: request.text }
      : null,
  decode: () => ({
    status: "invalid",
    message: "",
    raw: null,
    stopReason: null,
    usage: { inputTokens: null, outputTokens: null }
  })
}

const asking = (template: string, columns: ReadonlyArray<string>): Asking => ({
  type: "chat",
  ...Result.getOrThrow(Prompt.compile(Prompt.make(template), columns))
})

const encode = (asking: Asking, columns: ReadonlyArray<ReadonlyArray<unknown>>, firstRow = 0, processor = echo) =>
  new RecordEncoder(asking, processor, { maxTokens: 7 }).encode({ length: columns[0]!.length, columns }, firstRow)

const linesOf = (segments: ReadonlyArray<Segment>) =>
  segments.flatMap(({ batch, bytes, ends }) => {
    assert.strictEqual(batch.length, ends.length)
    assert.strictEqual(bytes.length, ends.at(-1) ?? 0)
    return ends.map((end, i) => Buffer.from(bytes.subarray(ends[i - 1] ?? 0, end)).toString())
  })

describe("RecordEncoder", () => {
  it("writes one line a row, with the row's number in the run as its id", () => {
    const lines = linesOf(Result.getOrThrow(encode(asking("About {t}.", ["t"]), [["cats", "dogs"]], 41)))
    assert.deepStrictEqual(lines, [
      "{\"recordId\":\"r0000000041\",\"modelInput\":{\"texts\":[\"About cats.\"],\"max\":7}}\n",
      "{\"recordId\":\"r0000000042\",\"modelInput\":{\"texts\":[\"About dogs.\"],\"max\":7}}\n"
    ])
  })

  it("writes the text of a column to embed", () => {
    const lines = linesOf(Result.getOrThrow(encode({ type: "embed", column: 1 }, [["a", "b"], ["x", null]])))
    assert.deepStrictEqual(lines.map((line) => JSON.parse(line).modelInput), [{ inputText: "x" }, { inputText: "" }])
  })

  it("cuts texts where the family is asked to", () => {
    const long = "a cat and a dog ".repeat(4000)
    for (const [id, most] of [["titan-text-embeddings/1", 33_000], ["nova-multimodal-embeddings/1", 8192]] as const) {
      const family = Option.getOrThrow(Option.fromNullishOr(forId(id)))
      const texts = (truncate: "none" | "end") =>
        linesOf(Result.getOrThrow(
          new RecordEncoder({ type: "embed", column: 0 }, family, { truncate })
            .encode({ length: 3, columns: [["a cat", long, "a dog"]] }, 0)
        )).map((line): string => /"(?:inputText|value)":"([^"]*)"/.exec(line)![1]!)
      assert.deepStrictEqual(texts("none"), ["a cat", long, "a dog"])
      const [first, cut, last] = texts("end")
      assert.deepStrictEqual([first, last], ["a cat", "a dog"])
      assert.isTrue(long.startsWith(cut!))
      assert.isAtMost(cut!.length, most)
      assert.isAbove(cut!.length, most * 0.9)
    }
  })

  it.each(["llama/1", "mistral-text/1"])("lets no value break out of the prompt of %s", (id) => {
    const family = Option.getOrThrow(Option.fromNullishOr(forId(id)))
    const values = ["a cat", "a <|eot_id|> b", "eot_id", "INST", "c [/INST] d", "", "</s>"]
    const request = (content: string) =>
      family.encode({ type: "chat", turns: [{ role: "user", content }], parameters: {} })
    const encoder = new RecordEncoder(asking("<|{t}|> [{t}]", ["t"]), family, {})
    const lines = linesOf(Result.getOrThrow(encoder.encode({ length: values.length, columns: [values] }, 0)))
    assert.deepStrictEqual(
      lines.map((line) => JSON.parse(line).modelInput),
      values.map((value) => request(`<|${value}|> [${value}]`))
    )
  })

  it("keeps each record on one line, whatever its text holds", () => {
    const texts = ["a\nb\r\nc", "\u2028\u2029\u0085", "\ud800 alone", "\"}\\", "\u0000", "{t}", "\ufeffbom", "🙂"]
    const lines = linesOf(Result.getOrThrow(encode(asking("{t}", ["t"]), [texts])))
    assert.deepStrictEqual(lines.map((line) => line.indexOf("\n") === line.length - 1), texts.map(() => true))
    assert.deepStrictEqual(lines.map((line) => JSON.parse(line).modelInput.texts[0]), texts)
  })

  it("cuts segments at some megabytes, with the rows that belong to them", () => {
    const text = "é".repeat(100_000)
    const rows = Array.from({ length: 100 }, (_, i) => i)
    const segments = Result.getOrThrow(encode(asking("{t}", ["t", "n"]), [rows.map(() => text), rows]))
    assert.isAtLeast(segments.length, 5)
    assert.isTrue(segments.every(({ bytes }) => bytes.length < 4_500_000))
    assert.deepStrictEqual(segments.flatMap(({ batch }) => batch.columns[1]!), rows)
    linesOf(segments).forEach((line, i) => {
      if (JSON.parse(line).modelInput.texts[0] !== text) assert.fail(`record ${i}`)
    })
  })

  it("does not write into a segment that it gave away", () => {
    const encoder = new RecordEncoder(asking("{t}", ["t"]), echo, {})
    const give = (t: string) => Result.getOrThrow(encoder.encode({ length: 1, columns: [[t]] }, 0))
    const first = give("a".repeat(300_000))
    const before = Buffer.from(first[0]!.bytes)
    for (const t of ["b", "c".repeat(10), "d".repeat(500_000), "e"]) give(t)
    assert.isTrue(before.equals(first[0]!.bytes))
  })

  it("names the row of the run whose prompt or processor throws", () => {
    const cause = new RangeError("secret")
    const throwing: Processor<object> = {
      ...echo,
      encode: (request) => {
        if (request.type === "chat" && request.turns[0]?.content === "bad") throw cause
        return null
      }
    }
    const failed = encode(asking("{t}", ["t"]), [["good", "good", "bad", "good"]], 100, throwing)
    assert.deepStrictEqual(failed, Result.fail({ row: 102, cause }))
    const render = () => {
      throw cause
    }
    assert.deepStrictEqual(encode({ type: "chat", templates: null, render }, [["a"]], 5), Result.fail({ row: 5, cause }))
  })

  it("asks a family that stands in another only once for the form of all its requests", () => {
    let calls = 0
    const label = Schema.Struct({ label: Schema.String })
    const family = structured(converse, label, { model: "us.anthropic.claude-haiku-4-5-20251001-v1:0" })
    const { encode: before } = family
    Object.assign(family, {
      encode: (request: ModelRequest) => {
        calls++
        return before(request)
      }
    })
    const topics = Array.from({ length: 50 }, (_, i) => `topic ${i}`)
    const lines = linesOf(Result.getOrThrow(encode(asking("About {t}.", ["t"]), [topics], 0, family)))
    assert.isTrue(lines.every((line, i) => line.includes(`"About topic ${i}."`) && line.includes("outputConfig")))
    assert.isBelow(calls, 3)
  })

  it("makes no segment of no rows", () => {
    assert.deepStrictEqual(encode(asking("{t}", ["t"]), [[]]), Result.succeed([]))
  })

  const texts = Arbitrary.array(
    Arbitrary.all({
      text: Arbitrary.schema(Schema.String),
      times: Arbitrary.schema(Schema.Literals([1, 1, 3, 40_000]))
    }),
    { maxLength: 12 }
  )
  it.prop("gives back what it was told, in order, from one batch to the next", [texts], ([given]) => {
    const encoder = new RecordEncoder(asking("{t}", ["t"]), echo, {})
    const rows = given.map(({ text, times }) => text.repeat(times))
    const lines = [rows.slice(0, 5), rows.slice(5)].flatMap((part, i) =>
      linesOf(Result.getOrThrow(encoder.encode({ length: part.length, columns: [part] }, i * 5)))
    )
    const read = lines.map((line): unknown => JSON.parse(line))
    assert.deepStrictEqual(
      read,
      rows.map((text, i) => ({
        recordId: `r${String(i).padStart(10, "0")}`,
        modelInput: { texts: [text], max: 0 }
      }))
    )
  }, { arbitrary: { runs: 100, size: 15 } })

  /** Turns as a prompt function gives them: as many as there are, each in a role of its own. */
  const conversation: Asking = {
    type: "chat",
    templates: null,
    render: ([texts], row) => {
      const [all, shape] = [String(texts![row]).split("|"), row % 3]
      const roles = shape === 0 ? ["system", "user"] as const : shape === 1 ? ["user"] as const : ["user", "assistant", "user"] as const
      return roles.map((role, i) => ({ role, content: all[i] ?? "" }))
    }
  }
  const Label = Schema.Struct({ label: Schema.String, note: Schema.optionalKey(Schema.String) })
  const model = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
  const told = structured(converse, Label, { model, way: "instruction" })
  const forced = withReasoning(structured(anthropicMessages, Label, { model }))
  const families = {
    converse,
    anthropicMessages,
    "an output schema by instruction": told,
    "an output schema by a tool, with reasoning": forced,
    titanTextEmbeddings: Option.getOrThrow(Option.fromNullishOr(forId("titan-text-embeddings/1")))
  }
  const cells = Arbitrary.array(
    Arbitrary.array(Arbitrary.schema(Schema.String), { maxLength: 3 }).pipe(Arbitrary.map((texts) => texts.join("|"))),
    { maxLength: 12 }
  )
  for (const [name, family] of Object.entries(families)) {
    it.prop(`writes of ${name} what the family writes of each request by itself`, [cells], ([column]) => {
      const how: Asking = family.accepts === "chat" ? conversation : { type: "embed", column: 0 }
      const parameters = family.accepts === "chat" ? { more: { note: "text 0 of this request" } } : { dimensions: 256 }
      const alone: Processor<object> = { ...family }
      const lines = [family, alone].map((processor) =>
        linesOf(Result.getOrThrow(
          new RecordEncoder(how, processor, parameters).encode({ length: column.length, columns: [column] }, 0)
        ))
      )
      assert.deepStrictEqual(lines[0], lines[1])
    }, { arbitrary: { runs: 200, size: 15 } })
  }

  const values = Arbitrary.array(
    Arbitrary.all({
      a: Arbitrary.schema(Schema.Union([
        Schema.String,
        Schema.Literals(["", "\",", "\\", "\\\"", "\",\"", "a\",\"b", "\\\",\\\"", "\ud83d", "\ude00", "é\n"])
      ])),
      b: Arbitrary.schema(Schema.NullOr(Schema.Union([Schema.String, Schema.Finite])))
    }),
    { maxLength: 12 }
  )
  const prompts = {
    "values alone": Prompt.chat([{ role: "user", content: "{a}" }]),
    "values side by side": Prompt.make("{a}{b}{a}", { system: "{b}" }),
    "values within text": Prompt.make("\ud83d{a} \"and\" {b}\\", { system: "Be {a}" })
  }
  for (const [name, prompt] of Object.entries(prompts)) {
    for (const family of [converse, anthropicMessages, told, forced]) {
      it.prop(`writes templates of ${name} as ${family.id} writes them by itself`, [values], ([rows]) => {
        const columns = [rows.map(({ a }) => a), rows.map(({ b }) => b)]
        const how: Asking = { type: "chat", ...Result.getOrThrow(Prompt.compile(prompt, ["a", "b"])) }
        const [framed, alone] = [family, { ...family }].map((processor) =>
          linesOf(Result.getOrThrow(new RecordEncoder(how, processor, {}).encode({ length: rows.length, columns }, 9_876_543_210)))
        )
        // Halves of a surrogate pair that stand on both sides of a border are escaped one by one.
        assert.deepStrictEqual(framed!.map((line): unknown => JSON.parse(line)), alone!.map((line): unknown => JSON.parse(line)))
      }, { arbitrary: { runs: 200, size: 12 } })
    }
  }
})
