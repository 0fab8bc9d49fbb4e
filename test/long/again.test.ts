import { assert, describe, it } from "@effect/vitest"
import { Chance } from "@bedrock-batch/emulator"
import { prepare, Prompt, run } from "@bedrock-batch/sdk"
import { Effect, Fiber } from "effect"
import { audit } from "../rig/Audit.ts"
import * as Crash from "../rig/Crash.ts"
import { plainTable, sourceOf } from "../rig/Data.ts"
import * as Line from "../rig/Line.ts"
import { haiku, quick, soon, type Stack, start } from "../rig/Stack.ts"

const table = plainTable(330)
const task = { rows: 330, rowsPerJob: 110 }
const definition = {
  name: "again",
  source: sourceOf(table),
  model: haiku,
  prompt: Prompt.make("{id}: {topic}"),
  maxRecordsPerJob: 110,
  wait: soon
} as const

/** Every object of a run, with its content. */
const everything = Effect.fnUntraced(function*(stack: Stack, runId: string) {
  const objects = new Map<string, string>()
  for (const key of yield* stack.keys(`${runId}/`)) {
    objects.set(key, Buffer.from(yield* stack.get(key)).toString("latin1"))
  }
  return objects
})

const finished = Effect.fnUntraced(function*(stack: Stack) {
  const collected = yield* Crash.here(stack, task)
  stack.emulator.faults.clear()
  const { counts } = yield* audit(stack, collected, table, Crash.askPlain)
  assert.deepStrictEqual(counts, { succeeded: 330 })
  const stats = yield* stack.emulator.stats
  assert.deepInclude(stats, { jobsCreated: 3, recordsProcessed: 330 })
  return stats
})

describe("the same run again", () => {
  it.live("creates nothing, changes no object, and gives the same report and rows", () =>
    Effect.gen(function*() {
      const stack = yield* start()
      const first = yield* run(definition).pipe(Effect.provide(stack.layer()))
      const before = yield* everything(stack, first.report.runId)
      const again = yield* run(definition).pipe(Effect.provide(stack.layer()))
      assert.deepStrictEqual(again.report, first.report)
      assert.deepStrictEqual(again.files, first.files)
      assert.deepStrictEqual(yield* everything(stack, first.report.runId), before)
      yield* audit(stack, again, table, Crash.askPlain)
      const { calls, jobsCreated } = yield* stack.emulator.stats
      assert.deepStrictEqual({ jobsCreated, created: calls.create }, { jobsCreated: 3, created: 3 })
    }))

  it.live("in another format pays for nothing", () =>
    Effect.gen(function*() {
      const stack = yield* start()
      const parquet = yield* run(definition).pipe(Effect.provide(stack.layer()))
      for (const format of ["csv", "jsonl"] as const) {
        const other = yield* run({ ...definition, format }).pipe(Effect.provide(stack.layer()))
        yield* audit(stack, other, table, Crash.askPlain)
        assert.strictEqual(other.report.runId, parquet.report.runId)
      }
      assert.strictEqual((yield* stack.emulator.stats).calls.create, 3)
    }))

  it.live("after a death between a result file and its report counts nothing twice", () =>
    Effect.gen(function*() {
      const stack = yield* start({ faults: { duplicateLines: 0.1, unknownIds: 0.1, malformedLines: 0.1 } })
      const { report } = yield* run(definition).pipe(Effect.provide(stack.layer()))
      const results = yield* stack.keys(`${report.runId}/results/`)
      for (const key of results.filter((key) => key.endsWith(".json"))) yield* stack.remove(key)
      const again = yield* run(definition).pipe(Effect.provide(stack.layer()))
      assert.deepStrictEqual(again.report, report)
      yield* audit(stack, again, table, Crash.askPlain)
    }))

  it.live("with other limits keeps the plan that was made first", () =>
    Effect.gen(function*() {
      const stack = yield* start()
      const first = yield* prepare(definition).pipe(Effect.provide(stack.layer()))
      const other = yield* prepare({ ...definition, maxRecordsPerJob: 300 }).pipe(Effect.provide(stack.layer()))
      assert.deepStrictEqual(other.jobs, first.jobs)
    }))
})

describe("what was begun", () => {
  it.live("keeps the plan when its preparation was cut off, whatever the next one wishes", () =>
    Effect.gen(function*() {
      const stack = yield* start()
      const line = yield* Line.between(stack, { write: 1, when: "before" })
      const fiber = yield* Effect.forkChild(prepare(definition).pipe(Effect.provide(stack.layer({ endpoints: line.endpoints }))))
      yield* line.cut
      yield* Fiber.interrupt(fiber)
      const prepared = yield* prepare({ ...definition, maxRecordsPerJob: 300 }).pipe(Effect.provide(stack.layer()))
      assert.deepStrictEqual(prepared.jobs.map(({ records }) => records), [110, 110, 110])
      assert.isTrue((yield* stack.keys(`${prepared.id}/`)).includes(`${prepared.id}/plan.json`))
    }))

  it.live("is sent as it was intended first: role, tags, timeout, VPC, key and owners", () =>
    Effect.gen(function*() {
      const stack = yield* start()
      const first = {
        tags: { team: "birds", "cost-center": "7" },
        outputKmsKeyId: "alias/outputs",
        vpc: { subnetIds: ["subnet-1"], securityGroupIds: ["sg-1", "sg-2"] },
        bucketOwner: "210987654321"
      }
      const one = { ...definition, maxRecordsPerJob: 330, timeoutHours: 48 }
      const whole = yield* Line.between(stack, null)
      yield* prepare(one).pipe(Effect.provide(stack.layer({ endpoints: whole.endpoints })))
      // The intent is the first write after the preparation.
      const line = yield* Line.between(stack, { write: 0, when: "after" })
      const fiber = yield* Effect.forkChild(run(one).pipe(Effect.provide(stack.layer({ endpoints: line.endpoints, ...first }))))
      yield* line.cut
      yield* Fiber.interrupt(fiber)
      assert.match(line.writes[0]!, /1-000000\.intent$/)
      const other = stack.layer({ roleArn: "arn:aws:iam::123456789012:role/other", tags: { team: "fish" } })
      const collected = yield* run({ ...one, timeoutHours: 24 }).pipe(Effect.provide(other))
      yield* audit(stack, collected, table, Crash.askPlain)
      const { invocationJobSummaries: [job] } = yield* stack.emulator.list({ nameContains: collected.report.runId })
      assert.deepInclude(job!, {
        roleArn: stack.options.roleArn,
        timeoutDurationInHours: 48,
        vpcConfig: first.vpc,
        modelInvocationType: "Converse"
      } as never)
      assert.deepInclude(job!.outputDataConfig.s3OutputDataConfig, {
        s3EncryptionKeyId: "alias/outputs",
        s3BucketOwner: "210987654321"
      } as never)
      assert.deepInclude(job!.inputDataConfig.s3InputDataConfig, { s3BucketOwner: "210987654321" } as never)
      const { tags } = yield* stack.emulator.listTags({ resourceARN: job!.jobArn })
      assert.sameDeepMembers([...tags], [{ key: "team", value: "birds" }, { key: "cost-center", value: "7" }])
    }))

  it.live("goes on when one job's inputs are damaged and then restored", () =>
    Effect.gen(function*() {
      const stack = yield* start()
      const { jobs } = yield* prepare(definition).pipe(Effect.provide(stack.layer()))
      const stray = `${jobs[1]!.input}stray.jsonl`
      yield* stack.put(stray, "{}\n")
      const error = yield* Effect.flip(run(definition).pipe(Effect.provide(stack.layer())))
      assert.deepInclude(error.reason, { _tag: "Damaged", key: stray })
      yield* stack.remove(stray)
      const collected = yield* run(definition).pipe(Effect.provide(stack.layer()))
      const { counts } = yield* audit(stack, collected, table, Crash.askPlain)
      assert.deepStrictEqual(counts, { succeeded: 330 })
      assert.deepInclude(yield* stack.emulator.stats, { jobsCreated: 3, recordsProcessed: 330 })
    }))
})

describe("the same run twice at the same time", () => {
  for (const token of ["honoured", "ignored"] as const) {
    it.live(`creates each job once, and both get the same report: token ${token}`, () =>
      Effect.gen(function*() {
        const stack = yield* start({ faults: { token } })
        const one = Crash.here(stack, task)
        const reports = (yield* Effect.all([one, one, one], { concurrency: 3 })).map(({ report }) => report)
        assert.deepStrictEqual(reports[1], reports[0])
        assert.deepStrictEqual(reports[2], reports[0])
        yield* finished(stack)
      }))
  }

  it.live("creates each job once where answers are slow and get lost", () =>
    Effect.gen(function*() {
      const stack = yield* start({
        faults: { token: "ignored", answerLost: { next: 2 }, slowAnswer: { by: "300 millis" }, listLag: "300 millis" }
      })
      const one = Crash.here(stack, task)
      yield* Effect.all([one, one], { concurrency: 2 })
      yield* finished(stack)
    }))

  it.live("creates each job once in processes of their own", () =>
    Effect.gen(function*() {
      const stack = yield* start({ faults: { token: "ignored" } })
      const children = [1, 2].map(() => Crash.start({ ...task, options: stack.options }))
      for (const child of children) {
        assert.strictEqual(yield* Effect.promise(() => child.ended), 0, child.output())
      }
      yield* finished(stack)
    }))
})

describe.concurrent("a run that is cut short", () => {
  for (const seed of ["a", "b", "c"]) {
    it.live(`by interruption is finished by the next, and nothing is paid twice: seed ${seed}`, () =>
      Effect.gen(function*() {
        const chance = Chance.make(`interrupt/${seed}`)
        const stack = yield* start({
          seed,
          timing: { ...quick, running: 300 },
          faults: { token: "ignored", slowAnswer: { by: "50 millis" }, slowCreate: { by: "50 millis" } }
        })
        for (let round = 0; round < 6; round++) {
          const fiber = yield* Effect.forkChild(Crash.here(stack, task))
          yield* Effect.sleep(chance.below(250) * (round + 1) / 2)
          yield* Fiber.interrupt(fiber)
        }
        yield* finished(stack)
      }))
  }

  for (const seed of ["a", "b", "c"]) {
    it.live(`by SIGKILL is finished by another process, and nothing is paid twice: seed ${seed}`, () =>
      Effect.gen(function*() {
        const chance = Chance.make(`kill/${seed}`)
        const stack = yield* start({
          seed,
          timing: { ...quick, running: 300 },
          faults: { token: "ignored", slowAnswer: { by: "100 millis" }, slowCreate: { by: "50 millis" } }
        })
        for (let round = 0; round < 3; round++) {
          const child = Crash.start({ ...task, options: stack.options })
          yield* Effect.promise(() => child.begun)
          yield* Effect.sleep(50 + chance.below(400) * (round + 1))
          child.kill()
          yield* Effect.promise(() => child.ended)
        }
        yield* finished(stack)
      }))
  }
})
