import { CreateTableCommand, DynamoDBClient, GetItemCommand } from "@aws-sdk/client-dynamodb"
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Schema } from "effect"
import { TestClock } from "effect/testing"
import dynalite from "dynalite"
import type { AddressInfo } from "node:net"
import { Inventory, layer } from "../src/Inventory.ts"

const table = "inventory"

/** A table of its own, behind HTTP. */
const bench = Effect.gen(function*() {
  const server = yield* Effect.acquireRelease(
    Effect.promise(async () => {
      const server = dynalite({ createTableMs: 0 })
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
      return server
    }),
    (server) =>
      Effect.promise(() => {
        server.closeAllConnections()
        return new Promise<void>((resolve) => void server.close(() => resolve()))
      })
  )
  const client = yield* Effect.acquireRelease(
    Effect.sync(() =>
      new DynamoDBClient({
        endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
        region: "us-east-1",
        credentials: { accessKeyId: "TESTKEY", secretAccessKey: "TESTSECRET" }
      })
    ),
    (client) => Effect.sync(() => client.destroy())
  )
  yield* Effect.promise(() =>
    client.send(
      new CreateTableCommand({
        TableName: table,
        BillingMode: "PAY_PER_REQUEST",
        AttributeDefinitions: ["pk", "sk", "open"].map((AttributeName) => ({ AttributeName, AttributeType: "S" })),
        KeySchema: [{ AttributeName: "pk", KeyType: "HASH" }, { AttributeName: "sk", KeyType: "RANGE" }],
        GlobalSecondaryIndexes: [{
          IndexName: "open",
          KeySchema: [{ AttributeName: "open", KeyType: "HASH" }, { AttributeName: "pk", KeyType: "RANGE" }],
          Projection: { ProjectionType: "ALL" }
        }]
      })
    )
  )
  yield* TestClock.setTime(Date.UTC(2026, 10, 23))
  return { client, layer: layer({ client, table }) }
})

const idOf = (name: string) => ({ name, runId: "run", jobKey: "1-000000", clientToken: `client-${name}` })

const entry = (name: string) => ({ ...idOf(name), deadline: null, timeoutHours: 24 })

const tokenOf = (name: string, token: string, by = "call") => ({ ...idOf(name), token, by })

const to = (status: string) => ({ status, arn: "arn:1", submittedAt: "2026-11-23T00:00:00.000Z" })

const using = <A, E>(effect: Effect.Effect<A, E, Inventory>) =>
  Effect.gen(function*() {
    const { layer } = yield* bench
    return yield* Effect.provide(effect, layer)
  })

describe("Inventory", () => {
  it.effect("enters a job once, and never moves it backward", () =>
    using(Effect.gen(function*() {
      const inventory = yield* Inventory
      assert.isTrue(yield* inventory.enter(entry("a")))
      assert.isFalse(yield* inventory.enter(entry("a")))
      const moves: Array<boolean> = []
      const statuses = ["Submitted", "InProgress", "Validating", "InProgress", "Completed", "Failed", "InProgress"]
      for (const status of statuses) {
        moves.push(yield* inventory.advance(idOf("a"), to(status)))
      }
      assert.deepStrictEqual(moves, [true, true, false, false, true, false, false])
      assert.isFalse(yield* inventory.enter(entry("a")))
      const known = { status: "Completed", arn: "arn:1", runId: "run", jobKey: "1-000000" }
      assert.deepInclude(yield* inventory.read("a"), known)
      assert.deepStrictEqual(yield* inventory.open, [])
    })))

  it.effect("keeps a status that it does not know as an open one", () =>
    using(Effect.gen(function*() {
      const inventory = yield* Inventory
      yield* inventory.enter(entry("a"))
      assert.isTrue(yield* inventory.advance(idOf("a"), to("Pondering")))
      assert.isFalse(yield* inventory.advance(idOf("a"), to("InProgress")))
      assert.deepStrictEqual(yield* inventory.open, ["a"])
      assert.isTrue(yield* inventory.advance(idOf("a"), to("Expired")))
    })))

  it.effect("keeps many tokens of a job apart, and marks only what the same call stored", () =>
    using(Effect.gen(function*() {
      const inventory = yield* Inventory
      const [one, two] = [tokenOf("a", "token-1", "x"), tokenOf("a", "token-2", "y")]
      yield* inventory.store(one, 60)
      yield* inventory.store(two, 60)
      assert.sameDeepMembers([...(yield* inventory.look("a")).tokens], [one, two])
      yield* inventory.answered(one)
      assert.deepStrictEqual((yield* inventory.look("a")).tokens, [two])
      const again = { ...one, by: "z" }
      yield* inventory.store(again, 60)
      yield* inventory.answered(one)
      yield* inventory.takeBack(one)
      assert.sameDeepMembers([...(yield* inventory.look("a")).tokens], [again, two])
      yield* inventory.takeBack(again)
      yield* inventory.answered(two)
      assert.deepStrictEqual(yield* inventory.look("a"), { job: null, tokens: [] })
      assert.deepStrictEqual(yield* inventory.open, [])
    })))

  it.effect("takes a job back only while it is not known to be at Bedrock", () =>
    using(Effect.gen(function*() {
      const inventory = yield* Inventory
      yield* inventory.enter(entry("a"))
      yield* inventory.leave("a")
      assert.isNull(yield* inventory.read("a"))
      yield* inventory.enter(entry("a"))
      yield* inventory.advance(idOf("a"), to("Submitted"))
      yield* inventory.leave("a")
      assert.deepInclude(yield* inventory.read("a"), { status: "Submitted" })
      yield* inventory.leave("nobody")
    })))

  it.effect("takes what is past its time for gone, though DynamoDB has not removed it", () =>
    Effect.gen(function*() {
      const { client, layer } = yield* bench
      yield* Effect.provide(Effect.gen(function*() {
        const inventory = yield* Inventory
        yield* inventory.enter(entry("a"))
        yield* inventory.advance(idOf("a"), to("Completed"))
        yield* inventory.store(tokenOf("a", "token"), 3_600)
        yield* TestClock.adjust("26 hours")
        assert.deepStrictEqual((yield* inventory.look("a")).tokens, [])
        assert.deepStrictEqual(yield* inventory.open, [])
        assert.isFalse(yield* inventory.enter(entry("a")))
        yield* TestClock.adjust("40 days")
        assert.isNull(yield* inventory.read("a"))
        const key = { pk: { S: "job#a" }, sk: { S: "job" } }
        const command = new GetItemCommand({ TableName: table, Key: key })
        const { Item: item } = yield* Effect.promise(() => client.send(command))
        assert.strictEqual(item?.["status"]?.S, "Completed")
        assert.isTrue(yield* inventory.enter(entry("a")))
        assert.deepInclude(yield* inventory.read("a"), { status: "Submitting", arn: null })
      }), layer)
    }))

  it.effect("pages through hundreds of open jobs", () =>
    using(Effect.gen(function*() {
      const inventory = yield* Inventory
      const names = Array.from({ length: 300 }, (_, i) => `job-${String(i).padStart(3, "0")}`)
      // A page has 1 MB at most.
      const long = "x".repeat(8_000)
      yield* Effect.forEach(names, (name) => inventory.store(tokenOf(name, `${name}${long}`), 60), { concurrency: 16 })
      assert.sameMembers([...(yield* inventory.open)], names)
    })))

  it.effect("fails in the sdk's words", () =>
    Effect.gen(function*() {
      const { client } = yield* bench
      const error = yield* Effect.flip(
        Inventory.use(({ read }) => read("a")).pipe(Effect.provide(layer({ client, table: "no-such-table" })))
      )
      assert.deepInclude(error.reason, { _tag: "Refused", code: "ResourceNotFoundException" })
    }))

  const order = ["Submitting", "Submitted", "Validating", "Scheduled", "InProgress", "Stopping"]
  const ends = ["Completed", "PartiallyCompleted", "Failed", "Stopped", "Expired"]
  const number = (maximum: number) => Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum })))
  const step = Arbitrary.all([number(6), number(1), number(order.length + ends.length - 1), number(2)])
  const steps = Arbitrary.array(step, { maxLength: 40 })

  it.effect("does what a table in memory does, whatever is done in whatever order", () =>
    using(Effect.gen(function*() {
      const inventory = yield* Inventory
      let round = 0
      const check = Effect.fnUntraced(function*(done: ReadonlyArray<readonly [number, number, number, number]>) {
        const prefix = `round-${round++}`
        const jobs = new Map<string, string>()
        const tokens = new Map<string, { by: string; answered: boolean }>()
        const rank = (status: string) => ends.includes(status) ? order.length : order.indexOf(status)
        for (const [what, which, status, who] of done) {
          const name = `${prefix}-${which}`
          const token = tokenOf(name, `token-${which}`, `by-${who}`)
          const known = tokens.get(name)
          switch (what) {
            case 0: {
              assert.strictEqual(yield* inventory.enter(entry(name)), !jobs.has(name))
              if (!jobs.has(name)) jobs.set(name, "Submitting")
              break
            }
            case 1: {
              const next = [...order.slice(1), ...ends][status % (order.length - 1 + ends.length)]!
              const now = jobs.get(name)
              const moves = now === undefined || rank(now) < rank(next)
              assert.strictEqual(yield* inventory.advance(idOf(name), to(next)), moves)
              if (moves) jobs.set(name, next)
              break
            }
            case 2: {
              yield* inventory.store(token, 60)
              tokens.set(name, { by: token.by, answered: false })
              break
            }
            case 3: {
              yield* inventory.answered(token)
              if (known?.by === token.by) tokens.set(name, { by: token.by, answered: true })
              break
            }
            case 4: {
              yield* inventory.takeBack(token)
              if (known?.by === token.by) tokens.delete(name)
              break
            }
            case 5: {
              yield* inventory.leave(name)
              if (jobs.get(name) === "Submitting") jobs.delete(name)
              break
            }
            default: {
              const { job, tokens: waiting } = yield* inventory.look(name)
              assert.strictEqual(job?.status, jobs.get(name))
              const expected = known === undefined || known.answered ? [] : [known.by]
              assert.deepStrictEqual(waiting.map(({ by }) => by), expected)
            }
          }
        }
        const open = (yield* inventory.open).filter((name) => name.startsWith(`${prefix}-`))
        const expected = [`${prefix}-0`, `${prefix}-1`].filter((name) => {
          const status = jobs.get(name)
          return (status !== undefined && !ends.includes(status)) || tokens.get(name)?.answered === false
        })
        assert.sameMembers([...open], expected)
        return true
      })
      const result = yield* Arbitrary.checkEffect(steps, check, { runs: 40, size: 30, seed: process.env["SEED"] ?? 1 })
      if (result._tag === "Falsified") {
        const { failure } = result
        const why = failure._tag === "PropertyError" ? failure.error.message : "it is not so"
        assert.fail(`${why}\n(run ${result.runs}, replay ${result.replay})`)
      }
    })))
})
