import { assert, describe, it } from "@effect/vitest"
import { Metrics } from "../src/index.ts"

describe("Metrics", () => {
  it("go by the names that they have in CloudWatch", () => {
    for (const [key, metric] of Object.entries(Metrics)) assert.strictEqual(metric.name, key)
  })
})
