import {
  AccessDeniedException,
  BedrockRuntimeClient,
  BedrockRuntimeServiceException,
  ConverseCommand,
  type ConverseCommandInput,
  InternalServerException,
  InvokeModelCommand,
  ModelErrorException,
  ModelTimeoutException,
  ResourceNotFoundException,
  ServiceUnavailableException,
  ThrottlingException,
  ValidationException
} from "@aws-sdk/client-bedrock-runtime"
import { assert, describe, it } from "@effect/vitest"
import { NodeHttpHandler } from "@smithy/node-http-handler"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as Responder from "../src/Responder.ts"
import * as Server from "../src/Server.ts"
import * as Storage from "../src/Storage.ts"
import { anthropic, converse, emulate, haiku } from "./Fixture.ts"

const titan = "amazon.titan-embed-text-v2:0"
const profileArn = `arn:aws:bedrock:us-east-1:123456789012:inference-profile/${haiku}`

/** A server, and clients of both versions of HTTP: the SDK's own choice is HTTP/2. */
const start = Effect.fnUntraced(function*(options: Partial<Server.Options> = {}) {
  const served = yield* Server.serve({ storage: Storage.memory(), seed: "http", ...options })
  const make = (requestHandler?: NodeHttpHandler) =>
    Effect.acquireRelease(
      Effect.sync(() =>
        new BedrockRuntimeClient({
          endpoint: served.url,
          region: "us-east-1",
          credentials: { accessKeyId: "a", secretAccessKey: "b" },
          maxAttempts: 1,
          ...(requestHandler === undefined ? {} : { requestHandler })
        })
      ),
      (client) => Effect.sync(() => client.destroy())
    )
  return { ...served, first: yield* make(new NodeHttpHandler()), second: yield* make() }
})

const invoke = (client: BedrockRuntimeClient, modelId: string, body: unknown) =>
  client.send(new InvokeModelCommand({
    modelId,
    contentType: "application/json",
    body: typeof body === "string" ? body : JSON.stringify(body)
  }))

const talk: ConverseCommandInput = {
  modelId: haiku,
  messages: [{ role: "user", content: [{ text: "why?" }] }],
  inferenceConfig: { maxTokens: 100 }
}

const failure = (call: () => Promise<unknown>) =>
  Effect.promise(() => call().then(() => assert.fail("the call succeeded"), (error: unknown) => error))

it.live("answers the SDK's InvokeModel over both versions of HTTP, whatever the form of the model's id", () =>
  Effect.gen(function*() {
    const { emulator, first, second, url } = yield* start()
    for (const client of [first, second]) {
      for (const modelId of [haiku, profileArn, "anthropic.claude-haiku-4-5-20251001-v1:0"]) {
        const answer = yield* Effect.promise(() => invoke(client, modelId, anthropic("why?")))
        assert.strictEqual(answer.contentType, "application/json")
        const output = JSON.parse(answer.body.transformToString())
        assert.match(output.content[0].text, /to: why\?$/)
        assert.strictEqual(output.model, "anthropic.claude-haiku-4-5-20251001-v1:0")
      }
    }
    const response = yield* Effect.promise(() =>
      fetch(`${url}/model/${encodeURIComponent(titan)}/invoke`, {
        method: "POST",
        body: JSON.stringify({ inputText: "some text" })
      })
    )
    assert.strictEqual(response.headers.get("content-type"), "application/json")
    assert.strictEqual(response.headers.get("x-amzn-bedrock-input-token-count"), "3")
    assert.strictEqual(response.headers.get("x-amzn-bedrock-output-token-count"), "0")
    assert.match(response.headers.get("x-amzn-bedrock-invocation-latency") ?? "", /^\d+$/)
    const { embedding } = yield* Effect.promise(() => response.json() as Promise<{ embedding: Array<number> }>)
    assert.strictEqual(embedding.length, 1024)
    const { callsAnswered, calls, jobsCreated } = yield* emulator.stats
    assert.deepStrictEqual([callsAnswered, calls.invoke, calls.converse, jobsCreated], [7, 7, 0, 0])
  }))

it.live("answers the SDK's Converse over both versions of HTTP, without null members", () =>
  Effect.gen(function*() {
    const { emulator, first, second } = yield* start()
    for (const client of [first, second]) {
      const answer = yield* Effect.promise(() => client.send(new ConverseCommand(talk)))
      assert.deepInclude(answer, { stopReason: "end_turn" })
      assert.deepStrictEqual(Object.keys(answer.output?.message?.content?.[0] ?? {}), ["text"])
      assert.match(answer.output?.message?.content?.[0]?.text ?? "", /to: why\?$/)
      assert.isAbove(answer.usage?.outputTokens ?? 0, 0)
    }
    assert.deepInclude(yield* emulator.stats, { callsAnswered: 2 })
    assert.strictEqual((yield* emulator.stats).calls.converse, 2)
  }))

it.live("answers an error of the responder as the service's exception, and counts no answer", () =>
  Effect.gen(function*() {
    const { emulator, first, second } = yield* start({
      responder: ({ modelInput }) => {
        const errorCode = Number(JSON.stringify(modelInput).match(/code (\d+)/)?.[1])
        if (errorCode === 0) throw new Error("broken")
        return { error: { errorCode, errorMessage: `no: ${errorCode}` } }
      }
    })
    const expected = [
      [400, ValidationException, 400],
      [403, AccessDeniedException, 403],
      [404, ResourceNotFoundException, 404],
      [408, ModelTimeoutException, 408],
      [424, ModelErrorException, 424],
      [429, ThrottlingException, 429],
      [500, InternalServerException, 500],
      [503, ServiceUnavailableException, 503],
      [418, ValidationException, 400],
      [599, InternalServerException, 500]
    ] as const
    for (const [code, exception, status] of expected) {
      const content = [{ text: `code ${code}` }]
      const errors = [
        yield* failure(() => first.send(new ConverseCommand({ ...talk, messages: [{ role: "user", content }] }))),
        yield* failure(() => second.send(new ConverseCommand({ ...talk, messages: [{ role: "user", content }] }))),
        yield* failure(() => invoke(first, haiku, anthropic(`code ${code}`)))
      ]
      for (const error of errors) {
        if (!(error instanceof BedrockRuntimeServiceException)) return assert.fail(`${code} gave ${String(error)}`)
        assert.isTrue(error instanceof exception, error.name)
        assert.strictEqual(error.message, `no: ${code}`)
        assert.strictEqual(error.$metadata.httpStatusCode, status)
      }
    }
    const broken = yield* failure(() => invoke(first, haiku, anthropic("code 0")))
    assert.instanceOf(broken, InternalServerException)
    assert.strictEqual((yield* emulator.stats).callsAnswered, 0)
  }))

it.live("refuses ids that are none, bodies that are none, and operations that it does not have", () =>
  Effect.gen(function*() {
    const { emulator, first, url } = yield* start()
    const id = yield* failure(() => invoke(first, "no such/model", anthropic("why?")))
    assert.instanceOf(id, ValidationException)
    assert.strictEqual(id.message, "The provided model identifier is invalid.")
    for (const body of ["", "{\"a\":", "[1]", "null"]) {
      assert.instanceOf(yield* failure(() => invoke(first, haiku, body)), ValidationException, body)
    }
    const wrong = yield* failure(() => invoke(first, haiku, { messages: [] }))
    assert.instanceOf(wrong, ValidationException)
    assert.strictEqual(wrong.message, "anthropic_version: Field required")
    const cut = yield* Effect.promise(() => fetch(`${url}/model/${haiku}/converse`, { method: "POST", body: "{" }))
    assert.strictEqual(cut.headers.get("x-amzn-errortype"), "SerializationException")
    for (const path of ["model/x/count-tokens", "model/x", "model/x/invoke/more"]) {
      assert.strictEqual((yield* Effect.promise(() => fetch(`${url}/${path}`, { method: "POST" }))).status, 404, path)
    }
    assert.strictEqual((yield* emulator.stats).callsAnswered, 0)
  }))

it.live("takes bodies of 25 MB on demand, and refuses larger ones", () =>
  Effect.gen(function*() {
    const { first } = yield* start({ responder: ({ modelInput }) => ({ length: String(modelInput["data"]).length }) })
    const frame = JSON.stringify({ data: "" }).length
    const send = (bytes: number) => invoke(first, haiku, { data: "x".repeat(bytes - frame) })
    const largest = yield* Effect.promise(() => send(25_000_000))
    assert.deepStrictEqual(JSON.parse(largest.body.transformToString()), { length: 25_000_000 - frame })
    const larger = yield* failure(() => send(25_000_001))
    assert.instanceOf(larger, ValidationException)
    assert.include(larger.message, "less than or equal to 25000000")
  }))

it.live("makes calls fail on request, before the model answers or after it", () =>
  Effect.gen(function*() {
    const { emulator, first, second } = yield* start()
    const calls: ReadonlyArray<() => Promise<unknown>> = [
      () => first.send(new ConverseCommand(talk)),
      () => second.send(new ConverseCommand(talk)),
      () => invoke(first, haiku, anthropic("why?"))
    ]
    for (const call of calls) {
      emulator.faults.set({ throttleInvoke: { next: 1 } })
      assert.instanceOf(yield* failure(call), ThrottlingException)
      emulator.faults.set({ serverErrorOnInvoke: { next: 1 } })
      assert.instanceOf(yield* failure(call), InternalServerException)
      emulator.faults.set({ denyInvoke: { next: 1 } })
      const denied = yield* failure(call)
      assert.instanceOf(denied, AccessDeniedException)
      assert.include(denied.message, "bedrock:InvokeModel")
    }
    assert.strictEqual((yield* emulator.stats).callsAnswered, 0)
    for (const call of calls) {
      emulator.faults.set({ invokeAnswerLost: { next: 1 } })
      assert.notInstanceOf(yield* failure(call), BedrockRuntimeServiceException)
      yield* Effect.promise(() => call())
    }
    assert.strictEqual((yield* emulator.stats).callsAnswered, 6)
  }))

describe("in process", () => {
  it.effect("numbers the calls, and passes the body on", () =>
    Effect.gen(function*() {
      const seen: Array<Responder.RecordRequest> = []
      const { emulator } = yield* emulate({
        responder: (request) => {
          seen.push(request)
          return Responder.standard(request)
        }
      })
      const output = yield* emulator.converse(haiku, converse("why?"))
      assert.deepStrictEqual(output, Responder.standard(seen[0]!))
      yield* emulator.invoke(haiku, anthropic("why?"))
      assert.deepStrictEqual<unknown>(seen, [
        { modelId: haiku, modelInvocationType: "Converse", recordId: "on-demand-1", modelInput: converse("why?") },
        { modelId: haiku, modelInvocationType: "InvokeModel", recordId: "on-demand-2", modelInput: anthropic("why?") }
      ])
    }))

  it.effect("takes its time where that is wanted, and answers even if the caller has gone away", () =>
    Effect.gen(function*() {
      const { emulator } = yield* emulate({ faults: { slowInvoke: { by: "1 minute", when: { next: 2 } } } })
      const patient = yield* Effect.forkChild(emulator.converse(haiku, converse("a")))
      const impatient = yield* Effect.forkChild(emulator.converse(haiku, converse("b")))
      yield* TestClock.adjust("59 seconds")
      assert.isUndefined(patient.pollUnsafe())
      yield* Fiber.interrupt(impatient)
      assert.strictEqual((yield* emulator.stats).callsAnswered, 0)
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(patient)
      assert.strictEqual((yield* emulator.stats).callsAnswered, 2)
    }))
})
