import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import type { Event } from "../src/Progress.ts"
import * as ProgressLine from "../src/ProgressLine.ts"

const prepared = (records: number, jobs: number, done: boolean): Event =>
  ({ _tag: "Prepared", runId: "run", records, jobs, done })
const changed = (job: string, status: string, processed: number): Event =>
  ({ _tag: "JobChanged", runId: "run", job, status, records: 5000, processed })
const waiting: Event = { _tag: "Waiting", runId: "run", job: "1-000001", why: "quota", millis: 60_000 }
const collected = (job: string): Event => ({ _tag: "Collected", runId: "run", job, records: 5000 })

/** Sends events with so many milliseconds before each, and gives what was written. */
const draw = Effect.fnUntraced(
  function*(output: Omit<ProgressLine.Output, "write">, events: ReadonlyArray<readonly [number, Event]>) {
    const written: Array<string> = []
    const listener = ProgressLine.make({ ...output, write: (text) => written.push(text) })
    for (const [millis, event] of events) {
      yield* TestClock.adjust(millis)
      yield* listener(event)
    }
    return written
  }
)

const whole: ReadonlyArray<readonly [number, Event]> = [
  [0, prepared(5000, 1, false)],
  [2000, prepared(10_000, 2, true)],
  [2000, changed("1-000000", "Submitted", 0)],
  [10_000, changed("1-000000", "InProgress", 2500)],
  [2000, waiting],
  [8000, changed("1-000000", "Completed", 5000)],
  [2000, changed("1-000001", "Failed", 0)],
  [2000, collected("1-000000")],
  [1, collected("1-000001")]
]

describe("ProgressLine", () => {
  it.effect("writes a line of what is done where there is no terminal", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* draw({}, whole), [
        "run: prepared 5,000 records, 1 jobs\n",
        "run: 0/10,000 records, 0/2 jobs done, 0 open, 0 collected, 0 records/s\n",
        "run: 0/10,000 records, 0/2 jobs done, 1 open, 0 collected, 0 records/s\n",
        "run: 2,500/10,000 records, 0/2 jobs done, 1 open, 0 collected, 250 records/s\n",
        "run: 2,500/10,000 records, 0/2 jobs done, 1 open, 0 collected, 208 records/s, waiting (quota)\n",
        "run: 5,000/10,000 records, 1/2 jobs done, 0 open, 0 collected, 250 records/s\n",
        "run: 10,000/10,000 records, 2/2 jobs done, 0 open, 0 collected, 455 records/s\n",
        "run: 10,000/10,000 records, 2/2 jobs done, 0 open, 1 collected, 417 records/s\n",
        "run: 10,000/10,000 records, 2/2 jobs done, 0 open, 2 collected, 417 records/s\n"
      ])
    }))

  it.effect("writes every two seconds at most, and always at the end of a phase", () =>
    Effect.gen(function*() {
      const many = Array.from({ length: 100 }, (_, i) => [10, prepared(i, 0, false)] as const)
      const written = yield* draw({ isTTY: false }, [...many, [0, prepared(100, 3, true)]])
      assert.lengthOf(written, 2)
      assert.include(written[1], "0/100 records")
    }))

  it.effect("draws one line again in a terminal, ten times a second at most, no longer than it is wide", () =>
    Effect.gen(function*() {
      const many = Array.from({ length: 100 }, (_, i) => [10, prepared(i, 0, false)] as const)
      const written = yield* draw({ isTTY: true, columns: 21 }, [...many, [0, prepared(100, 3, true)], [100, waiting]])
      assert.strictEqual(written[0], "run: prepared 0 reco")
      assert.strictEqual(written[1], "\r\u001b[2Krun: prepared 10 rec")
      assert.lengthOf(written, 12)
      assert.strictEqual(written[10], "\r\u001b[2Krun: 0/100 records, \n")
      assert.isFalse(written[11]?.startsWith("\r"), "a finished phase is not drawn over")
    }))

  it.effect("follows several runs at once", () =>
    Effect.gen(function*() {
      const other = { ...prepared(7, 1, true), runId: "other" }
      const later = changed("1-000000", "InProgress", 3)
      const written = yield* draw({}, [[0, prepared(5, 1, true)], [0, other], [3000, later]])
      assert.deepStrictEqual(written.map((line) => line.split(",")[0]), [
        "run: 0/5 records",
        "other: 0/7 records",
        "run: 3/5 records"
      ])
    }))
})
