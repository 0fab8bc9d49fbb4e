import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import {
  BatchError,
  Damaged,
  InvalidColumns,
  InvalidOption,
  InvalidSource,
  OutOfTime,
  type Reason,
  Refused,
  RunConflict,
  Unavailable,
  Undecided
} from "../src/BatchError.ts"

const message = "what happened"
const reasons: ReadonlyArray<readonly [Reason, boolean]> = [
  [new InvalidOption({ message, path: "timeoutHours" }), false],
  [new InvalidColumns({ message, missing: ["a"], clashing: [], available: ["b"], nearest: { a: "b" } }), false],
  [new InvalidSource({ message, problem: "malformed", uri: null, row: 3, column: "a" }), false],
  [new RunConflict({ message, runId: "r", problem: "different", differs: ["prompt"] }), false],
  [new OutOfTime({ message, runId: "r", records: 3 }), false],
  [new Refused({ message, code: "ValidationException" }), false],
  [new Damaged({ message, key: "r/run.json" }), false],
  [new Unavailable({ message, code: "quota", retryAfterMillis: null }), true],
  [new Undecided({ message, job: "1-000000" }), true]
]
const errorOf = (reason: Reason) => new BatchError({ module: "submit", method: "submit", reason })

describe("BatchError", () => {
  it("says where and what, and whether the same call may succeed later", () => {
    for (const [reason, retryable] of reasons) {
      const error = errorOf(reason)
      assert.strictEqual(error.message, "submit.submit: what happened")
      assert.strictEqual(error.isRetryable, retryable, reason._tag)
      assert.strictEqual(error.cause, reason)
      assert.instanceOf(error, Error)
      assert.include(String(error.stack), "what happened")
    }
  })

  it("keeps the cause of its reason", () => {
    const cause = new TypeError("below")
    assert.strictEqual(errorOf(new Refused({ message, code: "x", cause })).reason.cause, cause)
  })

  it.effect("is JSON and back, reason and cause included", () =>
    Effect.gen(function*() {
      const codec = Schema.toCodecJson(BatchError)
      for (const [reason] of reasons) {
        const json: unknown = JSON.parse(JSON.stringify(yield* Schema.encodeEffect(codec)(errorOf(reason))))
        const back = yield* Schema.decodeUnknownEffect(codec)(json)
        assert.instanceOf(back, BatchError)
        assert.deepStrictEqual(back.reason, reason)
        assert.strictEqual(back.message, errorOf(reason).message)
      }
      const cause = new Refused({ message, code: "x", cause: new TypeError("below") })
      const back = yield* Schema.decodeUnknownEffect(codec)(yield* Schema.encodeEffect(codec)(errorOf(cause)))
      assert.include(String(back.reason.cause), "below")
    }))

  it.effect("is caught by its reason, and retried by what it says of itself", () =>
    Effect.gen(function*() {
      let calls = 0
      const failing = (reason: Reason) =>
        Effect.suspend((): Effect.Effect<number, BatchError> => {
          calls++
          return Effect.fail(errorOf(reason))
        })
      const [conflict, unavailable] = [reasons[3]![0], reasons[7]![0]]
      const caught = yield* failing(conflict).pipe(
        Effect.catchReason("BatchError", "RunConflict", (reason) => Effect.succeed(reason.differs))
      )
      assert.deepStrictEqual(caught, ["prompt"])
      calls = 0
      yield* Effect.flip(Effect.retry(failing(unavailable), { times: 2, while: (error) => error.isRetryable }))
      assert.strictEqual(calls, 3)
      yield* Effect.flip(Effect.retry(failing(conflict), { times: 2, while: (error) => error.isRetryable }))
      assert.strictEqual(calls, 4)
    }))
})
