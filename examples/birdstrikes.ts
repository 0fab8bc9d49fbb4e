/**
 * 10,000 wildlife-strike reports of the FAA, classified by a text model and embedded, on a local Bedrock: no AWS account.
 *
 * Run it with `npm run demo`. With `Aws.layer({ bucket, roleArn })` in place of `Local.layer` the same program runs on AWS.
 */
import { Emulator, Local } from "@bedrock-batch/emulator"
import { ProgressLine, Prompt, run, Source, Wait } from "@bedrock-batch/sdk"
import { Console, Effect, Layer, Stream } from "effect"

const json = process.argv.includes("--json")
const reports = Source.csv(new URL("../data/birdstrikes.csv", import.meta.resolve("vega-datasets")))
const waiting = { concurrency: 2, wait: Wait.polling({ from: "100 millis", to: "1 second" }) }

const classify = run({
  name: "birdstrikes",
  source: reports,
  model: "us.anthropic.claude-haiku-4-5-20251001-v1:0",
  prompt: Prompt.make(
    "A {Aircraft Make Model} hit wildlife ({Wildlife Species}) near {Airport Name} during {Phase of flight}. " +
      "Repairs cost ${Cost Total $}. In one word: how serious was it?"
  ),
  maxRecordsPerJob: 2_500,
  ...waiting
})

const embed = run({
  name: "birdstrikes-vectors",
  source: reports,
  model: "amazon.titan-embed-text-v2:0",
  embed: "Wildlife Species",
  parameters: { dimensions: 256 },
  maxRecordsPerJob: 5_000,
  ...waiting
})

const program = Effect.gen(function*() {
  const answers = yield* classify
  yield* Console.log("Outcomes:", answers.report.counts)
  yield* Stream.runForEach(Stream.take(answers.rows, 3), (row) =>
    Console.log(`${row.record_id}  ${row["Wildlife Species"]} at ${row["Airport Name"]}: ${row.response}`))
  yield* Console.log(`Results: ${answers.report.results} (${answers.files.length} Parquet files)`)
  const vectors = yield* embed
  yield* Console.log("Embeddings:", vectors.report.counts)
  yield* Console.log(`Results: ${vectors.report.results} (${vectors.files.length} Parquet files)`)
  if (json) {
    const { maxOpenSeen } = yield* (yield* Emulator.Emulator).stats
    yield* Console.log(JSON.stringify({
      rows: answers.report.records,
      jobs: answers.report.jobs,
      maxOpenJobs: Math.max(...Object.values(maxOpenSeen)),
      counts: answers.report.counts,
      results: answers.files,
      embeddings: { rows: vectors.report.records, counts: vectors.report.counts, results: vectors.files }
    }))
  }
})

const directory = `output/birdstrikes-${Date.now()}`
await Effect.runPromise(program.pipe(Effect.provide(Layer.mergeAll(Local.layer({ directory }), ProgressLine.layer))))
