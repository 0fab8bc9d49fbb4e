/**
 * Traces and metrics of a run, by the OpenTelemetry SDK: no AWS account and no collector, they are printed.
 *
 * Run it with `npm run opentelemetry -w examples`. The exporters of `@opentelemetry/exporter-trace-otlp-http` and
 * `@opentelemetry/exporter-metrics-otlp-http` in place of the two below send the same to a collector.
 */
import { Local } from "@bedrock-batch/emulator"
import { Prompt, run, Source, Wait } from "@bedrock-batch/sdk"
import * as NodeSdk from "@effect/opentelemetry/NodeSdk"
import { PeriodicExportingMetricReader, type PushMetricExporter } from "@opentelemetry/sdk-metrics"
import { BatchSpanProcessor, type SpanExporter } from "@opentelemetry/sdk-trace-base"
import { Console, Effect, Layer } from "effect"

const exported = { code: 0 }

/** Every call to the store and to Bedrock has a span, too; here those of the verbs are shown. */
const verbs = new Set(["prepare", "submit", "awaitAll", "collectJob", "collect", "run"])

const spanExporter: SpanExporter = {
  export: (spans, done) => {
    for (const { attributes, duration: [seconds, nanos], name } of spans) {
      const millis = Math.round(seconds * 1e3 + nanos / 1e6)
      if (verbs.has(name)) console.log(`span ${name} ${millis} ms ${JSON.stringify(attributes)}`)
    }
    done(exported)
  },
  shutdown: async () => {}
}

const metricExporter: PushMetricExporter = {
  export: ({ scopeMetrics }, done) => {
    for (const { dataPoints, descriptor } of scopeMetrics.flatMap(({ metrics }) => metrics)) {
      for (const { attributes, value } of dataPoints) {
        console.log(`metric ${descriptor.name} ${JSON.stringify(attributes)} ${JSON.stringify(value)}`)
      }
    }
    done(exported)
  },
  forceFlush: async () => {},
  shutdown: async () => {}
}

const telemetry = NodeSdk.layer(() => ({
  resource: { serviceName: "countries" },
  spanProcessor: new BatchSpanProcessor(spanExporter),
  metricReader: new PeriodicExportingMetricReader({ exporter: metricExporter })
}))

const program = Effect.gen(function*() {
  const { report } = yield* run({
    name: "countries",
    source: Source.csv(new URL("../data/gapminder-health-income.csv", import.meta.resolve("vega-datasets"))),
    model: "us.amazon.nova-micro-v1:0",
    prompt: Prompt.make("People in {country} live {health} years on average. Is that long? Answer in one sentence."),
    wait: Wait.polling({ from: "100 millis", to: "1 second" })
  })
  yield* Console.log(report.counts)
})

// What is left is exported when the layer closes.
const directory = `output/opentelemetry-${Date.now()}`
await Effect.runPromise(program.pipe(Effect.provide(Layer.mergeAll(Local.layer({ directory }), telemetry))))
