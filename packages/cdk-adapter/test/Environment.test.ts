import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { read } from "../src/runtime/Environment.ts"

const deployed = { BUCKET: "bucket", SERVICE_ROLE_ARN: "arn:aws:iam::123456789012:role/bedrock", TABLE: "table" }

it.effect("limits of the environment are those of inputs that have none", () =>
  Effect.gen(function*() {
    const limits = { MAX_TOTAL_RECORDS: "150", MAX_RECORDS_PER_JOB: "100" }
    const { defaults } = yield* read({ ...deployed, ...limits })
    assert.deepInclude(defaults, { maxRecordsTotal: 150, maxRecordsPerJob: 100 })
    const none = yield* read({ ...deployed, MAX_TOTAL_RECORDS: "", MAX_RECORDS_PER_JOB: undefined })
    assert.deepInclude(none.defaults, { maxRecordsTotal: null, maxRecordsPerJob: 1000 })
  }))

it.effect("a limit of the environment that is none is told by its own name", () =>
  Effect.gen(function*() {
    for (const name of ["MAX_TOTAL_RECORDS", "MAX_RECORDS_PER_JOB"]) {
      for (const value of ["0", "-5", "1.5", "many"]) {
        const error = yield* Effect.flip(read({ ...deployed, [name]: value }))
        assert.include(error.message, name)
      }
    }
  }))
