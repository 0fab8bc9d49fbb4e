import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Scope } from "effect"
import { TestClock } from "effect/testing"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import type { Event } from "../src/Progress.ts"
import * as ProgressLine from "../src/ProgressLine.ts"

const prepared = (records: number, jobs: number, done: boolean, runId = "run"): Event =>
  ({ _tag: "Prepared", runId, records, jobs, done })
const awaiting = (records: number, jobs: number, runId = "run", attempt = 1): Event =>
  ({ _tag: "Awaiting", runId, attempt, records, jobs })
const submitted = (job: string, runId = "run"): Event => ({
  _tag: "Submitted",
  runId,
  job,
  records: 5000,
  arn: "arn",
  how: "sent",
  submittedAt: new Date(0).toISOString()
})
const changed = (job: string, processed: number, failed = 0, runId = "run"): Event => ({
  _tag: "JobChanged",
  runId,
  job,
  status: "InProgress",
  records: 5000,
  processed,
  counters: { total: 5000, processed, succeeded: processed - failed, failed }
})
const ended = (job: string, runId = "run"): Event =>
  ({ _tag: "Ended", runId, job, status: "Completed", records: 5000, counters: null, known: false })
const waiting: Event = { _tag: "Waiting", runId: "run", job: "1-000002", why: "quota", millis: 60_000 }
const collected = (job: string): Event => ({ _tag: "Collected", runId: "run", job, records: 5000 })
const finished = (runId = "run", attempt = 1): Event => ({
  _tag: "Finished",
  runId,
  attempt,
  records: 10_000,
  jobs: 2,
  counts: { succeeded: 9990, truncated: 0, refused: 0, invalid: 0, failed: 10, expired: 0, missing: 0 },
  inputTokens: 1,
  outputTokens: 1
})

type Timed = readonly [number, Event]

/** Sends events with so many milliseconds before each, and gives what was written. */
const draw = Effect.fnUntraced(
  function*(
    output: Omit<ProgressLine.Output, "write">,
    events: ReadonlyArray<Timed>,
    exit: Exit.Exit<void> = Exit.void
  ) {
    const written: Array<string> = []
    const scope = yield* Scope.make()
    const making = ProgressLine.make({ ...output, write: (text) => written.push(text) })
    const listener = yield* Scope.provide(making, scope)
    for (const [millis, event] of events) {
      yield* TestClock.adjust(millis)
      yield* listener(event)
    }
    yield* TestClock.adjust(1000)
    yield* Scope.close(scope, exit)
    return written
  }
)

/** What a terminal shows after all that was written: finished lines, and the line that is drawn again. */
const screenOf = (written: ReadonlyArray<string>): ReadonlyArray<string> => {
  const lines: Array<string> = [""]
  for (const piece of written.join("").split(/(\n|\r|\u001b\[K)/)) {
    if (piece === "\n") lines.push("")
    else if (piece === "\r") lines[lines.length - 1] = `${lines.at(-1)}\r`
    else if (piece === "\u001b[K") lines[lines.length - 1] = lines.at(-1)!.split("\r").at(-1)!
    else lines[lines.length - 1] += piece
  }
  return lines
}

const whole: ReadonlyArray<Timed> = [
  [0, prepared(5000, 1, false)],
  [2000, prepared(10_000, 2, true)],
  [2000, awaiting(10_000, 2)],
  [0, submitted("1-000000")],
  [60_000, changed("1-000000", 2500, 10)],
  [60_000, waiting],
  [60_000, ended("1-000000")],
  [60_000, submitted("1-000001")],
  [60_000, ended("1-000001")],
  [2000, collected("1-000000")],
  [100, collected("1-000001")],
  [100, finished()]
]

describe("ProgressLine", () => {
  it.effect("writes a line of what is done where there is no terminal", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* draw({}, whole), [
        "run: preparing, 5,000 records, 1 job\n",
        "run: prepared 10,000 records, 2 jobs\n",
        "run: 0%, 0/10,000 records, 0/2 jobs ended\n",
        "run: 25%, 2,500/10,000 records, 10 without an answer, 0/2 jobs ended, 1 open, 2,500/min, 1 to 5 min left\n",
        "run: 25%, 2,500/10,000 records, 10 without an answer, 0/2 jobs ended, 1 open, 1,300/min, 3 to 10 min left, " +
        "waiting (quota)\n",
        "run: 50%, 5,000/10,000 records, 10 without an answer, 1/2 jobs ended, 1,700/min\n",
        "run: 50%, 5,000/10,000 records, 10 without an answer, 1/2 jobs ended, 1 open, 1,300/min, " +
        "30 s to 10 min left\n",
        "run: 100%, 10,000/10,000 records, 10 without an answer, 2/2 jobs ended, 0 collected, collecting\n",
        "run: 10,000 rows: 9,990 succeeded, 10 failed; 2 jobs\n"
      ])
    }))

  it.effect("draws a bar again and again in a terminal, and leaves a line of what is finished", () =>
    Effect.gen(function*() {
      const written = yield* draw({ isTTY: true, columns: 120 }, whole)
      assert.isTrue(written.every((text) => text === "\n" || /^\r[^\r\n]*\u001b\[K\n?$/.test(text)))
      const frames = written.filter((text) => text.includes("%")).map((text) => text.slice(1, text.indexOf("\u001b")))
      assert.deepStrictEqual(frames, [
        "run [>                             ] 0% 0/10,000 records, 0/2 jobs ended",
        "run [>                             ] 0% 0/10,000 records, 0/2 jobs ended, 1 open",
        "run [===>          ] 25% 2,500/10,000 records, 10 without an answer, " +
        "0/2 jobs ended, 1 open, 2,500/min, 1 to 5 min left",
        "run [===>           ] 25% 2,500/10,000 records, 10 without an answer, " +
        "0/2 jobs ended, 3 to 10 min left, waiting (quota)",
        "run [===============>              ] 50% 5,000/10,000 records, 10 without an answer, " +
        "1/2 jobs ended, 1,700/min",
        "run [=====>    ] 50% 5,000/10,000 records, 10 without an answer, " +
        "1/2 jobs ended, 1 open, 1,300/min, 30 s to 10 min left",
        "run [=======================] 100% 10,000/10,000 records, 10 without an answer, " +
        "2/2 jobs ended, 0 collected, collecting",
        "run [=======================] 100% 10,000/10,000 records, 10 without an answer, " +
        "2/2 jobs ended, 1 collected, collecting",
        "run [=======================] 100% 10,000/10,000 records, 10 without an answer, " +
        "2/2 jobs ended, 2 collected, collecting"
      ])
      assert.deepStrictEqual(screenOf(written), [
        "run: prepared 10,000 records, 2 jobs",
        "run: 10,000 rows: 9,990 succeeded, 10 failed; 2 jobs",
        ""
      ])
    }))

  it.effect("leaves out what matters least where the terminal is narrow, and is never wider", () =>
    Effect.gen(function*() {
      const long = "a-run-with-a-long-name-of-40-characters-x"
      const events: ReadonlyArray<Timed> = [
        [0, awaiting(10_000, 2, long)],
        [0, submitted("1-000000", long)],
        [60_000, changed("1-000000", 2500, 10, long)]
      ]
      const lastAt = Effect.fnUntraced(function*(columns: number) {
        const screen = screenOf(yield* draw({ isTTY: true, columns }, events))
        return screen.at(-2) ?? ""
      })
      const widths = [200, 120, 100, 80, 60, 40, 30, 20, 12, 5, 2, 1]
      const shown = yield* Effect.forEach(widths, lastAt)
      shown.forEach((line, i) => assert.isBelow(line.length, widths[i]!, line))
      assert.deepStrictEqual(shown, [
        "a-run-with-a-long-name-of-40-characters-x [=======>                      ] 25% 2,500/10,000 records, " +
        "10 without an answer, 0/2 jobs ended, 1 open, 2,500/min, 1 to 5 min left",
        "a-run-with-a-long-name-of-40-characters-x [==>        ] 25% 2,500/10,000 records, 10 without an answer, " +
        "1 to 5 min left",
        "a-run-with-a-long-name-of-40-characters-x [===>         ] 25% 2,500/10,000 records, 1 to 5 min left",
        "a-run-with-a-long-name-of-40-chara... 25% 2,500/10,000 records, 1 to 5 min left",
        "a-run-with-a-l... 25% 2,500/10,000 records, 1 to 5 min left",
        "a-run-with-... 25% 2,500/10,000 records",
        "25% 2,500/10,000 records",
        "25%",
        "25%",
        "25%",
        "2",
        ""
      ])
    }))

  it.effect("draws ten times a second at most, and always what came last", () =>
    Effect.gen(function*() {
      const many = Array.from({ length: 1000 }, (_, i): Timed => [1, prepared(i + 1, 0, false)])
      const written = yield* draw({ isTTY: true }, many)
      assert.isAtMost(written.length, 13)
      assert.isAtLeast(written.length, 10)
      assert.deepStrictEqual(screenOf(written), ["run: preparing, 1,000 records, 0 jobs", ""])
    }))

  it.effect("writes nothing where nothing is another", () =>
    Effect.gen(function*() {
      const same = Array.from({ length: 50 }, (): Timed => [200, prepared(7, 1, false)])
      assert.lengthOf(yield* draw({ isTTY: true }, same), 2)
    }))

  it.effect("writes lines more rarely the longer it takes", () =>
    Effect.gen(function*() {
      const day = Array.from({ length: 24 * 60 * 6 }, (_, i): Timed => [10_000, changed("1-000000", i)])
      const written = yield* draw({}, day)
      assert.isAtMost(written.length, 24 * 60 + 50)
      assert.isAtLeast(written.length, 24 * 60 - 10)
    }))

  it.effect("draws one bar for all runs that go on, and tells attempts apart", () =>
    Effect.gen(function*() {
      const events: ReadonlyArray<Timed> = [
        [0, awaiting(10_000, 2)],
        [0, awaiting(10_000, 2, "other")],
        [1000, submitted("1-000000", "other")],
        [60_000, changed("1-000000", 5000, 0, "other")]
      ]
      const both = yield* draw({ isTTY: true, columns: 100 }, events)
      assert.deepStrictEqual(screenOf(both), [
        "2 runs [=======>                      ] 25% 5,000/20,000 records, 0/4 jobs ended, 1 open, 5,000/min",
        ""
      ])
      const next: ReadonlyArray<Timed> = [[0, finished()], [0, awaiting(300, 1, "other", 2)]]
      const screen = screenOf(yield* draw({ isTTY: true, columns: 100 }, [...events, ...next]))
      assert.deepStrictEqual(screen, [
        "run: 10,000 rows: 9,990 succeeded, 10 failed; 2 jobs",
        "other (attempt 2) [>                             ] 0% 0/300 records, 0/1 jobs ended",
        ""
      ])
    }))

  it("draws a bar in a terminal that can, unless it is asked not to", () => {
    assert.isTrue(ProgressLine.drawsBar(true, { TERM: "xterm", CI: "false", NO_COLOR: "" }))
    assert.isFalse(ProgressLine.drawsBar(false, {}))
    for (const env of [{ NO_COLOR: "1" }, { CI: "true" }, { TERM: "dumb" }]) {
      assert.isFalse(ProgressLine.drawsBar(true, env))
    }
  })

  it.effect("says of runs that were interrupted how they are taken up again", () =>
    Effect.gen(function*() {
      const events: ReadonlyArray<Timed> = [
        [0, awaiting(10_000, 2)],
        [0, submitted("1-000000")],
        [0, prepared(100, 1, true, "other")],
        [0, prepared(100, 1, true, "done")],
        [0, finished("done")]
      ]
      const how = [
        "run run goes on at Bedrock with 1 open job; take it up again with resume(\"run\")",
        "run other is left where it is; take it up again with resume(\"other\")"
      ]
      const interrupted = Exit.failCause(Cause.interrupt(1))
      const screen = screenOf(yield* draw({ isTTY: true, columns: 80 }, events, interrupted))
      assert.deepStrictEqual(screen.slice(-3), [...how, ""])
      assert.match(screen.at(-4)!, /^run \[/)
      const lines = yield* draw({}, events, interrupted)
      assert.deepStrictEqual(lines.slice(-2), how.map((line) => `${line}\n`))
      assert.notInclude((yield* draw({}, events)).join(""), "resume")
    }))

  const interrupting = fileURLToPath(new URL("rig/interrupting.ts", import.meta.url))
  const modes = [["by itself", "SIGINT"], ["under a runner that hears the signal", null]] as const

  it.live.each(modes)("says once at Ctrl-C how to go on, and ends as it would have: %s", ([, signal]) =>
    Effect.promise(async () => {
      const child = spawn(process.execPath, [interrupting, ...(signal === null ? ["runner"] : [])], {
        stdio: ["ignore", "pipe", "pipe"]
      })
      let text = ""
      child.stderr.on("data", (data: Buffer) => (text += data.toString()))
      child.stdout.once("data", () => child.kill("SIGINT"))
      const [code, killedBy] = await once(child, "close")
      assert.deepStrictEqual([code, killedBy], signal === null ? [130, null] : [null, signal], text)
      assert.deepStrictEqual(text.split("\n").slice(-2), [
        "run run goes on at Bedrock with 1 open job; take it up again with resume(\"run\")",
        ""
      ])
      assert.lengthOf(text.match(/resume/g) ?? [], 1)
    }))
})
