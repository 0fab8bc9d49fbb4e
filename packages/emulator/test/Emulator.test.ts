import { assert, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { TestClock } from "effect/testing"
import * as Emulator from "../src/Emulator.ts"
import * as Storage from "../src/Storage.ts"
import { answers, converse, emulate, folder, lines, put, request, text } from "./Fixture.ts"

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
    assert.strictEqual(
      final.modelId,
      "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-haiku-4-5-20251001-v1:0"
    )
    assert.strictEqual(final.endTime, final.lastModifiedTime)
    assert.deepInclude(yield* emulator.stats, { jobsCreated: 1, recordsProcessed: 200 })
  }))

it.effect("expires a job that could not begin in time, and cuts one short that could not end in time", () =>
  Effect.gen(function*() {
    const waiting = yield* emulate({ timing: { queued: "40 hours" } })
    const expired = yield* waiting.after("23 hours")
    assert.strictEqual(expired.status, "Scheduled")
    yield* TestClock.adjust("1 hour")
    const later = yield* waiting.emulator.get(expired.jobArn)
    assert.strictEqual(later.status, "Expired")
    assert.strictEqual(later.lastModifiedTime, later.jobExpirationTime)
    assert.isTrue(Date.parse(later.endTime!) - Date.parse(later.submitTime) < 600_000)
    const patient = yield* waiting.after("41 hours", { timeoutDurationInHours: 48 })
    assert.strictEqual(patient.status, "Completed")

    const early = yield* emulate({ timing: { queued: "40 hours" }, faults: { expireJob: 1 } })
    const punctual = yield* early.after("25 hours")
    assert.deepInclude(punctual, { status: "Expired", lastModifiedTime: punctual.jobExpirationTime })
    const late = yield* emulate({ timing: { validating: "30 hours" } })
    const found = yield* late.after("31 hours")
    assert.strictEqual(found.status, "Expired")
    assert.strictEqual(found.lastModifiedTime, found.endTime)

    const slow = yield* emulate({ timing: { submitted: 0, validating: 0, queued: 0, running: "96 hours" } })
    const partial = yield* slow.after("25 hours")
    assert.deepInclude(partial, { status: "PartiallyCompleted", totalRecordCount: 200, processedRecordCount: 50 })
    const lines = yield* slow.output(partial)
    assert.strictEqual(lines.filter((line) => line.error?.expired === true).length, 150)
  }))

it.effect("takes three open jobs of the custom models of a base, beside a hundred of the base itself", () =>
  Effect.gen(function*() {
    const { emulator } = yield* emulate()
    const model = "amazon.titan-embed-image-v1"
    const custom = (id: string) => `arn:aws:bedrock:us-east-1:123456789012:custom-model/${model}:0/${id}`
    for (const id of ["aaaaaaaaaaaa", "aaaaaaaaaaaa", "bbbbbbbbbbbb"]) {
      yield* emulator.create(request({ modelId: custom(id) }))
    }
    const full = yield* Effect.flip(emulator.create(request({ modelId: custom("bbbbbbbbbbbb") })))
    assert.strictEqual(full.name, "ServiceQuotaExceededException")
    assert.match(full.message, /quota of: 3$/)
    for (let index = 0; index < 100; index++) yield* emulator.create(request({ modelId: model }))
    assert.match((yield* Effect.flip(emulator.create(request({ modelId: model })))).message, /quota of: 100$/)
  }))

it.effect("stops a job in every open state, and keeps what was run", () =>
  Effect.gen(function*() {
    const { emulator, output, after } = yield* emulate()
    const stops = [
      [0, "Submitted", 0],
      ["90 seconds", "Validating", 0],
      ["150 seconds", "Scheduled", 0],
      ["8 minutes", "InProgress", 100]
    ] as const
    for (const [time, status, processed] of stops) {
      const open = yield* after(time)
      assert.strictEqual(open.status, status)
      yield* emulator.stop(open.jobArn)
      assert.strictEqual((yield* emulator.get(open.jobArn)).status, "Stopping")
      yield* emulator.stop(open.jobArn)
      yield* TestClock.adjust("1 minute")
      const stopped = yield* emulator.get(open.jobArn)
      assert.deepInclude(stopped, { status: "Stopped", processedRecordCount: processed })
      assert.strictEqual((yield* output(stopped)).length, processed)
      const error = yield* Effect.flip(emulator.stop(open.jobArn))
      assert.strictEqual(error.name, "ConflictException")
    }
    assert.deepStrictEqual((yield* emulator.stats).open, { "anthropic.claude-haiku-4-5-20251001-v1:0": 0 })
  }))

it.effect("fails jobs whose input breaks a rule, after it has accepted them", () =>
  Effect.gen(function*() {
    const { after, storage } = yield* emulate(
      { limits: { maxRecords: 300, maxFileRecords: 250, maxFileBytes: 60_000, maxJobBytes: 100_000 } }
    )
    const messageFor = Effect.fnUntraced(function*(name: string, text: string | ReadonlyArray<string>) {
      for (const [index, part] of (typeof text === "string" ? [text] : text).entries()) {
        yield* put(storage, `s3://bucket/${name}/${index}.jsonl`, part)
      }
      const job = yield* after("1 hour", { inputDataConfig: { s3InputDataConfig: { s3Uri: `s3://bucket/${name}/` } } })
      assert.strictEqual(job.status, "Failed", name)
      assert.strictEqual(job.totalRecordCount, 0)
      return job.message!
    })
    assert.match(yield* messageFor("few", lines(2)), /contains less records \(2\) than the required minimum of: 100$/)
    yield* put(storage, "s3://bucket/none/notes.txt", "no records")
    assert.match(yield* messageFor("none", []), /No JSONL files/)
    assert.match(yield* messageFor("blank", "\n\n"), /less records \(0\)/)
    assert.match(yield* messageFor("file", lines(251)), /more records \(251\) than the allowed maximum of: 250/)
    assert.match(
      yield* messageFor("job", [lines(160), lines(160)]),
      /more records \(320\) than the allowed maximum of: 300/
    )
    assert.match(
      yield* messageFor("large", lines(100, () => converse("x".repeat(1000)))),
      /larger \(\d+ bytes\) than the allowed maximum of: 60000/
    )
    assert.match(
      yield* messageFor("larger", Array(2).fill(lines(100, () => converse("x".repeat(420))))),
      /larger .* maximum of: 100000/
    )
    assert.match(
      yield* messageFor("text", `${lines(3)}plain text\n`),
      /^Line 4 of the input file s3:\/\/bucket\/text\/0.jsonl is not a JSON object$/
    )
    assert.match(yield* messageFor("array", "[]\n"), /Line 1 .* is not a JSON object/)
    assert.match(yield* messageFor("body", "{\"recordId\":\"a\",\"modelInput\":\"{}\"}\n"), /has no modelInput object/)
    assert.match(yield* messageFor("id", "{\"recordId\":7,\"modelInput\":{}}\n"), /recordId that is not a string/)
    assert.match(yield* messageFor("bom", `\ufeff${lines(100)}`), /Line 1/)
    yield* put(storage, "s3://bucket/in/a.jsonl.out", lines(100))
    const sneaky = yield* after(
      "1 hour",
      { inputDataConfig: { s3InputDataConfig: { s3Uri: "s3://bucket/in/a.jsonl.out" } } }
    )
    assert.match(sneaky.message!, /No JSONL files/)
  }))

it.effect("generates record ids, passes over blank lines, and joins U+2028 and split characters rightly", () =>
  Effect.gen(function*() {
    const { after, output, storage } = yield* emulate({ limits: { minRecords: 1 } })
    const odd = "é\u2028\u2029\u0085🙂"
    const body = JSON.stringify(converse(odd))
    const input = `{"modelInput":${body}}\r\n\n{"recordId":"b","modelInput":${body},"more":1}`
    const bytes = new TextEncoder().encode(input)
    const parts = Array.from(bytes, (byte) => new Uint8Array([byte]))
    yield* storage.write("s3://bucket/in/a.jsonl", Stream.fromArray(parts))
    const job = yield* after("1 hour", { modelInvocationType: "Converse" })
    assert.strictEqual(job.successRecordCount, 2)
    const out = yield* output(job)
    assert.deepStrictEqual(
      out.map((line) => Object.keys(line)),
      Array(2).fill(["recordId", "modelInput", "modelOutput"])
    )
    assert.isTrue(out.some((line) => /^[A-Z0-9]{11}$/.test(line.recordId)))
    assert.isTrue(out.every((line) => line.modelInput.messages[0].content[0].text === odd))
  }))

it.effect("echoes bodies as they were sent: digits, order and doubles of members, blanks and escapes", () =>
  Effect.gen(function*() {
    const { after, storage } = yield* emulate({ limits: { minRecords: 1 } })
    const bodies = [
      String.raw`{"b":12345678901234567890,"2":1.0,"1":1E400,"b":-0.10,"a":"\/\u00e9\u2028 \" } ,"}`,
      `{ "x" : [ [ ] , { } , "]}" , "\u2028\u0085" ] , "modelInput" : { "y" : null } }`,
      "{}"
    ]
    const input = [
      `{"recordId":"r0","modelInput":${bodies[0]}}`,
      ` { "other" : { "modelInput" : 1 } , "modelInput":{"first":1}, ` +
      `"model\\u0049nput" : ${bodies[1]} ,"recordId":"r\\"1" } `,
      `{"recordId":"r2","modelInput":${bodies[2]}}\r`
    ]
    yield* put(storage, "s3://bucket/in/a.jsonl", input.join("\n"))
    const job = yield* after("1 hour")
    const written = yield* text(storage, `s3://bucket/out/${job.jobArn.slice(-12)}/a.jsonl.out`)
    for (const [index, body] of bodies.entries()) {
      const recordId = JSON.stringify(["r0", "r\"1", "r2"][index])
      assert.include(written, `{"recordId":${recordId},"modelInput":${body},"error"`)
    }
    assert.isTrue(written.trimEnd().split("\n").every((line) => JSON.parse(line).error.errorCode === 400))
  }))

it.effect("fails a job whose input is not UTF-8", () =>
  Effect.gen(function*() {
    const { after, storage } = yield* emulate()
    const wrong = Buffer.from(`${lines(100)}{"recordId":"\u00ff","modelInput":{}}`, "latin1")
    yield* storage.write("s3://bucket/in/a.jsonl", Stream.make(wrong))
    const job = yield* after("1 hour")
    assert.strictEqual(job.message, "The input file s3://bucket/in/a.jsonl is not UTF-8")
  }))

it.effect("takes no line of other blanks than those of JSON for an empty one", () =>
  Effect.gen(function*() {
    const { after, storage } = yield* emulate()
    for (const blank of ["\u00a0", "\ufeff", "\u2028", "\v"]) {
      yield* put(storage, "s3://bucket/in/a.jsonl", `${lines(100)}${blank}\n`)
      assert.match((yield* after("1 hour")).message!, /Line 101 .* is not a JSON object/)
    }
    yield* put(storage, "s3://bucket/in/a.jsonl", `${lines(100)} \t\r\n\n`)
    assert.strictEqual((yield* after("1 hour")).status, "Completed")
  }))

it.effect("takes the user's answers at once, as promises and as effects, and a broken one as the record's error", () =>
  Effect.gen(function*() {
    let next = 0
    const answersOf = [
      () => ({ plain: true }),
      () => Promise.resolve({ promised: true }),
      () => Effect.succeed({ effect: true }).pipe(Effect.delay(1)),
      () => ({ error: { errorCode: 418, errorMessage: "teapot" } }),
      () => Promise.reject(new Error("no")),
      () => Effect.die("no"),
      () => {
        throw new Error("no")
      },
      () => null
    ]
    const { emulator, output } = yield* emulate({ responder: () => answersOf[next++ % answersOf.length]!() })
    const { jobArn } = yield* emulator.create(request())
    yield* TestClock.adjust("1 hour")
    for (let i = 0; i < 40; i++) {
      yield* Effect.yieldNow
      yield* TestClock.adjust(1)
    }
    const job = yield* emulator.get(jobArn)
    assert.deepInclude(job, { status: "Completed", successRecordCount: 100, errorRecordCount: 100 })
    const kinds = new Set((yield* output(job)).map((line) => JSON.stringify(line.modelOutput ?? line.error)))
    assert.strictEqual(kinds.size, 6)
  }))

it.effect("refuses a job whose input is not there, unless it is told to accept it", () =>
  Effect.gen(function*() {
    const nowhere = { inputDataConfig: { s3InputDataConfig: { s3Uri: "s3://bucket/nowhere/" } } }
    const { emulator } = yield* emulate()
    const refusal = yield* Effect.flip(emulator.create(request(nowhere)))
    assert.strictEqual(refusal.name, "ValidationException")
    assert.include(refusal.message, "s3://bucket/nowhere/")
    const { message } = yield* Effect.flip(emulator.create(request({ ...nowhere, modelId: "cohere.embed-v4:0" })))
    assert.include(message, "not supported", "the model is looked at first")
    assert.strictEqual((yield* emulator.stats).jobsCreated, 0)
    const lenient = yield* emulate({ emptyInput: "accepted" })
    const job = yield* lenient.after("1 hour", nowhere)
    assert.match(job.message!, /No JSONL files/)
  }))

it.effect("fails a job whose output cannot be written, and goes on", () =>
  Effect.gen(function*() {
    const { after } = yield* emulate({
      storage: { ...Storage.memory(), list: () => Effect.die(new Error("the disk is gone")) }
    })
    const job = yield* after("1 hour")
    assert.strictEqual(job.status, "Failed")
    assert.match(job.message!, /the disk is gone/)
    const leaving = yield* emulate({ storage: Storage.folder(yield* folder) })
    const out = yield* leaving.after(
      "1 hour",
      { inputDataConfig: { s3InputDataConfig: { s3Uri: "s3://bucket/../../../etc/" } } }
    )
    assert.match(out.message!, /leaves the folder/)
  }))

it.effect("gives the same ids and bytes for the same seed, and others for another", () =>
  Effect.gen(function*() {
    const run = Effect.fnUntraced(function*(seed: string) {
      const { after, storage } = yield* emulate({ seed })
      const job = yield* after("1 hour")
      return [
        job.jobArn,
        Buffer.from(storage.objects.get(`s3://bucket/out/${job.jobArn.slice(-12)}/a.jsonl.out`) ?? []).toString()
      ]
    })
    const first = yield* run("one")
    assert.deepStrictEqual(yield* run("one"), first)
    assert.notStrictEqual((yield* run("two"))[1], first[1])
  }))

it.live("runs ten thousand jobs over three virtual days", () =>
  Effect.gen(function*() {
    const total = 10_000
    const seen = yield* Effect.gen(function*() {
      const { emulator, storage } = yield* emulate({
        limits: { minRecords: 1, maxOpenJobs: 300 },
        timing: {
          submitted: "1 minute",
          validating: "2 minutes",
          queued: "30 minutes",
          running: ({ id }) => (60 + id.charCodeAt(0)) * 30_000
        }
      })
      yield* put(storage, "s3://bucket/in/a.jsonl", lines(10))
      let created = 0
      let refused = 0
      for (let tick = 0; tick < 3 * 24 * 6; tick++) {
        while (created < total) {
          const name = yield* Effect.result(
            emulator.create(request({ jobName: `job-${created}`, clientRequestToken: `token-${created}` }))
          )
          if (name._tag === "Failure") {
            refused++
            break
          }
          created++
        }
        yield* TestClock.adjust("10 minutes")
      }
      const pages: Array<string> = []
      for (let nextToken: string | undefined, first = true; first || nextToken !== undefined; first = false) {
        const page = yield* emulator.list({ maxResults: "1000", nextToken })
        pages.push(...page.invocationJobSummaries.map((job) => job.status))
        nextToken = page.nextToken
      }
      return { created, refused, pages, stats: yield* emulator.stats }
    }).pipe(Effect.provide(TestClock.layer()))
    assert.strictEqual(seen.created, total)
    assert.isAbove(seen.refused, 10)
    assert.strictEqual(seen.pages.filter((status) => status === "Completed").length, total)
    assert.deepInclude(seen.stats, { jobsCreated: total, recordsProcessed: total * 10 })
    assert.strictEqual(seen.stats.maxOpenSeen["anthropic.claude-haiku-4-5-20251001-v1:0"], 300)
  }), 120_000)
