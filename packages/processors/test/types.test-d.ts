import { Result, Schema } from "effect"
import {
  Families,
  NovaMultimodalEmbeddings,
  Processor,
  Prompt,
  TitanMultimodalEmbeddings,
  TitanTextEmbeddings,
  Reasoning,
  StructuredOutput
} from "../src/index.ts"
import { converse } from "../src/Converse.ts"
import { titanTextEmbeddings } from "../src/TitanTextEmbeddings.ts"

type Equals<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false
declare function same<A, B>(..._: Equals<A, B> extends true ? [] : [{ readonly not: A; readonly same: B }]): void
type Names<P> = P extends Prompt.Prompt<infer N> ? N : never
declare const text: string

// --- placeholders of literals
const p1 = Prompt.make("Tell me a joke about {topic}")
same<Names<typeof p1>, "topic">()
const p2 = Prompt.make("{Cost: Total $} by {Aircraft: Make/Model}, as {{\"json\": \"{topic}\"}} }}{{")
same<Names<typeof p2>, "Cost: Total $" | "Aircraft: Make/Model" | "topic">()
const p3 = Prompt.make("no placeholder {{not}}")
same<Names<typeof p3>, never>()
const p4 = Prompt.make(text)
same<Names<typeof p4>, string>()
const p5 = Prompt.make(`{topic} and ${text}`)
same<Names<typeof p5>, "topic">()
const p6 = Prompt.chat([{ role: "system", content: "You like {mood} jokes." }, { role: "user", content: "{topic}?" }])
same<Names<typeof p6>, "mood" | "topic">()
const p7 = Prompt.make("{{{topic}}}") // Python: a brace, the value, a brace
same<Names<typeof p7>, "topic">()
const p8 = Prompt.make(`{${text}} and {topic}`) // a placeholder that is not a literal: checked at run time
same<Names<typeof p8>, string>()
const p9 = Prompt.make("{a.b} {a[0]} {a!r} {a:>10} { a }")
same<Names<typeof p9>, "a.b" | "a[0]" | "a!r" | "a:>10" | " a ">()

// --- the system text is a template too
const s1 = Prompt.make("{topic}", { system: "Answer in {language}, as {{}}." })
same<Names<typeof s1>, "topic" | "language">()
const s2 = Prompt.make("{topic}", {})
same<Names<typeof s2>, "topic">()
const s3 = Prompt.make("{topic}", { system: undefined })
same<Names<typeof s3>, "topic">()
const s4 = Prompt.make("{topic}", { system: text })
same<Names<typeof s4>, string>()
const s5 = Prompt.make("{topic}", { system: "no placeholder" })
same<Names<typeof s5>, "topic">()
declare const maybe: string | undefined
const s6 = Prompt.make("{topic}", { system: maybe })
same<Names<typeof s6>, string>()

// --- malformed literals do not compile
// @ts-expect-error a { without }
Prompt.make("Tell me {topic")
// @ts-expect-error a single }
Prompt.make("Tell me topic}")
// @ts-expect-error a single } after a placeholder
Prompt.make("Tell me {topic}}")
// @ts-expect-error names no column
Prompt.make("Tell me {}")
// @ts-expect-error a { inside a placeholder
Prompt.make("Tell me {to{pic}}")
// @ts-expect-error in the system text
Prompt.make("{topic}", { system: "Answer in {language" })
// @ts-expect-error in a turn
Prompt.chat([{ role: "user", content: "Tell me {topic" }])
// @ts-expect-error no such role
Prompt.chat([{ role: "tool", content: "a" }])
same<Prompt.Placeholders<"{a} {b">, never>()

// --- turns that are only known at run time
declare const turns: ReadonlyArray<Prompt.Turn>
const c1 = Prompt.chat(turns)
same<Names<typeof c1>, string>()
const c2 = Prompt.chat([{ role: "user", content: "{a}" }, { role: "assistant", content: text }])
same<Names<typeof c2>, string>()

// --- functions of columns
const f1 = Prompt.fromColumns(["id", "topic"], (row) => [{ role: "user", content: `${row.id}: ${row.topic}` }], {
  version: "1"
})
same<Names<typeof f1>, "id" | "topic">()
// @ts-expect-error the function did not name `topik`
Prompt.fromColumns(["topic"], (row) => [{ role: "user", content: `${row.topik}` }], { version: "1" })
// @ts-expect-error no version
Prompt.fromColumns(["topic"], (row) => [{ role: "user", content: `${row.topic}` }])
// @ts-expect-error no turns
Prompt.fromColumns(["topic"], (row) => row.topic, { version: "1" })

// --- columns of a source
interface Row {
  readonly topic: string
  readonly mood: string
}
same<Prompt.CheckColumns<typeof p6, Row>, unknown>()
same<Prompt.CheckColumns<typeof p4, Row>, unknown>()
same<Prompt.CheckColumns<typeof p3, Row>, unknown>()
same<Prompt.CheckColumns<typeof s1, Row>, Prompt.MissingColumns<"language", "topic" | "mood">>()
same<Prompt.CheckColumns<typeof f1, Row>, Prompt.MissingColumns<"id", "topic" | "mood">>()
same<Prompt.CheckColumns<undefined, Row>, unknown>()
const any: ReadonlyArray<Prompt.Any> = [p1, p3, p4, f1]
void any

// --- processors
same<Processor.TextAnswer["response"], string>()
same<Processor.EmbeddingAnswer["embedding"], Float32Array>()
same<typeof converse, Processor.Processor<Processor.TextAnswer>>()
const e1 = titanTextEmbeddings()
same<typeof e1, Processor.Processor<Processor.EmbeddingAnswer>>()
const e2 = titanTextEmbeddings({ dimensions: 256, embeddingTypes: ["float"] })
same<typeof e2, Processor.Processor<Processor.EmbeddingAnswer>>()
const e3 = titanTextEmbeddings({ embeddingTypes: ["binary"], truncate: "end" })
same<typeof e3, Processor.Processor<TitanTextEmbeddings.BinaryAnswer>>()
same<TitanTextEmbeddings.BinaryAnswer["embedding_binary"], Uint8Array>()
const e4 = titanTextEmbeddings({ embeddingTypes: ["float", "binary"] })
same<typeof e4, Processor.Processor<TitanTextEmbeddings.FloatAndBinaryAnswer>>()
same<TitanTextEmbeddings.FloatAndBinaryAnswer["embedding"], Float32Array>()
declare const someOptions: TitanTextEmbeddings.Options
const e5 = titanTextEmbeddings(someOptions)
same<typeof e5, TitanTextEmbeddings.AnyTitanTextEmbeddings>()
// @ts-expect-error no such type of embeddings
titanTextEmbeddings({ embeddingTypes: ["int8"] })
// @ts-expect-error no such end of a text
titanTextEmbeddings({ truncate: "middle" })
const m1 = TitanMultimodalEmbeddings.titanMultimodalEmbeddings({ dimensions: 384 })
same<typeof m1, Processor.Processor<Processor.EmbeddingAnswer>>()
// @ts-expect-error a length of Titan Text Embeddings
TitanMultimodalEmbeddings.titanMultimodalEmbeddings({ dimensions: 512 })
const n1 = NovaMultimodalEmbeddings.novaMultimodalEmbeddings({ purpose: "TEXT_RETRIEVAL", dimensions: 3072 })
same<typeof n1, Processor.Processor<Processor.EmbeddingAnswer>>()
const n2 = NovaMultimodalEmbeddings.novaMultimodalEmbeddings({ videoMode: "separate" })
same<typeof n2, Processor.Processor<NovaMultimodalEmbeddings.SeparateAnswer>>()
same<NovaMultimodalEmbeddings.SeparateAnswer["video_embedding"], Float32Array>()
same<NovaMultimodalEmbeddings.SeparateAnswer["audio_embedding"], Float32Array | null>()
// @ts-expect-error no purpose of the model
NovaMultimodalEmbeddings.novaMultimodalEmbeddings({ purpose: "SEARCH" })
// @ts-expect-error not a length that Titan has
titanTextEmbeddings({ dimensions: 300 })
const json: Processor.Json = Prompt.fingerprint(p1)
void json
const family = Families.forModel(text)
if (Result.isSuccess(family)) {
  const reading = family.success.decode(null)
  if (reading.status === "succeeded") {
    const { answer } = reading
    if ("response" in answer) same<typeof answer, Processor.TextAnswer>()
  }
  // @ts-expect-error there is no answer without a success
  else if (reading.status === "refused") void reading.answer
}
const own: Processor.Processor<{ readonly label: string }> = {
  id: "own/1",
  invocationType: "InvokeModel",
  accepts: "raw",
  columns: Schema.Struct({ label: Schema.String }),
  encode: () => null,
  decode: () => ({
    status: "succeeded",
    answer: { label: "a" },
    stopReason: null,
    usage: { inputTokens: 1, outputTokens: null }
  })
}
const wider: Processor.Processor<object> = own
void wider

// --- structured output
const Review = Schema.Struct({
  mood: Schema.Literals(["good", "bad"]),
  at: Schema.Date,
  note: Schema.optionalKey(Schema.String),
  hint: Schema.optional(Schema.Int),
  some: Schema.OptionFromNullOr(Schema.String),
  any: Schema.Json,
  items: Schema.Array(Schema.Struct({ name: Schema.String, count: Schema.optionalKey(Schema.Int) })),
  counts: Schema.Record(Schema.String, Schema.Finite)
})
const reviews = StructuredOutput.structured(converse, Review)
declare const review: typeof reviews extends Processor.Processor<infer A> ? A : never
same<typeof review.response, string>()
same<typeof review.mood, "good" | "bad">()
same<typeof review.at, Date>()
same<typeof review.note, string | null>()
same<typeof review.hint, number | null>()
same<typeof review.some, string | null>()
same<typeof review.any, Processor.Json>()
same<typeof review.items[number]["name"], string>()
same<typeof review.items[number]["count"], number | null>()
same<typeof review.counts, { readonly [x: string]: number }>()
// @ts-expect-error a result has a column of that name anyway
StructuredOutput.structured(converse, Schema.Struct({ response: Schema.String }))
// @ts-expect-error and of that
StructuredOutput.structured(converse, Schema.Struct({ record_id: Schema.String }))
// @ts-expect-error and all that begin so
StructuredOutput.structured(converse, Schema.Struct({ batch_size: Schema.Int }))
// @ts-expect-error an embedding is no text
StructuredOutput.structured(titanTextEmbeddings(), Review)
const thinking = Reasoning.withReasoning(converse)
same<typeof thinking, Processor.Processor<Processor.TextAnswer & Reasoning.ReasoningAnswer>>()
