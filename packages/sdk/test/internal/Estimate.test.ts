import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import { type Evidence, steps, timeLeft } from "../../src/internal/Estimate.ts"

const minute = 60_000
const hour = 60 * minute

const nothing: Evidence = {
  remaining: 1000,
  waiting: 0,
  open: [minute],
  observed: 0,
  observedMillis: minute,
  recent: null,
  ended: 0,
  endedMillis: 0,
  spreadMillis: 0
}

const upTo = (most: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: most }))
const evidence = Arbitrary.schema(Schema.Struct({
  remaining: upTo(10_000_000),
  waiting: upTo(10_000),
  open: Schema.Array(upTo(7 * 24 * hour)),
  observed: upTo(10_000_000),
  observedMillis: upTo(7 * 24 * hour),
  recent: Schema.NullOr(upTo(1_000_000)),
  ended: upTo(1000),
  endedMillis: upTo(1_000_000_000),
  spreadMillis: upTo(100_000_000)
}))
const more = Arbitrary.schema(upTo(1_000_000))
const runs = { arbitrary: { runs: 500 } }

/** Unknown is later than any time: what can only get longer may become unknown, and not the other way. */
const isNoEarlier = (one: Evidence, other: Evidence): boolean => {
  const [a, b] = [timeLeft(one), timeLeft(other)]
  return b === null || (a !== null && a.from <= b.from && a.to <= b.to)
}

describe("Estimate", () => {
  it("knows nothing where no record was processed and no job has ended", () => {
    assert.isNull(timeLeft(nothing))
    assert.isNull(timeLeft({ ...nothing, recent: 0 }))
    assert.isNull(timeLeft({ ...nothing, open: [], observed: 10, ended: 3, endedMillis: hour }))
  })

  it("is at the end when nothing is open and nothing waits", () => {
    assert.deepStrictEqual(timeLeft({ ...nothing, remaining: 0, open: [] }), { from: 0, to: 0 })
  })

  it("reckons by the pace, and is less sure at the beginning", () => {
    // 1,000 records an hour.
    const early = timeLeft({ ...nothing, observed: 10, observedMillis: 0.01 * hour, remaining: 10_000 })
    assert.deepStrictEqual(early, { from: 5 * hour, to: 24 * hour })
    const late = timeLeft({ ...nothing, observed: 90_000, observedMillis: 90 * hour, remaining: 10_000 })
    assert.deepStrictEqual(late, { from: 8 * hour, to: 12 * hour })
  })

  it("takes the pace of late into account where it is another", () => {
    const range = timeLeft({ ...nothing, observed: 9000, observedMillis: 9 * hour, remaining: 1000, recent: 1000 / 5 })
    assert.deepStrictEqual(range, { from: 3 * minute, to: 1.5 * hour })
  })

  it("reckons by jobs where there are no counters", () => {
    // An hour each: two are half done, four wait.
    const open = [hour / 2, hour / 2]
    const range = timeLeft({ ...nothing, open, waiting: 4, ended: 4, endedMillis: 4 * hour })
    assert.deepStrictEqual(range, { from: 2 * hour, to: 5 * hour })
  })

  it("leaves time for one long job at the end, the longer the more jobs differ", () => {
    const open = [hour / 2, hour / 2]
    const range = timeLeft({ ...nothing, open, waiting: 4, ended: 4, endedMillis: 4 * hour, spreadMillis: hour })
    assert.deepStrictEqual(range, { from: 2 * hour, to: 8 * hour })
    const last = timeLeft({ ...nothing, open: [hour / 2], ended: 100, endedMillis: 100 * hour, spreadMillis: hour })
    assert.deepStrictEqual(last, { from: 20 * minute, to: 3 * hour })
  })

  it("expects of a job that takes longer than others that it will for a while yet", () => {
    const range = timeLeft({ ...nothing, open: [8 * hour], ended: 100, endedMillis: 100 * hour })
    assert.deepStrictEqual(range, { from: 1.5 * hour, to: 3 * hour })
  })

  it.prop("gives round numbers in their order, or nothing", { evidence }, ({ evidence }) => {
    const range = timeLeft(evidence)
    if (range === null) return
    assert.isTrue(steps.includes(range.from) && steps.includes(range.to) && range.from <= range.to)
  }, runs)

  it.prop("is no shorter for more records", { evidence, more }, ({ evidence, more }) => {
    assert.isTrue(isNoEarlier(evidence, { ...evidence, remaining: evidence.remaining + more }))
  }, runs)

  it.prop("is no shorter for more jobs that wait", { evidence, more }, ({ evidence, more }) => {
    assert.isTrue(isNoEarlier(evidence, { ...evidence, waiting: evidence.waiting + more }))
  }, runs)

  it.prop("is no longer when more was processed in the same time", { evidence, more }, ({ evidence, more }) => {
    const { observed, recent } = evidence
    if (observed === 0) return
    const faster = { ...evidence, observed: observed + more, recent: recent ? recent + more : recent }
    assert.isTrue(isNoEarlier(faster, evidence))
  }, runs)
})
