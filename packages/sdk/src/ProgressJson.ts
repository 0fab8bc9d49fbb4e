/**
 * Writes what runs are doing as JSON, one event a line.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { type Event, type Listener, layer as listening } from "./Progress.ts"

/**
 * Makes a listener that gives `write` a line for each event, with its line break: the event with `at`, its time in
 * ISO 8601, before its fields. What `write` throws is a defect of the run.
 *
 * @since 0.1.0
 * @category constructors
 * @example
 * ```ts
 * import { Progress, ProgressJson } from "@bedrock-batch/sdk"
 * import { Effect } from "effect"
 * import { createWriteStream } from "node:fs"
 *
 * declare const program: Effect.Effect<void>
 *
 * const file = createWriteStream("events.jsonl", { flags: "a" })
 * const logged = program.pipe(
 *   Effect.provideService(Progress.Progress, ProgressJson.make((line) => file.write(line)))
 * )
 * ```
 */
export const make = (write: (line: string) => unknown): Listener => (event: Event) =>
  Effect.map(Clock.currentTimeMillis, (now) => {
    const at = new Date(now).toISOString()
    write(`${JSON.stringify({ at, ...event })}\n`)
  })

/**
 * Layer that writes lines as `make` does, and lets the listener that is there hear the events, too.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerTo = (write: (line: string) => unknown): Layer.Layer<never> => listening(make(write))

/**
 * Layer that writes lines to the process's standard error, as `make` does.
 *
 * @since 0.1.0
 * @category layers
 * @example
 * ```ts
 * import { ProgressJson } from "@bedrock-batch/sdk"
 * import { Effect } from "effect"
 *
 * declare const program: Effect.Effect<void>
 *
 * const logged = program.pipe(Effect.provide(ProgressJson.layer))
 * ```
 */
export const layer: Layer.Layer<never> = layerTo((line) => process.stderr.write(line))
