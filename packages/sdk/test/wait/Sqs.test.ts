import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Prompt from "@bedrock-batch/processors/Prompt"
import { Deferred, Effect, Fiber, Logger } from "effect"
import { awaitAll } from "../../src/awaitAll.ts"
import { BatchJobs } from "../../src/bedrock/BatchJobs.ts"
import type { EndedJob } from "../../src/Job.ts"
import { prepare } from "../../src/prepare.ts"
import * as Source from "../../src/source/Source.ts"
import { submit } from "../../src/submit.ts"
import * as Wait from "../../src/wait/Wait.ts"
import { model, type ProcessOptions, processOf } from "../rig/Bench.ts"
import { envelope } from "../rig/events.ts"
import { memoryStore } from "../rig/MemoryStore.ts"
import { ScriptedJobs } from "../rig/ScriptedJobs.ts"
import { made } from "../rig/SimulatedJobs.ts"
import { type SqsServer, startSqsServer, type TestQueue } from "../rig/SqsServer.ts"

let server: SqsServer
beforeAll(async () => {
  server = await startSqsServer()
})
afterAll(() => server.close())

let names = 0
/** A queue of its own for a test. */
const queueOf = () => server.queue(`queue-${names++}`)

const optionsOf = (queue: Pick<TestQueue, "url">, options?: Partial<Wait.SqsOptions>): Wait.SqsOptions => ({
  queueUrl: queue.url,
  endpoint: server.endpoint,
  region: server.region,
  credentials: server.credentials,
  visibilityTimeout: "1 second",
  backstop: "1 hour",
  ...options
})

const open = (jobs: ScriptedJobs, queue: TestQueue, options?: Partial<Wait.SqsOptions>) =>
  Effect.provideService(Wait.sqs(optionsOf(queue, options)).open, BatchJobs, jobs.service)

const eventOf = (arn: string, status = "Completed") => JSON.stringify(envelope(arn, status))

/** A job that was submitted just now: nobody looks at it before an event tells of it. */
const newJob = (jobs: ScriptedJobs, index: number) => made(jobs, "run", index, Date.now())

const until = Effect.fnUntraced(function*(holds: () => boolean) {
  while (!holds()) yield* Effect.sleep(20)
})

const isEmpty = (queue: TestQueue) => () => queue.bodies().length === 0

const recordedBy = (waiter: Wait.Waiter<EndedJob>, job: EndedJob) => waiter.recorded?.(job) ?? Effect.void

/** Runs an effect that is given the warnings that it logs, as they come. */
const withWarnings = Effect.fnUntraced(function*<A, E, R>(
  f: (warnings: ReadonlyArray<string>) => Effect.Effect<A, E, R>
) {
  const warnings: Array<string> = []
  const logger = Logger.make(({ logLevel, message }) => {
    if (logLevel === "Warn") warnings.push(String(Array.isArray(message) ? message.join(" ") : message))
  })
  return yield* Effect.provide(f(warnings), Logger.layer([logger]))
})

describe("Wait.sqs", () => {
  it.live("learns of an end from the queue, and deletes the message when the end is stored, not before", () =>
    Effect.gen(function*() {
      const jobs = new ScriptedJobs()
      const queue = queueOf()
      const waiter = yield* open(jobs, queue, { visibilityTimeout: "10 minutes" })
      const job = newJob(jobs, 0)
      const fiber = yield* Effect.forkChild(waiter.wait(job))
      jobs.endAll("Failed")
      queue.send(eventOf(job.arn, "Failed"))
      const ended = yield* Fiber.join(fiber)
      assert.strictEqual(ended.status, "Failed")
      assert.deepStrictEqual([jobs.gets.length, jobs.lists.length], [1, 0])
      assert.deepStrictEqual(queue.counts(), { ready: 0, inFlight: 1 })
      yield* recordedBy(waiter, ended)
      assert.deepStrictEqual(queue.counts(), { ready: 0, inFlight: 0 })
    }))

  it.live("reads messages that come through SNS", () =>
    Effect.gen(function*() {
      const jobs = new ScriptedJobs()
      const queue = server.queue("of-topic")
      const publish = server.topic("topic", "of-topic")
      const waiter = yield* open(jobs, queue)
      const job = newJob(jobs, 0)
      const fiber = yield* Effect.forkChild(waiter.wait(job))
      jobs.endAll()
      publish(eventOf(job.arn))
      yield* recordedBy(waiter, yield* Fiber.join(fiber))
      yield* until(isEmpty(queue))
      assert.lengthOf(jobs.lists, 0)
    }))

  it.live("deletes double messages, whether they come before the end is stored or after", () =>
    Effect.gen(function*() {
      const jobs = new ScriptedJobs()
      const queue = queueOf()
      const waiter = yield* open(jobs, queue)
      const job = newJob(jobs, 0)
      const fiber = yield* Effect.forkChild(waiter.wait(job))
      for (const status of ["Validating", "Completed", "InProgress", "Completed"]) queue.send(eventOf(job.arn, status))
      jobs.endAll()
      yield* recordedBy(waiter, yield* Fiber.join(fiber))
      queue.send(eventOf(job.arn))
      yield* until(isEmpty(queue))
      assert.lengthOf(jobs.gets, 1)
    }))

  it.live("gives a message again, when a process dies after it was received and before the end is stored", () =>
    Effect.gen(function*() {
      const jobs = new ScriptedJobs()
      const queue = queueOf()
      const job = newJob(jobs, 0)
      jobs.endAll()
      yield* Effect.scoped(Effect.gen(function*() {
        const waiter = yield* open(jobs, queue)
        const fiber = yield* Effect.forkChild(waiter.wait(job))
        queue.send(eventOf(job.arn))
        yield* Fiber.join(fiber)
      }))
      assert.lengthOf(queue.bodies(), 1)
      const waiter = yield* open(jobs, queue)
      yield* recordedBy(waiter, yield* waiter.wait(job))
      yield* until(isEmpty(queue))
      assert.lengthOf(jobs.lists, 0)
    }), 20_000)

  it.live("keeps a message until the ledger has the job's end, though the process dies before", () =>
    Effect.gen(function*() {
      const [store, jobs, queue] = [memoryStore(), new ScriptedJobs(), queueOf()]
      const start = (options?: ProcessOptions) => processOf(store, jobs, options)
      const run = yield* start()(prepare({
        name: "jokes",
        source: Source.rows([{ topic: "queues" }]),
        model,
        prompt: Prompt.make("A joke about {topic}.")
      }))
      const waiting = awaitAll(run.jobs.map(submit), { wait: Wait.sqs(optionsOf(queue, { visibilityTimeout: "2 seconds" })) })
      const reached = yield* Deferred.make<void>()
      const before = (operation: string, key: string) =>
        operation === "create" && key.endsWith(".end")
          ? Effect.andThen(Deferred.succeed(reached, undefined), Effect.never)
          : Effect.void
      const dying = yield* Effect.forkChild(start({ before })(waiting))
      yield* until(() => jobs.made.length === 1)
      jobs.endAll()
      queue.send(eventOf(jobs.made[0]!.state.arn))
      yield* Deferred.await(reached)
      yield* Effect.sleep(200)
      assert.deepStrictEqual(queue.counts(), { ready: 0, inFlight: 1 })
      yield* Fiber.interrupt(dying)
      assert.lengthOf(queue.bodies(), 1)
      const left: Array<number> = []
      const after = (operation: string, key: string) =>
        Effect.sync(() => void (operation === "create" && key.endsWith(".end") && left.push(queue.bodies().length)))
      const ended = yield* start({ after })(waiting)
      assert.deepStrictEqual(ended.map(({ status }) => status), ["Completed"])
      assert.deepStrictEqual(left, [1])
      yield* until(isEmpty(queue))
      assert.lengthOf(jobs.creates, 1)
    }), 20_000)

  it.live("leaves what is no event of a batch job, puts it aside, and says so once", () =>
    withWarnings((warnings) =>
      Effect.gen(function*() {
        const jobs = new ScriptedJobs()
        const queue = queueOf()
        const rubbish = ["{", "null", "hello", JSON.stringify({ ...envelope("a", "b"), source: "aws.s3" })]
        const waiter = yield* open(jobs, queue, { maxReceives: 1 })
        for (const body of rubbish) queue.send(body)
        yield* until(() => queue.counts().inFlight === rubbish.length)
        const job = newJob(jobs, 0)
        const fiber = yield* Effect.forkChild(waiter.wait(job))
        jobs.endAll()
        queue.send(eventOf(job.arn))
        yield* recordedBy(waiter, yield* Fiber.join(fiber))
        // They stay away for longer than the visibility timeout.
        yield* Effect.sleep(1_500)
        assert.deepStrictEqual(queue.counts(), { ready: 0, inFlight: rubbish.length })
        assert.sameMembers([...queue.bodies()], rubbish)
        assert.lengthOf(warnings, 1)
        assert.include(warnings[0], queue.url)
      })
    ), 20_000)

  it.live("lets go of messages of unknown jobs, and deletes them when nobody wanted them often enough", () =>
    Effect.gen(function*() {
      const jobs = new ScriptedJobs()
      const queue = queueOf()
      queue.send(eventOf("arn:aws:bedrock:us-east-1:123456789012:model-invocation-job/of-nobody"))
      yield* Effect.scoped(Effect.gen(function*() {
        yield* open(jobs, queue, { maxReceives: 3 })
        yield* until(isEmpty(queue))
      }))
      const job = newJob(jobs, 0)
      jobs.endAll()
      queue.send(eventOf(job.arn))
      const waiter = yield* open(jobs, queue)
      yield* Effect.sleep(300)
      // It was received, and was of nobody: it comes again in time.
      yield* recordedBy(waiter, yield* waiter.wait(job))
      yield* until(isEmpty(queue))
      assert.lengthOf(jobs.lists, 0)
    }), 20_000)

  it.live("shares its queue with other processes: each learns of its own jobs, and no message is left", () =>
    Effect.gen(function*() {
      const jobs = new ScriptedJobs()
      const queue = queueOf()
      const submitted = Array.from({ length: 6 }, (_, index) => newJob(jobs, index))
      const process = Effect.fnUntraced(function*(mine: typeof submitted) {
        const waiter = yield* open(jobs, queue, { visibilityTimeout: "5 seconds", maxReceives: 100 })
        const ended = yield* Effect.forEach(
          mine,
          (job) => Effect.tap(waiter.wait(job), (ended) => recordedBy(waiter, ended)),
          { concurrency: "unbounded" }
        )
        assert.deepStrictEqual(ended.map(({ arn }) => arn), mine.map(({ arn }) => arn))
        // The other may still need its messages to be let go of.
        yield* until(isEmpty(queue))
      }, Effect.scoped)
      const halves = [0, 1].map((half) => submitted.filter((_, index) => index % 2 === half))
      const both = yield* Effect.forkChild(Effect.forEach(halves, process, { concurrency: "unbounded" }))
      jobs.endAll()
      for (const { arn } of submitted) queue.send(eventOf(arn))
      yield* Fiber.join(both)
      assert.lengthOf(jobs.lists.filter(({ status }) => status !== undefined), 0)
    }), 120_000)

  it.live("polls while there is no such queue, and says so", () =>
    withWarnings((warnings) =>
      Effect.gen(function*() {
        const jobs = new ScriptedJobs()
        const queue = { ...queueOf(), url: `${server.endpoint}/000000000000/nowhere` }
        const waiter = yield* open(jobs, queue)
        const fiber = yield* Effect.forkChild(waiter.wait(newJob(jobs, 0)))
        jobs.endAll()
        assert.strictEqual((yield* Fiber.join(fiber)).status, "Completed")
        assert.lengthOf(jobs.lists, 1)
        assert.lengthOf(warnings, 1)
      })
    ), 20_000)

  it.effect("refuses options that are out of their range", () =>
    Effect.gen(function*() {
      const wrong: ReadonlyArray<readonly [string, Partial<Wait.SqsOptions>]> = [
        ["wait.queueUrl", { queueUrl: "my-queue" }],
        ["wait.visibilityTimeout", { visibilityTimeout: 0 }],
        ["wait.visibilityTimeout", { visibilityTimeout: "13 hours" }],
        ["wait.maxReceives", { maxReceives: 0 }],
        ["wait.backstop", { backstop: 0 }]
      ]
      for (const [path, options] of wrong) {
        const { reason } = yield* Effect.flip(open(new ScriptedJobs(), { ...queueOf() }, options))
        assert.deepInclude(reason, { _tag: "InvalidOption", path })
      }
    }))
})
