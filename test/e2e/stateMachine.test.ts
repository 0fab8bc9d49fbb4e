import { SendTaskFailureCommand, SendTaskSuccessCommand, SFNClient } from "@aws-sdk/client-sfn"
import { assert, describe, it } from "@effect/vitest"
import { History } from "../rig/History.ts"
import { stateLimit, StateError } from "../rig/StateError.ts"
import { type Definition, type Ended, execute, type World } from "../rig/StateMachine.ts"
import { serve, TaskTokens } from "../rig/TaskTokens.ts"

const invoke = "arn:aws:states:::lambda:invoke"

const jobs = (map: object, submit: object = {}): Definition => ({
  StartAt: "Jobs",
  States: {
    Jobs: {
      Type: "Map",
      Label: "jobs",
      ItemProcessor: {
        ProcessorConfig: { Mode: "DISTRIBUTED", ExecutionType: "STANDARD" },
        StartAt: "Submit",
        States: {
          Submit: {
            Type: "Task",
            Resource: `${invoke}.waitForTaskToken`,
            Parameters: { FunctionName: "submit", Payload: { "key.$": "$.key", "token.$": "$$.Task.Token" } },
            TimeoutSecondsPath: "$.timeoutSeconds",
            End: true,
            ...submit
          }
        }
      },
      ItemReader: {
        Resource: "arn:aws:states:::s3:getObject",
        ReaderConfig: { InputType: "JSON" },
        Parameters: { "Bucket.$": "$.list.bucket", "Key.$": "$.list.key" }
      },
      ItemSelector: { "key.$": "$$.Map.Item.Value.key", "run.$": "$.run", timeoutSeconds: 60 },
      ResultWriter: { Resource: "arn:aws:states:::s3:putObject", Parameters: { Bucket: "b", Prefix: "maps" } },
      ResultPath: null,
      End: true,
      ...map
    }
  }
})

/** A world with objects in memory, whose tasks answer as told. */
const worldOf = (task: World["task"], objects: { [uri: string]: string } = {}) => {
  const world: World = {
    task,
    tokens: new TaskTokens(),
    objects: {
      get: async (bucket, key) => {
        const text = objects[`${bucket}/${key}`]
        if (text === undefined) throw new Error("no such key")
        return text
      },
      put: async (bucket, key, text) => void (objects[`${bucket}/${key}`] = text)
    }
  }
  return world
}

const keys = (count: number) => Array.from({ length: count }, (_, i) => ({ key: `1-${String(i).padStart(6, "0")}` }))
const input = { run: "r", list: { bucket: "b", key: "list.json" } }

const run = async (definition: Definition, world: World, given: unknown = input, timeouts = {}) => {
  const history = new History()
  const clock = { longestPause: 5, timeouts }
  const ended: Ended = await execute({ definition, input: given, world, history, clock }).ended
  return { ...ended, history }
}

/** Answers the token of each job with its key, a little later. */
const answering = (world: { tokens: TaskTokens }) => async (_: string, { Payload }: any) => {
  setTimeout(() => {
    try {
      world.tokens.call("SendTaskSuccess", { taskToken: Payload.token, output: JSON.stringify({ done: Payload.key }) })
    } catch (error) {
      // A child that was ended with its Map does not wait any more.
      if (!(error instanceof Error && error.name === "TaskTimedOut")) throw error
    }
  }, 1)
  return { Payload: null }
}

describe("the rig's state machine", () => {
  it("runs a distributed Map over a list in S3, at most so many items at once", async () => {
    const objects = { "b/list.json": JSON.stringify(keys(40)) }
    const world: World = worldOf((resource, parameters) => answering(world)(resource, parameters), objects)
    const { error, history, output, status } = await run(jobs({ MaxConcurrency: 7 }), world)
    assert.deepStrictEqual([status, error], ["SUCCEEDED", null])
    assert.deepStrictEqual(output, input)
    assert.deepStrictEqual(history.mapRuns, [{ map: "Jobs", items: 40, succeeded: 40, failed: 0, mostAtOnce: 7 }])
    const written = Object.entries(objects).find(([key]) => key.endsWith("SUCCEEDED_0.json"))
    const outputs = JSON.parse(written![1]).map((row: any) => JSON.parse(row.Output).done)
    assert.deepStrictEqual(outputs, keys(40).map(({ key }) => key))
  })

  it("fails a Map once more of its items fail than it tolerates, and ends the others", async () => {
    const definition = jobs({ MaxConcurrency: 4, ToleratedFailureCount: 2 })
    const world: World = worldOf(
      async (resource, parameters) => {
        if (/[2468]$/.test(parameters.Payload.key)) throw new StateError("Refused", "no")
        if (/1$/.test(parameters.Payload.key)) return null
        return answering(world)(resource, parameters)
      },
      { "b/list.json": JSON.stringify(keys(100)) }
    )
    const { error, history, status } = await run(definition, world)
    assert.deepStrictEqual([status, error], ["FAILED", "States.ExceedToleratedFailureThreshold"])
    assert.isBelow(history.count("Submit", "entered"), 100)
    assert.strictEqual(world.tokens.open, 0)
  })

  it("fails to read items that are not there, by the name that a Catch looks for", async () => {
    const definition = jobs({ Catch: [{ ErrorEquals: ["States.ItemReaderFailed"], Next: "Failed" }] })
    const caught = { ...definition, States: { ...definition.States, Failed: { Type: "Fail", Error: "NoList" } } }
    const { error, status } = await run(caught, worldOf(async () => null))
    assert.deepStrictEqual([status, error], ["FAILED", "NoList"])
  })

  it("retries what a Retry names, with a new token each time, and times out by its path", async () => {
    const tokens = new Set<string>()
    let calls = 0
    const world: World = worldOf(async (resource, parameters) => {
      tokens.add(parameters.Payload.token)
      calls++
      if (calls <= 3) throw new StateError("CapacityFull", "full")
      // The fourth is lost.
      if (calls > 4) return answering(world)(resource, parameters)
      return null
    }, { "b/list.json": JSON.stringify(keys(1)) })
    const Retry = [
      { ErrorEquals: ["CapacityFull"], MaxAttempts: 3, IntervalSeconds: 60, JitterStrategy: "FULL" },
      { ErrorEquals: ["States.Timeout"], MaxAttempts: 1 }
    ]
    const { history, status } = await run(jobs({}, { Retry }), world, input, { Submit: 50 })
    assert.strictEqual(status, "SUCCEEDED")
    assert.strictEqual(tokens.size, 5)
    assert.deepStrictEqual(history.errors("Submit"), ["CapacityFull", "CapacityFull", "CapacityFull", "States.Timeout"])
  })

  it("lets no state carry more than 256 KiB, whatever it catches", async () => {
    const large = "x".repeat(stateLimit - 1)
    const Catch = [{ ErrorEquals: ["States.ALL"], Next: "Over" }]
    const Large = { Type: "Task", Resource: invoke, Parameters: { FunctionName: "f" }, Catch, End: true }
    const definition = { StartAt: "Large", States: { Large, Over: { Type: "Succeed" } } }
    const { cause, error, status } = await run(definition, worldOf(async () => large), {})
    assert.deepStrictEqual([status, error], ["FAILED", "States.DataLimitExceeded"])
    assert.include(cause!, `${stateLimit + 1} bytes`)
    const collecting = jobs({ ResultWriter: undefined, ResultPath: "$.results" })
    delete (collecting.States["Jobs"] as any).ResultWriter
    const world: World = worldOf(async (_, { Payload }) => {
      world.tokens.call("SendTaskSuccess", { taskToken: Payload.token, output: JSON.stringify("y".repeat(1200)) })
      return null
    }, { "b/list.json": JSON.stringify(keys(250)) })
    const many = await run(collecting, world)
    assert.deepStrictEqual([many.status, many.error], ["FAILED", "States.DataLimitExceeded"])
  })

  it("refuses definitions that it would run wrongly", () => {
    const start = (definition: Definition) => () =>
      execute({ definition, input: {}, world: worldOf(async () => null), history: new History() })
    assert.throws(start(jobs({ ItemBatcher: { MaxItemsPerBatch: 2 } })), /no ItemBatcher/)
    assert.throws(start(jobs({}, { Assign: {} })), /no Assign/)
    assert.throws(start({ ...jobs({}), QueryLanguage: "JSONata" }), /JSONPath alone/)
    const listing = { Resource: "arn:aws:states:::s3:listObjectsV2", Parameters: {} }
    assert.throws(start(jobs({ ItemReader: listing })), /InputType JSON/)
  })

  it("answers tokens over the wire with AWS's errors", async () => {
    const tokens = new TaskTokens()
    const { close, endpoint } = await serve(tokens)
    const credentials = { accessKeyId: "k", secretAccessKey: "s" }
    const client = new SFNClient({ endpoint, region: "us-east-1", credentials })
    const send = (taskToken: string, output = "{}") =>
      client.send(new SendTaskSuccessCommand({ taskToken, output })).then(() => "taken", (error: Error) => error.name)
    try {
      const { answer, token } = tokens.make(null, null)
      assert.strictEqual(await send(token, "no JSON"), "InvalidOutput")
      assert.strictEqual(await send(token, "{\"a\":1}"), "taken")
      assert.deepStrictEqual(await answer, { a: 1 })
      assert.strictEqual(await send(token), "TaskTimedOut")
      assert.strictEqual(await send("no token"), "InvalidToken")
      assert.strictEqual(await send(`${token.slice(0, 100)}`), "TaskDoesNotExist")
      const failing = tokens.make(null, null)
      await client.send(new SendTaskFailureCommand({ taskToken: failing.token, error: "Broken", cause: "why" }))
      assert.deepInclude(await failing.answer.catch((error: Error) => error), { name: "Broken", message: "why" })
    } finally {
      client.destroy()
      await close()
    }
  })
})
