import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Option, Schema } from "effect"
import { anthropicMessages } from "../src/AnthropicMessages.ts"
import { converse } from "../src/Converse.ts"
import { Families, Processor, Reasoning, StructuredOutput } from "../src/index.ts"
import { titanTextEmbeddings } from "../src/TitanTextEmbeddings.ts"
import { assertReading } from "./decoding.ts"

const model = "us.anthropic.claude-haiku-4-5-20251001-v1:0"

const Review = Schema.Struct({
  mood: Schema.Literals(["good", "bad"]).annotate({ description: "How the text feels" }),
  score: Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 })),
  author: Schema.optionalKey(Schema.String),
  at: Schema.Date,
  items: Schema.Array(Schema.Struct({ name: Schema.String, count: Schema.Int, note: Schema.optional(Schema.String) }))
})

const good = {
  mood: "good",
  score: 0.5,
  author: null,
  at: "2026-11-22T10:00:00.000Z",
  items: [{ name: "a", count: 2, note: null }]
}

const chat = (content = "Hi"): Processor.ModelRequest => ({
  type: "chat",
  turns: [{ role: "user", content }],
  parameters: {}
})

const usage = { inputTokens: 10, outputTokens: 5 }

const answer = (text: string, stopReason = "end_turn"): Processor.Json => ({
  output: { message: { role: "assistant", content: [{ text }] } },
  stopReason,
  usage
})

/** A text processor of a user's own, which knows nothing of schemas. */
const own: Processor.Processor<Processor.TextAnswer> = {
  id: "own/1",
  invocationType: "InvokeModel",
  accepts: "chat",
  columns: Processor.TextAnswer,
  encode: (request) => request.type === "chat" ? request.turns.map((turn) => turn.content) : null,
  decode: (output) => ({
    status: "succeeded",
    answer: { response: String(output) },
    stopReason: null,
    usage: { inputTokens: null, outputTokens: null }
  })
}

const member = (json: unknown, ...path: ReadonlyArray<string | number>): unknown =>
  path.reduce<unknown>((at, step) => typeof at === "object" && at !== null ? Reflect.get(at, step) : undefined, json)

const schemaOf = (schema: Schema.Constraint, way: Processor.OutputWay): Record<string, unknown> => {
  const seen: Array<Processor.OutputFormat | undefined> = []
  const spy: Processor.Processor<Processor.TextAnswer> = {
    ...own,
    outputWays: () => [way],
    encode: (request) => {
      seen.push(request.type === "chat" ? request.output : undefined)
      return null
    }
  }
  const struct = schema as Schema.ConstraintDecoder<{ readonly anything: string }>
  StructuredOutput.structured(spy, struct, { model }).encode(chat())
  return { ...seen[0]?.schema }
}

describe("the JSON Schema", () => {
  it("requires every property and takes no others; what is optional may be null", () => {
    assert.deepStrictEqual(schemaOf(Review, "tool"), {
      type: "object",
      properties: {
        mood: { type: "string", enum: ["good", "bad"], description: "How the text feels" },
        score: { type: "number", minimum: 0, maximum: 1, description: "a value between 0 and 1" },
        author: { anyOf: [{ type: "string" }, { type: "null" }] },
        at: { type: "string", format: "date-time" },
        items: {
          type: "array",
          items: {
            type: "object",
            properties: {
              name: { type: "string" },
              count: { type: "integer" },
              note: { anyOf: [{ type: "string" }, { type: "null" }] }
            },
            required: ["name", "count", "note"],
            additionalProperties: false
          }
        }
      },
      required: ["mood", "score", "author", "at", "items"],
      additionalProperties: false
    })
  })

  it("leaves out for a strict mode what it does not take, and says it in words", () => {
    const schema = Schema.Struct({
      score: Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 })),
      code: Schema.String.check(Schema.isMinLength(3), Schema.isMaxLength(5)),
      tags: Schema.Array(Schema.String).check(Schema.isMaxLength(4)),
      some: Schema.NonEmptyArray(Schema.String),
      id: Schema.BigInt
    })
    assert.deepStrictEqual(schemaOf(schema, "schema")["properties"], {
      score: { type: "number", description: "a value between 0 and 1" },
      code: { type: "string", description: "a value with a length of at least 3; a value with a length of at most 5" },
      tags: { type: "array", items: { type: "string" }, description: "a value with a length of at most 4" },
      some: { type: "array", items: { type: "string" }, minItems: 1 },
      id: { type: "string", description: "a string representing a bigint" }
    })
  })

  it("says integers with bounds and described references in a strict mode, too", () => {
    const Point = Schema.Struct({ x: Schema.Finite }).annotate({ identifier: "Point" })
    const stars = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 5 }))
    const schema = Schema.Struct({
      stars,
      count: Schema.Natural,
      odd: Schema.Int.check(Schema.isGreaterThan(1)).check(Schema.isGreaterThan(3)),
      at: Point.annotateKey({ description: "where" })
    })
    assert.deepStrictEqual(schemaOf(schema, "schema")["properties"], {
      stars: { type: "integer", description: "a value between 1 and 5" },
      count: { type: "integer", description: "a value greater than or equal to 0" },
      odd: { type: "integer", description: "a value greater than 1; a value greater than 3" },
      at: { $ref: "#/$defs/Point" }
    })
    assert.deepStrictEqual(schemaOf(Schema.Struct({ stars }), "tool")["properties"], {
      stars: { type: "integer", minimum: 1, maximum: 5, description: "a value between 1 and 5" }
    })
    assert.isNull(StructuredOutput.problem(converse, schema, { model, way: "schema" }))
  })

  it("keeps named schemas as definitions, and asks for numbers that JSON has", () => {
    const Point = Schema.Struct({ x: Schema.Number }).annotate({ identifier: "Point" })
    const schema = schemaOf(Schema.Struct({ from: Point, to: Schema.NullOr(Point) }), "schema")
    assert.deepStrictEqual(schema["properties"], {
      from: { $ref: "#/$defs/Point" },
      to: { anyOf: [{ $ref: "#/$defs/Point" }, { type: "null" }] }
    })
    assert.deepStrictEqual(schema["$defs"], {
      Point: {
        type: "object",
        properties: { x: { type: "number" } },
        required: ["x"],
        additionalProperties: false
      }
    })
  })

  it("has a root that is no reference, for schemas with a name of their own and for recursive ones", () => {
    interface Tree {
      readonly value: string
      readonly kids: ReadonlyArray<Tree>
    }
    const Tree: Schema.Codec<Tree> = Schema.Struct({
      value: Schema.String,
      kids: Schema.Array(Schema.suspend((): Schema.Codec<Tree> => Tree))
    })
    assert.strictEqual(schemaOf(Review.annotate({ identifier: "Review" }), "schema")["type"], "object")
    assert.strictEqual(schemaOf(Tree, "tool")["type"], "object")
  })
})

describe("the way", () => {
  const request = (processor: Processor.Processor<Processor.TextAnswer>, options?: StructuredOutput.Options) =>
    StructuredOutput.structured(processor, Review, options).encode(chat())

  it("is by default the best that the family has for the model", () => {
    const format = member(request(converse, { model }), "outputConfig", "textFormat")
    assert.strictEqual(member(format, "type"), "json_schema")
    assert.strictEqual(member(format, "structure", "jsonSchema", "name"), "answer")
    const body = request(anthropicMessages, { model, name: "review" })
    assert.strictEqual(member(body, "tool_choice", "name"), "review")
    assert.strictEqual(member(body, "tools", 0, "input_schema", "type"), "object")
  })

  it("is an instruction where it is wanted, and for processors that know no other", () => {
    const texts = [
      member(request(converse, { model, way: "instruction" }), "messages", 0, "content", 0, "text"),
      member(request(own, { model }), 0)
    ]
    for (const text of texts) {
      assert.match(String(text), /^Hi\n\n.*JSON Schema:\n\{"type":"object"/s)
    }
  })

  it("is the next one for what a strict mode cannot say", () => {
    const Tally = Schema.Struct({ counts: Schema.Record(Schema.String, Schema.Int) })
    const encoded = StructuredOutput.structured(converse, Tally, { model }).encode(chat())
    assert.strictEqual(member(encoded, "outputConfig"), undefined)
    assert.match(String(member(encoded, "messages", 0, "content", 0, "text")), /JSON Schema/)
    assert.match(
      StructuredOutput.problem(converse, Tally, { model, way: "schema" }) ?? "",
      /at \["counts"\]: a record of any names.*"instruction"/
    )
  })

  it("leaves a body of one's own as it is, and reads its answer all the same", () => {
    const processor = StructuredOutput.structured(converse, Review, { model })
    assert.deepStrictEqual(processor.encode({ type: "raw", body: { messages: [] } }), { messages: [] })
    assert.strictEqual(processor.decode(answer(JSON.stringify(good))).status, "succeeded")
  })
})

describe("what cannot be", () => {
  const problem = (schema: Schema.Constraint, options?: StructuredOutput.Options) =>
    StructuredOutput.problem(converse, schema, { model, ...options }) ?? "none"

  it("is said, and refused by check", () => {
    assert.match(problem(Schema.String), /must be a Schema\.Struct/)
    assert.match(problem(Schema.Struct({})), /must be a Schema\.Struct/)
    assert.match(problem(Schema.Record(Schema.String, Schema.Int)), /must be a Schema\.Struct/)
    const taken = Schema.Struct({ response: Schema.String, record_id: Schema.Int, a: Schema.Int })
    assert.match(problem(taken), /"response", "record_id"/)
    assert.match(problem(Schema.Struct({ batch_size: Schema.Int })), /"batch_size"/)
    const mapped = Schema.Struct({ at: Schema.Struct({ all: Schema.ReadonlyMap(Schema.String, Schema.Int) }) })
    assert.match(problem(mapped), /at \["at"\]\["all"\]/)
    assert.match(problem(Schema.Struct({ a: Schema.Symbol })), /at \["a"\].*symbols/)
    assert.match(problem(Schema.Struct({ a: Schema.Union([Schema.Date, Schema.Int]) })), /at \["a"\].*date/)
    assert.match(problem(Schema.Struct({ a: Schema.Record(Schema.String, Schema.BigInt) })), /at \["a"\]\[\*\].*bigint/)
    assert.match(problem(Schema.Struct({ a: Schema.Never })), /at \["a"\]/)
    assert.match(problem(Schema.Struct({ a: Schema.instanceOf(Float32Array) })), /says not how JSON holds them/)
    assert.match(problem(Review, { way: "tool" }), /cannot tell the model by the way "tool"/)
    assert.match(problem(Review, { name: "a b" }), /name/)
    assert.match(StructuredOutput.problem(titanTextEmbeddings(), Review) ?? "", /reads no texts/)
    const faulty = StructuredOutput.structured(converse, Schema.Struct({ a: Schema.Symbol }), { model })
    assert.match(faulty.check?.(chat()) ?? "", /symbols/)
    assert.strictEqual(faulty.decode(answer("{}")).status, "invalid")
  })

  it("does not hide what the family refuses", () => {
    const processor = StructuredOutput.structured(converse, Review, { model })
    assert.isNull(processor.check?.(chat()))
    assert.isNotNull(processor.check?.({ type: "chat", turns: [], parameters: {} }))
  })
})

describe("the id", () => {
  it("differs with the schema, the way and the name, and with nothing else", () => {
    type Fields = { readonly a: string | number }
    const id = (schema: Schema.ConstraintDecoder<Fields>, options?: StructuredOutput.Options) =>
      StructuredOutput.structured(converse, schema, options).id
    const Text = Schema.Struct({ a: Schema.String })
    const ids = [
      id(Text, { model }),
      id(Text, { model, way: "instruction" }),
      id(Text, { model, name: "other" }),
      id(Schema.Struct({ a: Schema.Int }), { model }),
      id(Schema.Struct({ a: Schema.NonEmptyString }), { model }),
      id(Schema.Struct({ a: Schema.String.annotate({ description: "A name" }) }), { model })
    ]
    assert.strictEqual(new Set(ids).size, ids.length)
    assert.match(ids[0]!, /^converse\/1\+output:[0-9a-f]{16}$/)
    assert.strictEqual(id(Schema.Struct({ a: Schema.String }), { model }), ids[0])
    assert.strictEqual(id(Text, { model, way: "schema" }), ids[0])
  })
})

describe("decode", () => {
  const processor = StructuredOutput.structured(converse, Review, { model })
  const decode = (value: unknown, stopReason?: string) =>
    processor.decode(answer(typeof value === "string" ? value : JSON.stringify(value), stopReason))

  it("gives the text and the fields, null for what is absent", () => {
    const { author: _, ...absent } = good
    for (const value of [good, absent, { ...good, more: 1 }]) {
      assert.deepStrictEqual(decode(value), {
        status: "succeeded",
        answer: {
          response: JSON.stringify(value),
          mood: "good",
          score: 0.5,
          author: null,
          at: new Date("2026-11-22T10:00:00.000Z"),
          items: [{ name: "a", count: 2, note: null }]
        },
        stopReason: "end_turn",
        usage
      })
    }
  })

  it("says where an answer does not fit, keeps its text and quotes no value", () => {
    const item = { name: "a", count: 1, note: null }
    const wrong: ReadonlyArray<readonly [unknown, string]> = [
      ["{", "it is not JSON"],
      [" ", "the answer has no text"],
      ["[1]", "expected an object"],
      [{ ...good, mood: "hidden" }, "at [\"mood\"]: expected \"good\" | \"bad\""],
      [{ ...good, score: 2 }, "at [\"score\"]: expected a value between 0 and 1"],
      [{ ...good, at: "hidden" }, "at [\"at\"]: expected a valid Date"],
      [{ ...good, items: [item, { ...item, count: "hidden" }] }, "at [\"items\"][1][\"count\"]: expected a number"],
      [{ ...good, items: [{ name: "hidden" }] }, "at [\"items\"][0][\"count\"]: the property is missing"]
    ]
    for (const [value, message] of wrong) {
      const reading = decode(value)
      const raw = typeof value === "string" ? value : JSON.stringify(value)
      if (reading.status !== "invalid") return assert.fail(reading.status)
      if (raw !== " ") assert.strictEqual(reading.message, `the answer does not decode: ${message}`)
      assert.strictEqual(reading.raw, raw)
      assert.deepStrictEqual(reading.usage, usage)
    }
  })

  it("names the keys of the schema, and none of a record", () => {
    const Tally = Schema.Struct({ counts: Schema.Record(Schema.String, Schema.Int) })
    const reading = StructuredOutput.structured(converse, Tally).decode(answer("{\"counts\":{\"hidden\":\"x\"}}"))
    const message = "the answer does not decode: at [\"counts\"][*]: expected a number"
    assert.strictEqual("message" in reading && reading.message, message)
  })

  it("does not repeat what a transformation or a check of the user's says of the value", () => {
    const Talkative = Schema.Struct({
      a: Schema.String.check(Schema.makeFilter((text) => text === "ok" || `no, not ${text}`)),
      b: Schema.fromJsonString(Schema.Int)
    })
    for (const value of [{ a: "hidden", b: "1" }, { a: "ok", b: "hidden" }]) {
      const reading = StructuredOutput.structured(converse, Talkative).decode(answer(JSON.stringify(value)))
      assert.strictEqual(reading.status, "invalid")
      assert.notInclude("message" in reading ? reading.message : "hidden", "hidden")
    }
  })

  it("tells an answer that was cut off from one that is whole all the same", () => {
    assert.deepStrictEqual(decode("{\"mood\":\"go", "max_tokens"), {
      status: "invalid",
      message: "the answer was cut off at the token limit (max_tokens) before it was whole: it is not JSON",
      raw: "{\"mood\":\"go",
      stopReason: "max_tokens",
      usage
    })
    assert.strictEqual(decode(good, "max_tokens").status, "truncated")
  })

  it("leaves what is no answer as the family reads it", () => {
    assert.deepStrictEqual(decode("No.", "content_filtered"), converse.decode(answer("No.", "content_filtered")))
    assert.deepStrictEqual(processor.decode(null), converse.decode(null))
  })

  it("lets white space and one fence pass where the model is only told", () => {
    const json = JSON.stringify(good)
    const told = StructuredOutput.structured(own, Review)
    const fenced = (text: string, language = "json") => `\`\`\`${language}\n${text}\n\`\`\``
    for (const text of [json, `\uFEFF \n${json}\n`, fenced(json), `\n${fenced(json, "JSON \r")} \r\n`]) {
      assert.strictEqual(told.decode(text).status, "succeeded", text)
    }
    for (const text of [`Here it is: ${json}`, `${fenced(json)}\nDone.`, fenced(json, "js"), `${json}${json}`]) {
      assert.strictEqual(told.decode(text).status, "invalid", text)
    }
    assert.strictEqual(decode(fenced(json)).status, "invalid")
  })

  it("reads the input of the tool that stands for the answer, and the text of a model that thought instead", () => {
    const forced = StructuredOutput.structured(anthropicMessages, Review, { model })
    const text = `\`\`\`json\n${JSON.stringify(good)}\n\`\`\``
    const thought = forced.decode({ content: [{ type: "text", text }], stop_reason: "end_turn" })
    assert.strictEqual(thought.status, "succeeded")
    const reading = forced.decode({
      content: [{ type: "tool_use", id: "t", name: "answer", input: good }],
      stop_reason: "tool_use",
      usage: { input_tokens: 1, output_tokens: 2 }
    })
    assert.strictEqual(reading.status, "succeeded")
    assert.deepInclude("answer" in reading ? reading.answer : {}, { mood: "good", response: JSON.stringify(good) })
  })

  it("reads the input of that tool beside a text, and the text where the tool is another or called twice", () => {
    const forced = StructuredOutput.structured(anthropicMessages, Review, { model })
    const call = (name: string, input: Processor.Json) => ({ type: "tool_use", id: "t", name, input })
    const read = (...calls: ReadonlyArray<Processor.Json>) =>
      forced.decode({ content: [{ type: "text", text: "Here it is." }, ...calls], stop_reason: "tool_use" })
    const reading = read(call("answer", good))
    assert.strictEqual(reading.status, "succeeded")
    assert.deepInclude("answer" in reading ? reading.answer : {}, { mood: "good", response: JSON.stringify(good) })
    assert.deepInclude(read(call("answer", { mood: "good" })), { status: "invalid", raw: "{\"mood\":\"good\"}" })
    assert.deepInclude(read(call("other", good)), { status: "invalid", raw: "Here it is." })
    assert.deepInclude(read(call("answer", good), call("answer", good)), { status: "invalid", raw: "Here it is." })
  })

  it("takes a recursive answer, nested as deep as it may be", () => {
    interface Tree {
      readonly kids: ReadonlyArray<Tree>
    }
    const Tree: Schema.Codec<Tree> = Schema.Struct({
      kids: Schema.Array(Schema.suspend((): Schema.Codec<Tree> => Tree))
    })
    const trees = StructuredOutput.structured(own, Schema.Struct({ tree: Tree }))
    const nested = (depth: number) => `{"tree":${"{\"kids\":[".repeat(depth)}${"]}".repeat(depth)}}`
    assert.strictEqual(trees.decode(nested(20)).status, "succeeded")
    assert.include(["succeeded", "invalid"], trees.decode(nested(20_000)).status)
  })
})

describe("laws", () => {
  const names = ["a", "b b", "d.d", "é"] as const
  const leaves = [
    Schema.String,
    Schema.Finite,
    Schema.Int,
    Schema.Boolean,
    Schema.Literals(["x", "y"]),
    Schema.Date.check(Schema.makeFilter((date) => !Number.isNaN(date.getTime()))),
    Schema.BigInt.check(Schema.isBetweenBigInt({ minimum: -(2n ** 63n), maximum: 2n ** 63n - 1n })),
    Schema.NullOr(Schema.Int),
    Schema.OptionFromNullOr(Schema.String),
    Schema.UndefinedOr(Schema.Boolean),
    Schema.Uint8Array
  ] as const

  /** A schema, and what a column holds of its values. */
  interface Kind {
    readonly schema: Schema.Codec<unknown, unknown>
    readonly cell: (value: unknown) => unknown
  }

  const leafCell = (value: unknown): unknown =>
    value === undefined ? null : Option.isOption(value) ? Option.getOrNull(value) : value === 0 ? 0 : value

  const struct = (kinds: ReadonlyArray<readonly [kind: Kind, optional: boolean]>): Kind => {
    const fields = kinds.map(([kind, optional], i) => [names[i]!, kind, optional] as const)
    return {
      schema: Schema.Struct(Object.fromEntries(fields.map(([name, { schema }, optional]) =>
        [name, optional ? Schema.optionalKey(schema) : schema]
      ))),
      cell: (value) =>
        Object.fromEntries(fields.map(([name, { cell }]) =>
          [name, Object.hasOwn(Object(value), name) ? cell(Reflect.get(Object(value), name)) : null]
        ))
    }
  }

  const list = ({ cell, schema }: Kind): Kind => ({
    schema: Schema.Array(schema),
    cell: (value) => Array.isArray(value) ? value.map(cell) : null
  })

  const index = Arbitrary.schema(Schema.Natural)
  const leaf = index.pipe(Arbitrary.map((i): Kind => ({ schema: leaves[i % leaves.length]!, cell: leafCell })))
  const flag = Arbitrary.schema(Schema.Boolean)
  const flat = Arbitrary.array(Arbitrary.all([leaf, flag]), { minLength: 1, maxLength: 3 }).pipe(Arbitrary.map(struct))
  const kind = Arbitrary.all([index, leaf, flat]).pipe(Arbitrary.map(([i, leaf, flat]) =>
    [leaf, flat, list(leaf), list(flat), list(list(leaf))][i % 5]!
  ))
  const shape = Arbitrary.array(Arbitrary.all([kind, flag]), { minLength: 1, maxLength: 4 }).pipe(Arbitrary.map(struct))
  const valued = shape.pipe(Arbitrary.flatMap((shape) =>
    Arbitrary.schema(shape.schema).pipe(Arbitrary.map((value) => ({ ...shape, value })))
  ))

  const processorOf = (schema: Schema.Codec<unknown, unknown>, way: Processor.OutputWay) =>
    // The schemas above are structs.
    StructuredOutput.structured(converse, schema as Schema.Codec<object, unknown>, { model, way })

  const decoded = (schema: Schema.Codec<unknown, unknown>, way: Processor.OutputWay, json: unknown) => {
    const reading = processorOf(schema, way).decode(answer(JSON.stringify(json)))
    if (!("answer" in reading)) return reading
    const { response, ...fields } = reading.answer
    assert.strictEqual(response, JSON.stringify(json))
    return fields
  }

  it.prop("what a schema encodes is what its processor decodes, as columns hold it", [valued], ([given]) => {
    const { cell, schema, value } = given
    const json = Schema.encodeSync(Schema.toCodecJson(schema))(value)
    assert.deepStrictEqual(decoded(schema, "schema", json), cell(value))
    assert.deepStrictEqual(decoded(schema, "instruction", json), cell(value))
  })

  it.prop("a model that writes null for what is absent says the same", [valued], ([{ cell, schema, value }]) => {
    const json = Schema.encodeSync(Schema.toCodecJson(schema))(value)
    const whole = Object.fromEntries(
      Object.keys(Object(cell(value))).map((name) => [name, Reflect.get(Object(json), name) ?? null])
    )
    assert.deepStrictEqual(decoded(schema, "schema", whole), cell(value))
  })

  it.prop(
    "whatever a model writes makes a reading whose columns are those of the schema",
    [shape, Arbitrary.schema(Schema.Json), Arbitrary.schema(Schema.String), flag],
    ([{ schema }, json, text, isText]) => {
      for (const way of ["schema", "instruction"] as const) {
        assertReading(processorOf(schema, way), answer(isText ? text : JSON.stringify(json)))
      }
    }
  )
})

describe("reasoning", () => {
  const thought = { reasoningContent: { reasoningText: { text: "Hmm." } } }
  const thoughtful = (text: string) => ({
    output: { message: { role: "assistant", content: [thought, { text }] } },
    stopReason: "end_turn",
    usage
  })
  const output = thoughtful("Hi")

  it("is a column of its own, null where there is none", () => {
    const thinking = Reasoning.withReasoning(converse)
    const answers = [output, answer("Hi")].map((output) => {
      const reading = thinking.decode(output)
      return "answer" in reading && reading.answer
    })
    assert.deepStrictEqual(answers, [{ response: "Hi", reasoning: "Hmm." }, { response: "Hi", reasoning: null }])
    assert.deepStrictEqual(thinking.encode(chat()), converse.encode(chat()))
    assertReading(thinking, output)
  })

  it("is found again by the id, and its processor is the same every time", () => {
    const thinking = Reasoning.withReasoning(converse)
    assert.strictEqual(thinking.id, "converse/1+reasoning")
    assert.strictEqual(Families.forId(thinking.id), thinking)
    const claude = Reasoning.withReasoning(anthropicMessages)
    assert.strictEqual(Families.forId(claude.id), claude)
    assert.isUndefined(Families.forId("own/1+reasoning"))
    assert.isUndefined(Families.forId(`${titanTextEmbeddings().id}+reasoning`))
  })

  it("goes with a schema, and what stands around a family is known", () => {
    const Count = Schema.Struct({ a: Schema.Int })
    const both = Reasoning.withReasoning(StructuredOutput.structured(converse, Count, { model }))
    const reading = both.decode(thoughtful("{\"a\":1}"))
    assert.deepStrictEqual("answer" in reading && reading.answer, { response: "{\"a\":1}", a: 1, reasoning: "Hmm." })
    assert.strictEqual(Families.innermost(both), converse)
    assert.strictEqual(Families.innermost(own), own)
    assert.isUndefined(Families.forId(both.id))
  })

  it("is kept with an answer that does not decode", () => {
    const both = StructuredOutput.structured(converse, Schema.Struct({ a: Schema.Int }), { model })
    const reading = both.decode({ ...output })
    assert.deepInclude(reading, { status: "invalid", raw: "Hi", reasoning: "Hmm." })
  })
})
