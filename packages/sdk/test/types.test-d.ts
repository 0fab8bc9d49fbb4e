import { Effect, type Layer, Schema, Stream } from "effect"
import {
  Aws,
  awaitAll,
  type BatchError,
  type BatchJobs,
  type Capacity,
  collect,
  type Collected,
  collectJob,
  finish,
  Job,
  JobReport,
  Ledger,
  mapSubmission,
  NovaMultimodalEmbeddings,
  type ObjectStore,
  type OnDemand,
  Outcome,
  prepare,
  PrepareRound,
  prepareStep,
  type Processor,
  Progress,
  Prompt,
  Report,
  resume,
  retry,
  Run,
  run,
  Source,
  submit,
  TitanTextEmbeddings,
  Wait
} from "../src/index.ts"
import { BedrockBatch, Prompt as P2, Source as S2 } from "../src/promise/index.ts"

type Equals<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false
declare function same<A, B>(..._: Equals<A, B> extends true ? [] : [{ readonly not: A; readonly same: B }]): void
type Names<P> = P extends Prompt.Prompt<infer N> ? N : never
declare function ok(..._: ReadonlyArray<unknown>): void
declare const text: string

type Store = ObjectStore.ObjectStore
type Jobs = BatchJobs.BatchJobs
type Slots = Capacity.Capacity
type Calls = OnDemand.OnDemand
type Services = Store | Jobs | Calls | Ledger.Ledger | Slots

// --- placeholders
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
const p8 = Prompt.make(`{${text}} and {topic}`) // a placeholder that is not a literal: checked at run time
same<Names<typeof p8>, string>()
const p6 = Prompt.chat([{ role: "system", content: "You like {mood} jokes." }, { role: "user", content: "{topic}?" }])
same<Names<typeof p6>, "mood" | "topic">()
const p7 = Prompt.make("{{{topic}}}") // Python: a brace, the value, a brace
same<Names<typeof p7>, "topic">()
// @ts-expect-error a { without }
Prompt.make("Tell me {topic")
// @ts-expect-error a single }
Prompt.make("Tell me topic}")
// @ts-expect-error names no column
Prompt.make("Tell me {}")

// --- sources
const model = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
const titan = "amazon.titan-embed-text-v2:0"
const typed = Source.csv("s3://b/topics.csv", { columns: Schema.Struct({ id: Schema.Int, topic: Schema.String }) })
same<typeof typed, Source.Source<{ readonly id: number; readonly topic: string }, Store>>()
const untyped = Source.csv("s3://b/topics.csv")
same<typeof untyped, Source.Source<Source.UntypedRow<string>, Store>>()
const withNulls = Source.csv("s3://b/topics.csv", { nullValues: ["NA"] })
same<typeof withNulls, Source.Source<Source.UntypedRow<string | null>, Store>>()
const memory = Source.rows([{ topic: "cats", n: 1 }, { topic: "dogs", n: 2 }])
same<typeof memory, Source.Source<{ topic: string; n: number }>>()
const streamed = Source.rows(Stream.make({ topic: "cats" }), { version: "1" })

// --- prepare: columns
ok(prepare({ name: "a", source: typed, model, prompt: p1 }))
same<Effect.Success<ReturnType<typeof prepareStep>>, PrepareRound>()
ok(prepareStep({ name: "a", source: typed, model, prompt: p1 }, "10 minutes"))
ok(prepare({ name: "a", source: untyped, model, prompt: p2 }))
ok(prepare({ name: "a", source: memory, model, prompt: Prompt.make("{n}: {topic}") }))
ok(prepare({ name: "a", source: streamed, model, prompt: p1 }))
ok(prepare({ name: "a", source: typed, model, prompt: p4 }))
const fromBoth = Prompt.fromColumns(["id", "topic"], (row) => [{ role: "user", content: `${row.id}: ${row.topic}` }], {
  version: "1"
})
ok(prepare({ name: "a", source: typed, model, prompt: fromBoth }))
// @ts-expect-error the function did not name `topik`
Prompt.fromColumns(["topic"], (row) => [{ role: "user", content: `${row.topik}` }], { version: "1" })
const fromYear = Prompt.fromColumns(["year"], (row) => [{ role: "user", content: `${row.year}` }], { version: "1" })
// @ts-expect-error the source has no column `year`
ok(prepare({ name: "a", source: typed, model, prompt: fromYear }))
// @ts-expect-error the prompt names `topik`
ok(prepare({ name: "a", source: typed, model, prompt: Prompt.make("A joke about {topik} and {topic}") }))
// @ts-expect-error the prompt names `topik`
ok(prepareStep({ name: "a", source: typed, model, prompt: Prompt.make("A joke about {topik} and {topic}") }, 1000))
// @ts-expect-error and as a variable
ok(prepare({ name: "a", source: typed, model, prompt: p2 }))
// @ts-expect-error no prompt, and no column `input_text`
ok(prepare({ name: "a", source: typed, model: titan }))
ok(prepare({ name: "a", source: typed, model: titan, embed: "topic" }))
ok(prepare({ name: "a", source: untyped, model: titan }))
// @ts-expect-error no such column
ok(prepare({ name: "a", source: typed, model: titan, embed: "topik" }))
const clashing = Source.rows([{ topic: "a", response: "mine" }])
// @ts-expect-error the source already has `response`
ok(prepare({ name: "a", source: clashing, model, prompt: p1 }))
const renamed = prepare({ name: "a", source: clashing, model, prompt: p1, rename: { response: "joke" } })
// @ts-expect-error the new name is a column of the source too
ok(prepare({ name: "a", source: clashing, model, prompt: p1, rename: { response: "topic" } }))
// @ts-expect-error the result adds no column `respons`
ok(prepare({ name: "a", source: typed, model, prompt: p1, rename: { respons: "joke" } }))
// @ts-expect-error unknown option
ok(prepare({ name: "a", source: typed, model, prompt: p1, temprature: 1 }))

// --- what is in R and E
same<Effect.Services<typeof renamed>, Store | Slots>()
same<Effect.Error<typeof renamed>, BatchError.BatchError>()
const noStore = prepare({ name: "a", source: memory, model, prompt: p1 })
same<Effect.Services<typeof noStore>, Store | Slots>()
interface Database {
  readonly rows: string
}
declare const fromDatabase: Stream.Stream<{ readonly topic: string }, BatchError.BatchError, Database>
const needy = prepare({ name: "a", source: Source.rows(fromDatabase), model, prompt: p1 })
same<Effect.Services<typeof needy>, Store | Slots | Database>()

// --- submit has one parameter, for `map`
same<Parameters<typeof submit>["length"], 1>()
same<Effect.Services<ReturnType<typeof submit>>, Store | Jobs | Calls | Ledger.Ledger>()
same<Effect.Success<ReturnType<typeof submit>>, Job.SubmittedJob | Job.EndedJob>()

// --- the four verbs, whole
const jokes = Effect.gen(function*() {
  const prompt = Prompt.make("Tell me a joke about {topic} in less than 50 words.")
  const run = yield* prepare({ name: "jokes", source: typed, model, prompt })
  const jobs = yield* awaitAll(run.jobs.map(submit), { concurrency: 20, wait: Wait.polling() })
  return yield* collect(run, jobs, { format: "parquet" })
})
same<Effect.Services<typeof jokes>, Services>()
same<Effect.Services<typeof jokes>, Aws.Services>()
same<Effect.Error<typeof jokes>, BatchError.BatchError>()
const provided = jokes.pipe(Effect.provide(Aws.layer({ bucket: "b", roleArn: "arn" })))
same<Effect.Services<typeof provided>, never>()
same<Effect.Error<typeof provided>, BatchError.BatchError>()

// --- awaitAll without options waits by polling
const awaited = awaitAll([submit({} as Job.Job)])
same<Effect.Success<typeof awaited>, ReadonlyArray<Job.EndedJob | Job.RefusedJob>>()
same<Effect.Services<typeof awaited>, Services>()

// --- result rows
type RowsOf<E> = E extends
  Effect.Effect<{ readonly rows: Stream.Stream<infer Row, infer _E, infer _R> }, infer _E2, infer _R2> ? Row : never
declare const joke: RowsOf<typeof jokes>
same<typeof joke.id, number>()
same<typeof joke.response, string | null>()
same<typeof joke.record_id, string>()
same<typeof joke.batch_status, Outcome.Outcome>()
if (joke.batch_status === "succeeded") same<typeof joke.response, string>()
if (joke.batch_status === "truncated") same<typeof joke.batch_error_code, null>()
if (joke.batch_status === "failed") same<typeof joke.batch_error_message, string>()
// @ts-expect-error text runs have no embedding
joke.embedding
const vectors = run({ name: "v", source: Source.rows([{ input_text: "a" }]), model: titan, format: "parquet" })
same<Effect.Services<typeof vectors>, Services>()
same<Effect.Error<typeof vectors>, BatchError.BatchError>()
declare const vector: RowsOf<typeof vectors>
same<typeof vector.embedding, Float32Array | null>()
// @ts-expect-error embedding runs have no response
vector.response
const bits = run({
  name: "b",
  source: Source.rows([{ input_text: "a" }]),
  model: titan,
  processor: TitanTextEmbeddings.titanTextEmbeddings({ embeddingTypes: ["binary"] })
})
declare const packed: RowsOf<typeof bits>
if (packed.batch_status === "succeeded") same<typeof packed.embedding_binary, Uint8Array>()
// @ts-expect-error runs of bits have no numbers
packed.embedding
const clips = run({
  name: "c",
  source: Source.rows([{ clip: new Uint8Array() }]),
  model: "amazon.nova-2-multimodal-embeddings-v1:0",
  embed: Prompt.video("clip"),
  processor: NovaMultimodalEmbeddings.novaMultimodalEmbeddings({ videoMode: "separate" })
})
declare const clip: RowsOf<typeof clips>
if (clip.batch_status === "succeeded") same<typeof clip.video_embedding, Float32Array>()
if (clip.batch_status === "succeeded") same<typeof clip.audio_embedding, Float32Array | null>()
declare const own: Processor.Processor<
  { readonly mood: "good" | "bad"; readonly score: number }
>
const mood = run({ name: "m", source: untyped, model: "my.model", processor: own, prompt: p1 })
declare const moody: RowsOf<typeof mood>
if (moody.batch_status === "succeeded") same<typeof moody.mood, "good" | "bad">()
same<typeof moody.score, number | null>()
same<typeof moody.batch_input_tokens, number | null>() // the index signature of an untyped source does not swallow it
same<typeof moody.anything, string | undefined>()
const rename = { mood: "class" } as const
const labelled = run({ name: "l", source: typed, model: "my.model", processor: own, prompt: p1, rename })
declare const label: RowsOf<typeof labelled>
same<typeof label.class, "good" | "bad" | null>()
// @ts-expect-error it has its new name only
label.mood
// @ts-expect-error the source already has `mood`, a column of the processor's
ok(prepare({ name: "a", source: Source.rows([{ topic: "a", mood: "b" }]), model, processor: own, prompt: p1 }))

// --- waiting: a handed-over job is not an ended one, so it cannot be collected
declare const handOver: Wait.WaitStrategy<Job.SubmittedJob, Database>
const handed = Effect.gen(function*() {
  const run = yield* Run.load("jokes-1")
  const jobs = yield* awaitAll(run.jobs.map(submit), { wait: handOver })
  // @ts-expect-error these jobs have not ended
  return yield* collect(run, jobs)
})
same<Effect.Services<typeof handed>, Services | Database>()
// @ts-expect-error what is handed over cannot be finished in the same call
ok(run({ name: "a", source: typed, model, prompt: p1, wait: handOver }))

// --- the emulator stands in for AWS: the same services
declare const Local: {
  readonly layer: (options: { readonly directory: string }) => Layer.Layer<Aws.Services, BatchError.BatchError>
}
export const local: Effect.Effect<Collected<{ readonly topic: string }>, BatchError.BatchError> = jokes.pipe(
  Effect.provide(Local.layer({ directory: "./x" }))
)

// --- collect as jobs end
const pipelined = Effect.gen(function*() {
  const run = yield* prepare({ name: "jokes", source: typed, model, prompt: p1 })
  yield* awaitAll(run.jobs.map(submit), { onEnded: (job) => collectJob(run, job) })
  return yield* finish(run)
})
same<RowsOf<typeof pipelined>, RowsOf<typeof jokes>>()
same<Effect.Services<typeof pipelined>, Services>()

// --- the next attempt is the same run
const mended = Effect.gen(function*() {
  const first = yield* prepare({ name: "jokes", source: typed, model, prompt: p1 })
  const second = yield* retry(first, { lane: "auto", outcomes: ["failed", "truncated"] })
  const jobs = yield* awaitAll(second.jobs.map(submit))
  return yield* collect(second, jobs)
})
same<RowsOf<typeof mended>, RowsOf<typeof jokes>>()
same<Effect.Services<typeof mended>, Services>()
// @ts-expect-error what succeeded is not tried again
ok(retry({} as Run.Run<{ readonly a: string }>, { outcomes: ["succeeded"] }))

// --- a run that is taken up by its id needs what its definition needs
const taken = resume("jokes-1", { format: "csv", rescue: "on-demand", retry: { attempts: 2, lane: "batch" } })
same<Effect.Services<typeof taken>, Services>()
const defined = resume("jokes-1", { definition: { name: "a", source: Source.rows(fromDatabase), model, prompt: p1 } })
same<Effect.Services<typeof defined>, Services | Database>()
const asked = run({
  name: "a",
  source: typed,
  model,
  prompt: p1,
  confirmAbove: 1000,
  confirm: (plan) => Effect.succeed(plan.records < 5000),
  deadline: new Date(0)
})
same<Effect.Services<typeof asked>, Services>()

// --- a run that was loaded by its id has rows of unknown columns
const loaded = Effect.flatMap(Run.load("jokes-1"), (run) => collect(run, []))
declare const unknownRow: RowsOf<typeof loaded>
same<typeof unknownRow.record_id, string>()
same<typeof unknownRow.batch_status, Outcome.Outcome>()
same<typeof unknownRow.topic, unknown>()
same<Effect.Services<ReturnType<typeof Run.status>>, Store | Ledger.Ledger>()

// --- JSON-safe: what a queue or a Lambda carries is JSON, and decodes to itself
type Json = Processor.Json
type JsonSafe<S extends Schema.Constraint> = S["Encoded"] extends Json ? Equals<S["Type"], S["Encoded"]> : false
same<JsonSafe<typeof Job.Job>, true>()
same<JsonSafe<typeof Job.SubmittedJob>, true>()
same<JsonSafe<typeof Job.EndedJob>, true>()
same<JsonSafe<typeof Job.RefusedJob>, true>()
same<JsonSafe<typeof Ledger.Refusal>, true>()
same<JsonSafe<typeof Run.RunManifest>, true>()
same<JsonSafe<typeof Run.RunStatus>, true>()
same<JsonSafe<typeof PrepareRound>, true>()
same<JsonSafe<typeof JobReport>, true>()
same<JsonSafe<typeof Report>, true>()
same<JsonSafe<typeof Progress.Event>, true>()
same<JsonSafe<typeof Outcome.Counts>, true>()

// --- a verb over JSON values
export const collectLambda = (event: { readonly runId: string; readonly job: unknown }) =>
  Effect.gen(function*() {
    const run = yield* Run.open(event.runId)
    const job = yield* Schema.decodeUnknownEffect(Job.EndedJob)(event.job)
    return yield* collectJob(run, job, { format: "parquet" })
  })
export const prepareLambda = (
  event: { readonly uri: string; readonly template: string; readonly name: string; readonly model: string }
) =>
  prepare({
    name: event.name,
    source: Source.csv(event.uri),
    model: event.model,
    prompt: Prompt.make(event.template)
  })

// --- submissions keep their job when they are changed
const patient = mapSubmission(
  submit({} as Job.Job),
  (effect) => effect.pipe(Effect.timeoutOrElse({ duration: "1 minute", orElse: () => Effect.never }))
)
same<typeof patient.job, Job.Job>()
// @ts-expect-error a bare effect does not say which job it is
ok(awaitAll([Effect.asVoid(submit({} as Job.Job))]))

// --- generic code: the check of the columns cannot be resolved
export const generic = <Row extends { readonly topic: string }>(source: Source.Source<Row>) => {
  // @ts-expect-error the columns of `Row` are not known here
  ok(prepare({ name: "g", source, model, prompt: p1 }))
}
interface Tweet {
  readonly text: string
  readonly lang?: string | null
}
declare const tweets: AsyncIterable<Tweet>
const languages = Prompt.make("{lang}: {text}")
ok(prepare({ name: "t", source: Source.rows(tweets, { version: "2026-11" }), model, prompt: languages }))

// --- errors
declare const failing: Effect.Effect<number, BatchError.BatchError>
export const handled = failing.pipe(
  Effect.catchReason("BatchError", "InvalidColumns", (reason) => Effect.succeed(reason.missing.length)),
  Effect.retry({ while: (e) => e.isRetryable })
)

// --- media, parameters of single rows, requests of one's own
const photos = Source.rows([{ caption: "a cat", photo: "cat.png", max: 10 as number | null, request: "{}" }])
const seeing = Prompt.make("{caption}?", { media: [Prompt.image("photo", { directory: "photos" })] })
same<Names<typeof seeing>, "caption" | "photo">()
ok(prepare({ name: "a", source: photos, model, prompt: seeing, parametersFrom: { maxTokens: "max", topP: "max" } }))
ok(prepare({ name: "a", source: untyped, model, prompt: p1, parametersFrom: { stopSequences: "anything" } }))
// @ts-expect-error the source has no column `photo`
ok(prepare({ name: "a", source: typed, model, prompt: seeing }))
// @ts-expect-error the source has no column `maxx`
ok(prepare({ name: "a", source: photos, model, prompt: seeing, parametersFrom: { maxTokens: "maxx" } }))
// @ts-expect-error rows have no parameter `topK`
ok(prepare({ name: "a", source: photos, model, prompt: seeing, parametersFrom: { topK: "max" } }))
const pictures = "amazon.titan-embed-image-v1"
ok(prepare({ name: "a", source: photos, model: pictures, embed: Prompt.image("photo") }))
ok(prepare({ name: "a", source: untyped, model: pictures, embed: Prompt.image("photo") }))
const together = run({
  name: "a",
  source: photos,
  model: pictures,
  embed: { text: "caption", media: Prompt.image("photo") }
})
declare const pictured: RowsOf<typeof together>
same<typeof pictured.embedding, Float32Array | null>()
// @ts-expect-error the source has no column `picture`
ok(prepare({ name: "a", source: photos, model: pictures, embed: Prompt.image("picture") }))
// @ts-expect-error the source has no column `title`
ok(prepare({ name: "a", source: photos, model: pictures, embed: { text: "title", media: Prompt.image("photo") } }))
// @ts-expect-error the source has no column `picture`
ok(prepare({ name: "a", source: photos, model: pictures, embed: { media: Prompt.image("picture") } }))
const bodies = run({ name: "a", source: photos, model: "my.model", body: "request" })
declare const whole: RowsOf<typeof bodies>
same<typeof whole.output, Processor.Json>()
same<typeof whole.caption, string>()
// @ts-expect-error requests of one's own are not embedded
whole.embedding
// @ts-expect-error the source has no column `requests`
ok(prepare({ name: "a", source: photos, model: "my.model", body: "requests" }))
const read = run({ name: "a", source: photos, model: "my.model", body: "request", processor: own })
declare const asRead: RowsOf<typeof read>
same<typeof asRead.score, number | null>()
// @ts-expect-error the source already has `output`
ok(prepare({ name: "a", source: Source.rows([{ body: "{}", output: 1 }]), model, body: "body" }))

// --- the Promise API
export const promised = async (signal: AbortSignal) => {
  await using batch = BedrockBatch.make({ bucket: "b", roleArn: "arn" })
  const source = S2.csv("topics.csv", { columns: Schema.Struct({ topic: Schema.String }) })
  const prompt = P2.make("A joke about {topic}")
  const onProgress = (event: Progress.Event) => event._tag === "Prepared" && event.records
  const done = await batch.run({ name: "jokes", source, model, prompt, signal, onProgress })
  for await (const row of done.rows) if (row.batch_status === "succeeded") row.response.toUpperCase()
  const prepared = await batch.prepare({ name: "jokes", source, model, prompt })
  const jobs = await batch.awaitAll(prepared.jobs, { concurrency: 20, signal })
  same<typeof done, Awaited<ReturnType<typeof batch.collect<RowsOfRun<typeof prepared>>>>>()
  // @ts-expect-error the prompt names `topik`
  await batch.run({ name: "jokes", source, model, prompt: P2.make("A joke about {topik}") })
  const given = await batch.run({ name: "own", source: photos, model, body: "request", parametersFrom: {} })
  for await (const row of given.rows) same<typeof row.output, Processor.Json>()
  await batch.prepare({ name: "own", source: photos, model: pictures, embed: Prompt.image("photo") })
  // @ts-expect-error the source has no column `picture`
  await batch.run({ name: "own", source: photos, model: pictures, embed: Prompt.image("picture") })
  // @ts-expect-error the source has no column `heat`
  await batch.run({ name: "own", source: photos, model, prompt: seeing, parametersFrom: { temperature: "heat" } })
  // @ts-expect-error the source already has `response`
  await batch.prepare({ name: "jokes", source: S2.rows([{ topic: "a", response: "b" }]), model, prompt })
  return batch.collect(prepared, jobs, { format: "csv" })
}
type RowsOfRun<R> = R extends Run.Run<infer Row> ? Row : never

// --- structured output: the fields are columns, null where the row has no answer
const Mood = Schema.Struct({
  mood: Schema.Literals(["good", "bad"]),
  score: Schema.Finite,
  note: Schema.optionalKey(Schema.String),
  items: Schema.Array(Schema.Struct({ name: Schema.String, at: Schema.Date }))
})
const Why = Schema.Struct({ reasoning: Schema.String })
const moods = run({ name: "m", source: typed, model, prompt: p1, output: Mood, retry: { attempts: 2 } })
declare const sentiment: RowsOf<typeof moods>
if (sentiment.batch_status === "succeeded") {
  same<typeof sentiment.mood, "good" | "bad">()
  same<typeof sentiment.note, string | null>()
  same<typeof sentiment.items[number]["at"], Date>()
}
if (sentiment.batch_status === "invalid") same<typeof sentiment.response, string | null>()
same<typeof sentiment.score, number | null>()
same<typeof sentiment.batch_input_tokens, number | null>()
// @ts-expect-error there is no reasoning where it is not asked for
sentiment.reasoning satisfies string | null
const thoughtful = Effect.gen(function*() {
  const options = { name: "m", source: typed, model, prompt: p1, output: Mood, outputWay: "tool", reasoning: true } as const
  const prepared = yield* prepare(options)
  const jobs = yield* awaitAll(prepared.jobs.map(submit))
  return yield* collect(prepared, jobs)
})
declare const thought: RowsOf<typeof thoughtful>
same<typeof thought.reasoning, string | null>()
same<typeof thought.mood, "good" | "bad" | null>()
same<typeof thought.topic, string>()
const rename2 = { mood: "feeling", response: "raw" } as const
const renamedMood = run({ name: "m", source: typed, model, prompt: p1, output: Mood, rename: rename2 })
declare const feeling: RowsOf<typeof renamedMood>
same<typeof feeling.feeling, "good" | "bad" | null>()
same<typeof feeling.raw, string | null>()
// @ts-expect-error the output has no such field
ok(prepare({ name: "m", source: typed, model, prompt: p1, output: Mood, rename: { moood: "feeling" } }))
const withMood = Source.rows([{ topic: "a", mood: "b" }])
// @ts-expect-error the source already has `mood`, a field of the output
ok(prepare({ name: "m", source: withMood, model, prompt: p1, output: Mood }))
ok(prepare({ name: "m", source: withMood, model, prompt: p1, output: Mood, rename: { mood: "feeling" } }))
// @ts-expect-error a result has a column of that name anyway
ok(prepare({ name: "m", source: typed, model, prompt: p1, output: Schema.Struct({ response: Schema.String }) }))
// @ts-expect-error so it has with reasoning
ok(prepare({ name: "m", source: typed, model, prompt: p1, output: Why, reasoning: true }))
ok(prepare({ name: "m", source: typed, model, prompt: p1, output: Why }))
// @ts-expect-error an embedding is no text
ok(prepare({ name: "m", source: typed, model: titan, embed: "topic", output: Mood }))
// @ts-expect-error no such way
ok(prepare({ name: "m", source: typed, model, prompt: p1, output: Mood, outputWay: "json" }))
// @ts-expect-error `own` reads no text
ok(prepare({ name: "m", source: typed, model: "my.model", processor: own, prompt: p1, output: Mood }))
export const promisedMoods = async (batch: BedrockBatch) => {
  const { rows } = await batch.run({ name: "m", source: typed, model, prompt: p1, output: Mood, reasoning: true })
  for await (const row of rows) {
    if (row.batch_status === "succeeded") same<typeof row.mood, "good" | "bad">()
    same<typeof row.reasoning, string | null>()
  }
}
