/**
 * Draws what runs are doing: a bar in a terminal, lines elsewhere.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Text from "./internal/ProgressText.ts"
import { type Event, type Listener, Progress } from "./Progress.ts"
import * as ProgressSummary from "./ProgressSummary.ts"

/**
 * Where lines are written, for instance `process.stderr`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Output {
  readonly write: (text: string) => unknown
  /** Whether a line can be drawn again; `columns` is then its width. */
  readonly isTTY?: boolean | undefined
  readonly columns?: number | undefined
}

/**
 * Options of `make`.
 *
 * @since 0.1.0
 * @category configuration
 */
export interface Options {
  /** Whether a bar is drawn; default whether the output is a terminal. */
  readonly bar?: boolean | undefined
}

/** Milliseconds between two drawings of a bar at least. */
const pace = 100

/** Milliseconds between two lines at least: a tenth of the time since the first one, within these. */
const linePauses = { least: 2_000, most: 60_000 }

/** Back to the line's beginning, and away with what is right of the text: a line is never empty in between. */
const redraw = (text: string): string => `\r${text}\u001b[K`

class Drawing {
  readonly folding = ProgressSummary.make()
  readonly #output: Output
  readonly #bar: boolean
  /** Opened when there is something to draw that came too soon. */
  readonly stale = Latch.makeUnsafe(false)
  #shown = ""
  #drawnAt = -Infinity
  readonly #lines = new Map<string, { readonly first: number; last: number }>()
  #isStale = false
  #told = false

  constructor(output: Output, bar: boolean) {
    this.#output = output
    this.#bar = bar
  }

  take(event: Event, now: number): void {
    this.folding.follow(event, now)
    if (event._tag === "Finished") this.#say(Text.finished(event), now)
    else if (event._tag === "Prepared" && event.done) this.#say(this.#lineOf(event.runId, now), now, event.runId)
    else if (!this.#bar) this.#sayInTime(event.runId, now)
    else if (now - this.#drawnAt >= pace) this.draw(now)
    else {
      this.#isStale = true
      Latch.openUnsafe(this.stale)
    }
  }

  /** Draws the bar of the run that goes on, or one for all that do. */
  draw(now: number): void {
    Latch.closeUnsafe(this.stale)
    this.#isStale = false
    this.#drawnAt = now
    const summary = this.folding.summary(now)
    const [first, ...others] = summary.runs.filter(({ phase }) => phase !== "prepared" && phase !== "finished")
    const columns = this.#output.columns ?? 0
    // The last column is left free: some terminals go to the next line with it.
    const width = (columns > 0 ? columns : 80) - 1
    const text = first === undefined
      ? ""
      : Text.frame(others.length === 0 ? Text.ofRun(first) : Text.ofAll(summary), width)
    if (text === this.#shown) return
    this.#output.write(redraw(text))
    this.#shown = text
  }

  until(now: number): number {
    return Math.max(0, this.#drawnAt + pace - now)
  }

  #lineOf(runId: string, now: number): string {
    const run = this.folding.summary(now).runs.find((one) => one.runId === runId)
    return run === undefined ? runId : Text.line(Text.ofRun(run))
  }

  #sayInTime(runId: string, now: number): void {
    const said = this.#lines.get(runId)
    if (said !== undefined) {
      const pause = Math.max(linePauses.least, Math.min(linePauses.most, (now - said.first) / 10))
      if (now - said.last < pause) return
    }
    this.#say(this.#lineOf(runId, now), now, runId)
  }

  /** Writes a line that stays. */
  #say(text: string, now: number, runId?: string): void {
    if (runId !== undefined) this.#lines.set(runId, { first: this.#lines.get(runId)?.first ?? now, last: now })
    this.#output.write(this.#bar ? `${redraw(text)}\n` : `${text}\n`)
    this.#shown = ""
    if (this.#bar) this.draw(now)
  }

  /** Leaves the last bar as a line. */
  close(now: number): void {
    if (this.#isStale) this.draw(now)
    if (this.#shown !== "") this.#output.write("\n")
    this.#shown = ""
  }

  /** Says once how what is left is taken up again. */
  tellHow(now: number): void {
    if (this.#told) return
    this.#told = true
    this.close(now)
    for (const run of this.folding.summary(now).runs) {
      const how = Text.resumption(run)
      if (how !== null) this.#output.write(`${how}\n`)
    }
  }
}

const draw = Effect.fnUntraced(function*(output: Output, bar: boolean) {
  const drawing = new Drawing(output, bar)
  const now = Clock.currentTimeMillis
  yield* Effect.addFinalizer((exit) =>
    Effect.map(now, (at) => {
      if (Exit.isFailure(exit) && Cause.hasInterrupts(exit.cause)) drawing.tellHow(at)
      drawing.close(at)
    })
  )
  const redrawing = Effect.gen(function*() {
    for (;;) {
      yield* Latch.await(drawing.stale)
      yield* Effect.sleep(drawing.until(yield* now))
      drawing.draw(yield* now)
    }
  })
  if (bar) yield* Effect.forkScoped(redrawing)
  return drawing
})

const listenerOf = (drawing: Drawing): Listener => (event) =>
  Effect.map(Clock.currentTimeMillis, (at) => drawing.take(event, at))

/**
 * Makes a listener that draws to `output`: how much is done, records and jobs, the pace, and the time that is left
 * where something can be said of it.
 *
 * In a terminal it is a bar, drawn again ten times a second at most and never wider than the terminal; of several runs
 * it is one for all of them. A line stays for each run that is prepared, or finished. Elsewhere a line is written for
 * each run every two seconds at most, and less often the longer it takes, down to once a minute.
 *
 * The bar stays as a line when the scope closes. Where that is by interruption, a line for each unfinished run says how
 * to take it up again.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (output: Output, options?: Options): Effect.Effect<Listener, never, Scope.Scope> =>
  Effect.map(draw(output, options?.bar ?? output.isTTY === true), listenerOf)

/** Whether a bar is drawn on a terminal of such an environment. @internal */
export const drawsBar = (isTTY: boolean, env: Readonly<Record<string, string | undefined>>): boolean => {
  const isSet = (value = "") => value !== "" && value !== "0" && value !== "false"
  return isTTY && !isSet(env["NO_COLOR"]) && !isSet(env["CI"]) && env["TERM"] !== "dumb"
}

/** Runs `tell` at the first Ctrl-C, and lets the signal do what it would have done. */
const onInterrupt = (tell: () => void) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const heard = () => {
        process.off("SIGINT", heard)
        tell()
        if (process.listenerCount("SIGINT") === 0) process.kill(process.pid, "SIGINT")
      }
      process.on("SIGINT", heard)
      return heard
    }),
    (heard) => Effect.sync(() => process.off("SIGINT", heard))
  )

/**
 * Layer that draws to the process's standard error, as `make` does, and lets the listener that is there hear the
 * events, too. Lines are written in place of a bar where standard error is no terminal, or `NO_COLOR`, `CI` or
 * `TERM=dumb` is set.
 *
 * At Ctrl-C (SIGINT) a line for each unfinished run says how to take it up again; the signal then does what it would
 * have done. Where the layer is built for one call after the other, it says so for the runs of each.
 *
 * @since 0.1.0
 * @category layers
 * @example
 * ```ts
 * import { ProgressLine } from "@bedrock-batch/sdk"
 * import { Effect } from "effect"
 *
 * declare const program: Effect.Effect<void>
 *
 * const drawn = program.pipe(Effect.provide(ProgressLine.layer))
 * ```
 */
export const layer: Layer.Layer<never> = Layer.effect(
  Progress,
  Effect.gen(function*() {
    const outer = yield* Progress
    const clock = yield* Clock.Clock
    const drawing = yield* draw(process.stderr, drawsBar(process.stderr.isTTY === true, process.env))
    yield* onInterrupt(() => drawing.tellHow(clock.currentTimeMillisUnsafe()))
    const listener = listenerOf(drawing)
    return (event: Event) => Effect.andThen(listener(event), outer(event))
  })
)
