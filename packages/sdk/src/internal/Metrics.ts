/**
 * Metrics of what runs do, in Effect's registry: whoever provides an exporter sees them.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import type { Event } from "../Progress.ts"

const counter = (name: string, description: string) =>
  Metric.counter(`bedrock_batch_${name}`, { description, incremental: true })

const recordsPrepared = counter("records_prepared_total", "Records whose requests are stored")
const bytesUploaded = counter("bytes_uploaded_total", "Bytes of stored requests")
/** @internal */
export const recordsProcessed = counter("records_processed_total", "Records processed while this process looked")
const jobsSubmitted = counter("jobs_submitted_total", "Jobs that Bedrock accepted, by how this became known")
const jobsEnded = counter("jobs_ended_total", "Jobs that ended or were refused, by status")
const recordsCollected = counter("records_collected_total", "Rows whose results were stored, by outcome")
const tokens = counter("tokens_total", "Tokens of the rows whose results were stored, by type")
const waited = counter("waiting_milliseconds_total", "Time in which a job waited to be submitted, by reason")
/** @internal */
export const jobs = Metric.gauge("bedrock_batch_jobs", { description: "Jobs that this process looks after, by state" })

/** Counts what an event alone says. @internal */
export const count = (event: Event): Effect.Effect<void> => {
  switch (event._tag) {
    case "Uploaded":
      return Effect.andThen(Metric.update(recordsPrepared, event.records), Metric.update(bytesUploaded, event.bytes))
    case "Submitted":
      return event.how === "known"
        ? Effect.void
        : Metric.update(Metric.withAttributes(jobsSubmitted, { how: event.how }), 1)
    case "Ended":
      return event.known ? Effect.void : Metric.update(Metric.withAttributes(jobsEnded, { status: event.status }), 1)
    case "Waiting":
      // The time for a slot is counted when it is over.
      return event.why === "slots" ? Effect.void : countWait(event.why, event.millis)
    case "Collected":
      return Effect.all([
        ...Object.entries(event.counts ?? {}).filter(([, records]) => records > 0).map(([outcome, records]) =>
          Metric.update(Metric.withAttributes(recordsCollected, { outcome }), records)
        ),
        Metric.update(Metric.withAttributes(tokens, { type: "input" }), event.inputTokens ?? 0),
        Metric.update(Metric.withAttributes(tokens, { type: "output" }), event.outputTokens ?? 0)
      ], { discard: true })
    default:
      return Effect.void
  }
}

/** @internal */
export const countWait = (why: string, millis: number): Effect.Effect<void> =>
  Metric.update(Metric.withAttributes(waited, { why }), millis)
