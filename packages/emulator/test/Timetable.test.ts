import { assert, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import { Timetable } from "../src/Timetable.ts"

it.prop(
  "gives items back by time, and those of the same time as they came",
  {
    times: Arbitrary.array(
      Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 20 }))),
      { maxLength: 40 }
    )
  },
  ({ times }) => {
    const timetable = new Timetable<{ readonly at: number; readonly order: number }>()
    const items = times.map((at, order) => ({ at, order }))
    for (const item of items) timetable.add(item.at, item)
    const early = items.filter((item) => item.at <= 10).sort((a, b) => a.at - b.at || a.order - b.order)
    for (const item of early) assert.strictEqual(timetable.takeDue(10), item)
    assert.isUndefined(timetable.takeDue(10))
    const late = items.filter((item) => item.at > 10).sort((a, b) => a.at - b.at || a.order - b.order)
    assert.strictEqual(timetable.nextAt, late[0]?.at ?? Number.POSITIVE_INFINITY)
    for (const item of late) assert.strictEqual(timetable.takeDue(Number.POSITIVE_INFINITY), item)
  }
)
