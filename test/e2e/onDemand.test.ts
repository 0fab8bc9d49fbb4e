import { Local, Responder } from "@bedrock-batch/emulator"
import { BatchJobs } from "@bedrock-batch/sdk"
import { OnDemand, type OnDemandRequest } from "@bedrock-batch/sdk/bedrock/OnDemand"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { bucket, haiku, roleArn, type Stack, start, titan } from "../rig/Stack.ts"

const blob = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

const schema = {
  type: "object",
  properties: { joke: { type: "string" }, score: { type: "number" } },
  required: ["joke", "score"],
  additionalProperties: false
}

/** Requests of every shape; each is one record of a job, and one call. */
const requests: ReadonlyArray<OnDemandRequest> = [
  {
    model: haiku,
    invocationType: "Converse",
    body: { messages: [{ role: "user", content: [{ text: "Why?\u2028So." }] }] }
  },
  {
    model: "amazon.nova-lite-v1:0",
    invocationType: "Converse",
    body: {
      messages: [{
        role: "user",
        content: [
          { image: { format: "png", source: { bytes: blob } } },
          { document: { format: "txt", name: "notes", source: { bytes: "bm90ZXM=" } } },
          { text: "What is this?", novelty: { bytes: blob, more: [null, 1e-7, 12345678901234567890] } }
        ]
      }],
      system: [{ text: "Be short." }],
      inferenceConfig: { maxTokens: 5, temperature: 0.5 },
      additionalModelRequestFields: { top_k: 5 }
    }
  },
  {
    model: haiku,
    invocationType: "InvokeModel",
    body: {
      anthropic_version: "bedrock-2023-05-31",
      max_tokens: 64,
      output_config: { format: { type: "json_schema", schema } },
      messages: [{
        role: "user",
        content: [
          { type: "image", source: { type: "base64", media_type: "image/png", data: blob } },
          { type: "text", text: "A joke, as JSON" }
        ]
      }]
    }
  },
  { model: titan, invocationType: "InvokeModel", body: { inputText: "some text", dimensions: 256, normalize: true } },
  {
    model: "amazon.nova-2-multimodal-embeddings-v1:0",
    invocationType: "InvokeModel",
    body: {
      taskType: "SINGLE_EMBEDDING",
      singleEmbeddingParams: { embeddingPurpose: "GENERIC_INDEX", text: { truncationMode: "END", value: "some text" } }
    }
  }
]

/** The text of the `modelOutput` that a job with this one record writes. */
const inBatch = Effect.fnUntraced(function*(stack: Stack, request: OnDemandRequest, name: string) {
  const jobs = yield* BatchJobs.BatchJobs
  const line = JSON.stringify({ recordId: "r0000000000", modelInput: request.body })
  yield* stack.put(`${name}/in/part-0.jsonl`, `${line}\n`)
  const { arn } = yield* jobs.create({
    ...jobs.settings,
    jobName: name,
    clientRequestToken: name,
    roleArn,
    modelId: request.model,
    modelInvocationType: request.invocationType,
    inputUri: `s3://${bucket}/${name}/in/`,
    outputUri: `s3://${bucket}/${name}/out/`,
    timeoutHours: 24
  })
  while ((yield* jobs.get(arn)).status !== "Completed") yield* Effect.sleep(20)
  const output = yield* stack.text(`${name}/out/${arn.slice(-12)}/part-0.jsonl.out`)
  const head = `${line.slice(0, -1)},"modelOutput":`
  assert.strictEqual(output.slice(0, head.length), head)
  assert.strictEqual(output.slice(-2), "}\n")
  return output.slice(head.length, -2)
})

it.live("a call is answered what a job answers its record, byte for byte, over HTTP and in process", () =>
  Effect.gen(function*() {
    const asked: Array<Responder.RecordRequest> = []
    const stack = yield* start({
      nullFilledUnions: false,
      limits: { minRecords: 1 },
      responder: (request) => {
        asked.push(request)
        const answer = Responder.standard(request)
        // Members that no client knows, and a blob.
        return Responder.isRecordError(answer) ? answer : { ...answer, novelty: [1.0, null, { bytes: blob }] }
      }
    })
    yield* Effect.gen(function*() {
      const onDemand = yield* OnDemand
      for (const [index, request] of requests.entries()) {
        const expected = yield* inBatch(stack, request, `job-${index}`)
        assert.include(expected, `"novelty":[1,null,{"bytes":"${blob}"}]`)
        assert.strictEqual(JSON.stringify(yield* onDemand.invoke(request)), expected)
        const inProcess = yield* Local.onDemand(stack.emulator).invoke(request)
        assert.strictEqual(JSON.stringify(inProcess), expected)
      }
      // What the models were sent is the same, too.
      assert.strictEqual(asked.length, 3 * requests.length)
      for (const [index, { body, invocationType, model }] of requests.entries()) {
        for (const one of asked.slice(3 * index, 3 * index + 3)) {
          assert.deepStrictEqual(
            [one.modelInput, one.modelInvocationType, one.modelId],
            [body, invocationType, model]
          )
        }
      }
      const { callsAnswered, recordsProcessed } = yield* stack.emulator.stats
      assert.deepStrictEqual([callsAnswered, recordsProcessed], [2 * requests.length, requests.length])
    }).pipe(Effect.provide(stack.layer()))
  }))

it.live("a call that goes wrong is told apart, the same over HTTP and in process", () =>
  Effect.gen(function*() {
    const [request] = requests
    assert.isDefined(request)
    const stack = yield* start({
      responder: (asked) => {
        const errorCode = Number(JSON.stringify(asked.modelInput).match(/code (\d+)/)?.[1])
        return errorCode > 0 ? { error: { errorCode, errorMessage: "no" } } : Responder.standard(asked)
      }
    })
    const { faults } = stack.emulator
    yield* Effect.gen(function*() {
      const overHttp = yield* OnDemand
      for (const { invoke } of [overHttp, Local.onDemand(stack.emulator)]) {
        const outcome = (body: OnDemandRequest["body"] = request.body) =>
          Effect.map(Effect.flip(invoke({ ...request, body })), ({ isRetryable, module, reason }) => [
            module,
            reason._tag,
            "code" in reason ? reason.code : null,
            isRetryable
          ])
        const told = (code: number) => outcome({ messages: [{ role: "user", content: [{ text: `code ${code}` }] }] })
        assert.deepStrictEqual(yield* told(400), ["OnDemand", "Refused", "ValidationException", false])
        assert.deepStrictEqual(yield* told(403), ["OnDemand", "Refused", "AccessDeniedException", false])
        assert.deepStrictEqual(yield* told(404), ["OnDemand", "Refused", "ResourceNotFoundException", false])
        assert.deepStrictEqual(yield* told(429), ["OnDemand", "Unavailable", "throttled", true])
        for (const code of [408, 424, 500, 503]) {
          assert.deepStrictEqual(yield* told(code), ["OnDemand", "Unavailable", "server", true], String(code))
        }
        faults.set({ throttleInvoke: { next: 1 } })
        assert.deepStrictEqual(yield* outcome(), ["OnDemand", "Unavailable", "throttled", true])
        faults.set({ serverErrorOnInvoke: { next: 1 } })
        assert.deepStrictEqual(yield* outcome(), ["OnDemand", "Unavailable", "server", true])
        faults.set({ denyInvoke: { next: 1 } })
        assert.deepStrictEqual(yield* outcome(), ["OnDemand", "Refused", "AccessDeniedException", false])
        const before = (yield* stack.emulator.stats).callsAnswered
        faults.set({ invokeAnswerLost: { next: 1 } })
        assert.deepStrictEqual(yield* outcome(), ["OnDemand", "Unavailable", "network", true])
        assert.strictEqual((yield* stack.emulator.stats).callsAnswered, before + 1)
      }
      yield* overHttp.invoke(request)
    }).pipe(Effect.provide(stack.layer()))
  }))

it.live("a call that is given up has been answered, and counted, all the same", () =>
  Effect.gen(function*() {
    const [request] = requests
    assert.isDefined(request)
    const stack = yield* start({ faults: { slowInvoke: { by: "2 seconds", when: { next: 1 } } } })
    const call = Effect.flatMap(OnDemand, ({ invoke }) => invoke(request))
    const { reason } = yield* Effect.flip(
      Effect.provide(call, stack.layer({ onDemand: { callTimeout: "1 second" } }))
    )
    assert.deepStrictEqual([reason._tag, "code" in reason && reason.code], ["Unavailable", "network"])
    while ((yield* stack.emulator.stats).callsAnswered === 0) yield* Effect.sleep(20)
    yield* Effect.provide(call, stack.layer())
    assert.strictEqual((yield* stack.emulator.stats).callsAnswered, 2)
  }))
