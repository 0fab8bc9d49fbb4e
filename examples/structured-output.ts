/**
 * 187 countries, judged by a text model in an answer of a given shape, on a local Bedrock: no AWS account. The local
 * models make up their answers; their shape is the one that was asked for.
 *
 * Run it with `npm run structured-output -w examples`.
 */
import { Local } from "@bedrock-batch/emulator"
import { Prompt, run, Source, Wait } from "@bedrock-batch/sdk"
import { Console, Effect, Schema, Stream } from "effect"

const Judgement = Schema.Struct({
  verdict: Schema.Literals(["long", "short"]).annotate({ description: "How long people live, for what they earn" }),
  reasons: Schema.Array(Schema.Struct({ reason: Schema.String, weight: Schema.Finite })),
  compareWith: Schema.optionalKey(Schema.String.annotate({ description: "A country in which it is much the same" }))
})

const program = Effect.gen(function*() {
  const { files, report, rows } = yield* run({
    name: "judgements",
    source: Source.csv(new URL("../data/gapminder-health-income.csv", import.meta.resolve("vega-datasets"))),
    model: "us.anthropic.claude-haiku-4-5-20251001-v1:0",
    prompt: Prompt.make("People in {country} earn {income} a year and live {health} years. Is that long?"),
    output: Judgement,
    rename: { response: "json" },
    wait: Wait.polling({ from: "100 millis", to: "1 second" })
  })
  yield* Console.log(report.counts, files)
  yield* Stream.runForEach(Stream.take(rows, 3), (row) =>
    row.batch_status === "succeeded"
      ? Console.log(`${row.country}: ${row.verdict}, for ${row.reasons.length} reason(s)`)
      : Console.log(`${row.country}: ${row.batch_error_message}`))
})

const directory = `output/structured-output-${Date.now()}`
await Effect.runPromise(program.pipe(Effect.provide(Local.layer({ directory }))))
