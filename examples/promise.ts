/**
 * 187 countries, described by a text model, with Promises: no Effect in sight, and no AWS account.
 *
 * Run it with `npm run promise -w examples`. `BedrockBatch.make({ bucket, roleArn })` is the same client on AWS.
 */
import { Local } from "@bedrock-batch/emulator"
import { BatchError, BedrockBatch, Prompt, Source, Wait } from "@bedrock-batch/sdk/promise"

const directory = `output/promise-${Date.now()}`
await using batch = BedrockBatch.make({ layer: Local.layer({ directory }) })

const countries = Source.csv(new URL("../data/gapminder-health-income.csv", import.meta.resolve("vega-datasets")))
const options = {
  name: "countries",
  source: countries,
  model: "us.amazon.nova-micro-v1:0",
  prompt: Prompt.make("People in {country} live {health} years on average. Is that long? Answer in one sentence."),
  format: "csv",
  wait: Wait.polling({ from: "100 millis", to: "1 second" }),
  onProgress: (event) => {
    if (event._tag === "JobChanged") console.log(`job ${event.job}: ${event.status}, ${event.processed} of ${event.records}`)
  }
} satisfies Parameters<typeof batch.run>[0]

const { files, report, rows } = await batch.run(options)
console.log(report.counts)
console.log(files)

let shown = 0
for await (const row of rows) {
  if (row.batch_status === "succeeded") console.log(`${row.country}: ${row.response}`)
  if (++shown === 3) break
}

// The same options again are the same run: nothing is prepared, sent or paid for a second time.
const again = await batch.run(options)
console.log(again.report.runId === report.runId ? "The run was taken up, not repeated." : "This is another run.")

// Mistakes are found before anything is written or paid for; every rejection is a BatchError.
try {
  await batch.run({ ...options, prompt: Prompt.make("How rich is {countri}?") })
} catch (error) {
  if (!(error instanceof BatchError.BatchError)) throw error
  console.log(error.reason.message)
}
