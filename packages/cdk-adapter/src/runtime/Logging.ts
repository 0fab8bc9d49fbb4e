/**
 * Logs and metrics as lines of JSON on the standard output, where CloudWatch reads them. No line holds contents of
 * records, prompts, answers or task tokens.
 *
 * @internal
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Progress from "@bedrock-batch/sdk/Progress"
import * as References from "effect/References"
import { type Metrics, Metrics as known, pipelineDimension } from "../Metrics.ts"
import { Environment } from "./Environment.ts"

const write = (line: object): void => void process.stdout.write(`${JSON.stringify(line)}\n`)

const textOf = (part: unknown): string =>
  typeof part === "string" ? part : part instanceof Error ? part.message : JSON.stringify(part) ?? String(part)

const logger = Logger.make<unknown, void>(({ cause, date, fiber, logLevel, message }) => {
  const parts = Array.isArray(message) ? message : [message]
  write({
    level: logLevel.toUpperCase(),
    time: date.toISOString(),
    message: parts.map(textOf).join(" "),
    ...fiber.getRef(References.CurrentLogAnnotations),
    ...(cause.reasons.length === 0 ? {} : { cause: Cause.pretty(cause) })
  })
})

/** Lines of JSON, from Info on. @internal */
export const layer: Layer.Layer<never> = Layer.merge(
  Logger.layer([logger]),
  Layer.succeed(References.MinimumLogLevel, "Info")
)

/** Writes data points, in CloudWatch's embedded metric format. @internal */
export const measure = Effect.fnUntraced(function*(values: { readonly [Name in keyof typeof Metrics]?: number }) {
  const { metricsNamespace, pipeline } = yield* Environment
  const names = Object.values(known).filter(({ name }) => values[name] !== undefined)
  if (names.length === 0) return
  write({
    _aws: {
      Timestamp: yield* Clock.currentTimeMillis,
      CloudWatchMetrics: [{
        Namespace: metricsNamespace,
        Dimensions: [[pipelineDimension]],
        Metrics: names.map(({ name, unit }) => ({ Name: name, Unit: unit }))
      }]
    },
    [pipelineDimension]: pipeline,
    ...values
  })
})

/** Logs what the sdk tells of a run, and counts the jobs that were made. @internal */
export const listener = Effect.map(Environment, (environment): Progress.Listener => (event) => {
  const logged = Effect.logInfo(event._tag).pipe(Effect.annotateLogs({ event }))
  return event._tag === "Submitted" && event.how !== "known"
    ? Effect.andThen(logged, Effect.provideService(measure({ JobsSubmitted: 1 }), Environment, environment))
    : logged
})
