import { Arbitrary, Schema } from "effect"
import type { Processor, Prompt } from "../src/index.ts"

export const user = (content: string): Prompt.Turn => ({ role: "user", content })
export const assistant = (content: string): Prompt.Turn => ({ role: "assistant", content })
export const system = (content: string): Prompt.Turn => ({ role: "system", content })

export const chat = (
  turns: ReadonlyArray<Prompt.RenderedTurn>,
  parameters: Processor.ModelParameters = {},
  model?: string
): Processor.ModelRequest => ({ type: "chat", turns, parameters, model })

export const schema = { type: "object", properties: { a: { type: "string" } }, required: ["a"] } as const

export const asking = (
  way: Processor.OutputWay,
  turns: ReadonlyArray<Prompt.RenderedTurn> = [user("Hi")],
  model?: string
): Processor.ModelRequest => ({ type: "chat", turns, parameters: {}, output: { name: "label", schema, way }, model })

/** Media of some bytes. */
export const media = (kind: Prompt.MediaKind, format: string, base64 = "AAAA"): Prompt.Media => ({
  kind,
  format,
  name: null,
  source: { type: "bytes", base64 }
})

/** Media in S3. */
export const stored = (kind: Prompt.MediaKind, format: string): Prompt.Media => ({
  ...media(kind, format),
  source: { type: "s3", uri: "s3://bucket/key" }
})

/** What a body is once it was written and read. */
export const written = (processor: Processor.Processor<object>, request: Processor.ModelRequest) =>
  JSON.parse(JSON.stringify(processor.encode(request)))

const text = Arbitrary.schema(Schema.String)
const one = <const A>(values: ReadonlyArray<A>): Arbitrary.Arbitrary<A> =>
  Arbitrary.schema(Schema.Natural).pipe(Arbitrary.map((number) => values[number % values.length]!))

const turn: Arbitrary.Arbitrary<Prompt.RenderedTurn> = Arbitrary.all({
  role: one(["system", "user", "user", "assistant"]),
  content: text,
  media: one<ReadonlyArray<Prompt.Media> | undefined>([
    undefined,
    undefined,
    [media("image", "png")],
    [media("document", "md"), stored("video", "mp4")],
    [stored("image", "gif"), media("audio", "mp3"), media("document", "docx")]
  ])
}).pipe(Arbitrary.map(({ content, media, role }) => media === undefined ? { role, content } : { role, content, media }))

const parameters: Arbitrary.Arbitrary<Processor.ModelParameters> = one<Processor.ModelParameters>([
  {},
  { maxTokens: 5, temperature: 0, topP: 0.5, stopSequences: ["."] },
  { thinking: { budgetTokens: 1024 }, more: { inferenceConfig: { topK: 1 }, output_config: null } },
  { thinking: { effort: "high" }, more: { inferenceConfig: [] } },
  { dimensions: 256, normalize: true, truncate: "end" }
])

/** Any request, whatever its family makes of it. */
export const anyRequest: Arbitrary.Arbitrary<Processor.ModelRequest> = Arbitrary.all({
  type: one(["chat", "chat", "chat", "embed", "raw"]),
  turns: Arbitrary.array(turn, { maxLength: 5 }),
  parameters,
  way: one<Processor.OutputWay | undefined>([undefined, "schema", "tool", "instruction"]),
  model: one([
    undefined,
    "us.anthropic.claude-haiku-4-5-20251001-v1:0",
    "us.amazon.nova-2-lite-v1:0",
    "us.meta.llama4-scout-17b-instruct-v1:0",
    "meta.llama3-1-8b-instruct-v1:0",
    "openai.gpt-oss-20b-1:0",
    "not a model"
  ]),
  body: Arbitrary.schema(Schema.Json),
  text
}).pipe(Arbitrary.map(({ body, model, parameters, text, turns, type, way }): Processor.ModelRequest => {
  switch (type) {
    case "raw":
      return { type, body: JSON.parse(JSON.stringify(body)) }
    case "embed":
      return { type, text, parameters, model, media: turns[0]?.media?.[0] }
    case "chat":
      return {
        type,
        turns,
        parameters,
        model,
        ...(way === undefined ? {} : { output: { name: "label", schema, way } })
      }
  }
}))
