import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import * as Emulator from "../src/Emulator.ts"
import * as Storage from "../src/Storage.ts"
import { answers, folder, lines, put, request, text } from "./Fixture.ts"

it.effect("runs a job through its states by the clock and writes shuffled output and a manifest", () =>
  Effect.gen(function*() {
    const storage = Storage.folder(yield* folder)
    yield* put(storage, "s3://bucket/in/a.jsonl", lines(150))
    yield* put(storage, "s3://bucket/in/nested/b.jsonl", lines(50))
    yield* put(storage, "s3://bucket/in/notes.txt", "not a record")
    const emulator = yield* Emulator.make({
      storage,
      seed: "test",
      timing: { submitted: "10 seconds", validating: "1 minute", queued: "5 minutes", running: "10 minutes" }
    })
    const { jobArn } = yield* emulator.create(request())
    const id = jobArn.slice(-12)
    const seen: Array<string> = []
    for (let minute = 0; minute < 20; minute++) {
      const job = yield* emulator.get(id)
      if (seen.at(-1) !== job.status) seen.push(job.status)
      if (job.status === "InProgress" && minute === 12) {
        assert.strictEqual(job.totalRecordCount, 200)
        assert.isTrue(job.processedRecordCount > 0 && job.processedRecordCount < 200)
      }
      yield* TestClock.adjust("1 minute")
    }
    assert.deepStrictEqual(seen, ["Submitted", "Validating", "Scheduled", "InProgress", "Completed"])
    const out = yield* answers(storage, `s3://bucket/out/${id}/a.jsonl.out`)
    assert.deepStrictEqual(
      out.map((line) => line.recordId).sort(),
      Array.from({ length: 150 }, (_, index) => `r${index}`).sort()
    )
    assert.notStrictEqual(out[0].recordId, "r0")
    assert.strictEqual((yield* answers(storage, `s3://bucket/out/${id}/nested/b.jsonl.out`)).length, 50)
    const manifest = JSON.parse(yield* text(storage, `s3://bucket/out/${id}/manifest.json.out`))
    assert.strictEqual(manifest.successRecordCount, 200)
    const final = yield* emulator.get(jobArn)
    assert.strictEqual(final.modelId, "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-haiku-4-5-20251001-v1:0")
    assert.strictEqual(final.endTime, final.lastModifiedTime)
    assert.deepInclude(yield* emulator.stats, { jobsCreated: 1, recordsProcessed: 200 })
  }))
