import { assert, describe, it } from "@effect/vitest"
import { Duration } from "effect"
import { cutOff, deadlineOf } from "../../src/internal/Deadline.ts"

const minutes = (count: number) => count * 60_000
const hours = (count: number) => count * 3_600_000
const from = Date.UTC(2026, 10, 23)

describe("cutOff", () => {
  it("is ten minutes before a deadline that is far enough away", () => {
    const deadline = from + hours(10)
    assert.strictEqual(cutOff({ from, deadline, remaining: 1e6, reserve: null }), deadline - minutes(10))
  })

  it("takes no more than a tenth of the time", () => {
    const deadline = from + minutes(20)
    assert.strictEqual(cutOff({ from, deadline, remaining: 0, reserve: null }), deadline - minutes(2))
    const reserve = { perCallMillis: 5000, concurrency: 1 }
    assert.strictEqual(cutOff({ from, deadline: from + hours(30), remaining: 1e9, reserve }), from + hours(27))
  })

  it("leaves time for a call for each record that remains, and moves on as they become fewer", () => {
    const deadline = from + hours(100)
    const reserve = { perCallMillis: 6_000, concurrency: 20 }
    const at = (remaining: number) => cutOff({ from, deadline, remaining, reserve })
    assert.strictEqual(at(10_000), deadline - minutes(60))
    assert.strictEqual(at(2_000), deadline - minutes(20))
    assert.strictEqual(at(0), deadline - minutes(10))
  })

  it("is the deadline itself when that is past", () => {
    for (const deadline of [from, from - 1, from - hours(1)]) {
      assert.strictEqual(cutOff({ from, deadline, remaining: 5, reserve: null }), deadline)
    }
  })
})

describe("deadlineOf", () => {
  it("counts durations from the given moment, and takes dates as they are", () => {
    assert.strictEqual(deadlineOf("2 hours", from), from + hours(2))
    assert.strictEqual(deadlineOf(Duration.minutes(3), from), from + minutes(3))
    assert.strictEqual(deadlineOf(1500, from), from + 1500)
    assert.strictEqual(deadlineOf(0, from), from)
    assert.strictEqual(deadlineOf(new Date(12_345), from), 12_345)
    assert.strictEqual(deadlineOf(Duration.infinity, from), Infinity)
  })

  it("is no number for what is no moment", () => {
    for (const wrong of [new Date("soon"), "tomorrow", NaN, -1, null, true, () => 1]) {
      assert.isNaN(deadlineOf(wrong as never, from), String(wrong))
    }
  })
})
