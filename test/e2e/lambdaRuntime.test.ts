import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { LambdaFunction } from "../rig/LambdaRuntime.ts"

const source = `
import * as fs from "node:fs"
import { tmpdir } from "node:os"
let calls = 0
export const handler = async (event, context) => {
  calls++
  console.log("called with", Object.keys(event).join())
  if (event.fail) throw Object.assign(new Error("not today"), { name: "CapacityFull" })
  if (event.exit) process.exit(3)
  if (event.hang) await new Promise(() => setInterval(() => {}, 1000))
  if (event.large) return "x".repeat(7_000_000)
  fs.writeFileSync(tmpdir() + "/mine", "")
  const { functionName: name } = context
  return { calls, table: process.env.TABLE, left: context.getRemainingTimeInMillis(), name, folder: tmpdir() }
}
`

const withFunction = async (text: string, test: (fn: LambdaFunction, logs: Array<string>) => Promise<void>) => {
  const directory = fs.mkdtempSync(join(tmpdir(), "function-"))
  fs.writeFileSync(join(directory, "index.mjs"), text)
  const logs: Array<string> = []
  const fn = new LambdaFunction({
    name: "f",
    arn: "arn:aws:lambda:us-east-1:123456789012:function:f",
    directory,
    handler: "index.handler",
    timeoutMillis: 1500,
    memoryMegabytes: 256,
    environment: { TABLE: "jobs" },
    concurrency: 2,
    onLog: (text) => void logs.push(text)
  })
  try {
    await test(fn, logs)
  } finally {
    await fn.close()
    fs.rmSync(directory, { recursive: true })
  }
}

describe.concurrent("the rig's Lambda functions", () => {
  it("are processes that keep their state from one event to the next", () =>
    withFunction(source, async (fn, logs) => {
      const first = await fn.invoke({ a: 1 })
      const second = await fn.invoke({ a: 1 })
      assert.isTrue(first.ok && second.ok)
      if (!first.ok || !second.ok) return
      assert.deepInclude(first.payload, { calls: 1, table: "jobs", name: "f" })
      assert.deepInclude(second.payload, { calls: 2 })
      const { folder, left } = first.payload as { left: number; folder: string }
      assert.isTrue(left > 0 && left <= 1500)
      assert.isTrue(fs.existsSync(join(folder, "mine")))
      assert.strictEqual(fn.tally.sandboxes, 1)
      assert.include(logs.join(""), "called with a")
    }))

  it("fail by the name of what they throw, and live on", () =>
    withFunction(source, async (fn) => {
      const failed = await fn.invoke({ fail: true })
      assert.isFalse(failed.ok)
      if (!failed.ok) assert.deepInclude(failed.error, { errorType: "CapacityFull", errorMessage: "not today" })
      assert.isTrue((await fn.invoke({})).ok)
      assert.deepInclude(fn.tally, { invocations: 2, errors: 1, sandboxes: 1 })
    }))

  it.each([
    ["Runtime.ExitError", { exit: true }],
    ["Sandbox.Timedout", { hang: true }],
    ["Function.ResponseSizeTooLarge", { large: true }]
  ])("fail with %s as Lambda's do, and answer the next event", (errorType, event) =>
    withFunction(source, async (fn) => {
      const failed = await fn.invoke(event)
      assert.strictEqual(failed.ok ? "" : failed.error.errorType, errorType)
      const next = await fn.invoke({})
      assert.isTrue(next.ok)
    }))

  it("fail the event that they were started for when they cannot be loaded", () =>
    withFunction("throw new RangeError('no start')", async (fn) => {
      const answers = await Promise.all([fn.invoke({}), fn.invoke({})])
      for (const answer of answers) {
        assert.isFalse(answer.ok)
        if (!answer.ok) assert.deepInclude(answer.error, { errorType: "RangeError", errorMessage: "no start" })
      }
    }))

  it("work on so many events at once as they may", () =>
    withFunction(source, async (fn) => {
      const answers = await Promise.all(Array.from({ length: 20 }, () => fn.invoke({})))
      assert.isTrue(answers.every(({ ok }) => ok))
      assert.isAtMost(fn.tally.sandboxes, 2)
    }))
})
