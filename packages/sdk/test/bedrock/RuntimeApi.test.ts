import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer } from "effect"
import { createHash, createHmac } from "node:crypto"
import type { BatchError } from "../../src/BatchError.ts"
import { OnDemand, type OnDemandRequest } from "../../src/bedrock/OnDemand.ts"
import * as RuntimeApi from "../../src/bedrock/RuntimeApi.ts"
import { answer, type Arrived, exception, type Script, startRuntime } from "../rig/ScriptedRuntime.ts"

const credentials = { accessKeyId: "id", secretAccessKey: "secret" }

/** The scripted endpoint, and the service on it. */
const start = Effect.fnUntraced(function*(options: Partial<RuntimeApi.Options> = {}) {
  const runtime = yield* startRuntime
  const services = yield* Layer.build(
    RuntimeApi.layer({ region: "us-east-1", credentials, endpoint: runtime.url, ...options })
  )
  const onDemand = yield* Effect.provide(OnDemand, services)
  return { runtime, onDemand, invoke: onDemand.invoke }
})

const talk = (text = "why?"): OnDemandRequest => ({
  model: "anthropic.claude-haiku-4-5-20251001-v1:0",
  invocationType: "Converse",
  body: { messages: [{ role: "user", content: [{ text }] }] }
})
const both: ReadonlyArray<OnDemandRequest> = [talk(), { ...talk(), invocationType: "InvokeModel" }]

const reasonOf = (effect: Effect.Effect<unknown, BatchError>) =>
  Effect.map(Effect.flip(effect), ({ method, module, reason }) => {
    assert.deepStrictEqual([module, method], ["OnDemand", "invoke"])
    return [reason._tag, "code" in reason ? reason.code : null]
  })

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex")
const hmac = (key: string | Buffer, text: string) => createHmac("sha256", key).update(text).digest()

/** Signature version 4 of what arrived, by the documentation: the path is encoded twice, the body is hashed. */
const signatureOf = ({ body, headers, method, path }: Arrived, region: string) => {
  const signed = /SignedHeaders=([^,]+)/.exec(headers.authorization ?? "")?.[1] ?? ""
  const time = String(headers["x-amz-date"])
  const scope = `${time.slice(0, 8)}/${region}/bedrock/aws4_request`
  const canonical = [
    method,
    path.split("/").map(encodeURIComponent).join("/"),
    "",
    ...signed.split(";").map((name) => `${name}:${String(headers[name])}`),
    "",
    signed,
    sha256(body)
  ]
  const text = ["AWS4-HMAC-SHA256", time, scope, sha256(canonical.join("\n"))].join("\n")
  const key = scope.split("/").reduce<string | Buffer>(hmac, `AWS4${credentials.secretAccessKey}`)
  return `AWS4-HMAC-SHA256 Credential=${credentials.accessKeyId}/${scope}, SignedHeaders=${signed}, Signature=${
    hmac(key, text).toString("hex")
  }`
}

/** JSON that a typed reader or writer would change: blobs, unknown members, odd numbers, escapes, nulls, order. */
const hostile = {
  zebra: 1,
  messages: [{
    role: "user",
    content: [
      { image: { format: "png", source: { bytes: "iVBORw0KGgo=" } } },
      { document: { name: "d", format: "pdf", source: { bytes: "JVBERi0xLjQK" } }, cachePoint: null },
      { novelty: { bytes: "aGVsbG8=", list: [1.5, -0.25, 1e21, null, {}, []] } },
      { text: "line\u2028separator, emoji \u{1F600}, \"quotes\" \\ and \u0000" }
    ]
  }],
  additionalModelRequestFields: { reasoning: { bytes: "eA==" } },
  alpha: { output: { message: { content: [{ reasoningContent: { redactedContent: "c2VjcmV0" } }] } } }
}

describe("the wire", () => {
  it.live("carries the body as it is, and the answer, whatever is in them", () =>
    Effect.gen(function*() {
      const { invoke, runtime } = yield* start()
      for (const invocationType of ["Converse", "InvokeModel"] as const) {
        const text = JSON.stringify(hostile)
        runtime.script = answer(text)
        const output = yield* invoke({ model: "amazon.nova-lite-v1:0", invocationType, body: hostile })
        assert.strictEqual(JSON.stringify(output), text)
        const call = runtime.calls.at(-1)!
        assert.strictEqual(call.body, text)
        assert.strictEqual(call.method, "POST")
        assert.strictEqual(call.headers["content-type"], "application/json")
        assert.strictEqual(call.headers["content-length"], String(Buffer.byteLength(text)))
      }
    }))

  it.live("carries the JSON text of the body where there is one, with all digits of its numbers", () =>
    Effect.gen(function*() {
      const { invoke, runtime } = yield* start()
      const text = "{ \"n\": 12345678901234567890, \"f\":1.0}"
      yield* invoke({ ...talk(), body: JSON.parse(text), text })
      assert.strictEqual(runtime.calls.at(-1)!.body, text)
    }))

  it.live("names the operation and the model, in full, and signs for the Region", () =>
    Effect.gen(function*() {
      const { invoke, onDemand, runtime } = yield* start({ region: "eu-west-1" })
      const arn = "arn:aws:bedrock:eu-west-1:123456789012:application-inference-profile/abc123"
      yield* invoke({ ...talk(), model: arn })
      yield* invoke({ ...talk(), invocationType: "InvokeModel" })
      assert.strictEqual(onDemand.region, "eu-west-1")
      assert.deepStrictEqual(runtime.calls.map(({ path }) => path), [
        `/model/${encodeURIComponent(arn)}/converse`,
        "/model/anthropic.claude-haiku-4-5-20251001-v1%3A0/invoke"
      ])
      for (const call of runtime.calls) {
        assert.strictEqual(call.headers.authorization, signatureOf(call, "eu-west-1"))
      }
    }))

  it.live("takes any JSON as an answer", () =>
    Effect.gen(function*() {
      const { invoke, runtime } = yield* start()
      for (const text of ["{}", "null", "[1]", "\"text\"", "0", " { \"a\" : 1 } "]) {
        runtime.script = answer(text)
        for (const request of both) assert.deepStrictEqual(yield* invoke(request), JSON.parse(text))
      }
    }))

  it.live("makes as many calls at a time as it is told to, and one attempt each", () =>
    Effect.gen(function*() {
      const { invoke, onDemand, runtime } = yield* start({ concurrency: 3 })
      assert.strictEqual(onDemand.concurrency, 3)
      const waiting: Array<() => void> = []
      const isFull = yield* Deferred.make<void>()
      let most = 0
      runtime.script = (call, response) => {
        waiting.push(() => answer("{}")(call, response))
        most = Math.max(most, waiting.length)
        if (waiting.length === 3) Deferred.doneUnsafe(isFull, Effect.void)
      }
      const fiber = yield* Effect.forkChild(
        Effect.forEach(Array.from({ length: 10 }, () => talk()), invoke, { concurrency: "unbounded" })
      )
      yield* Deferred.await(isFull)
      // Calls that came beside the three would be here by the time that these are answered.
      runtime.script = (call, response) => {
        most = Math.max(most, waiting.length + 1)
        answer("{}")(call, response)
      }
      for (const end of waiting.splice(0)) end()
      assert.strictEqual((yield* Fiber.join(fiber)).length, 10)
      assert.strictEqual(most, 3)
      assert.strictEqual(runtime.calls.length, 10)
    }))
})

describe("failures", () => {
  const cases: ReadonlyArray<readonly [string, Script, string, string]> = [
    ["ValidationException", exception("ValidationException", 400), "Refused", "ValidationException"],
    ["AccessDeniedException", exception("AccessDeniedException", 403), "Refused", "AccessDeniedException"],
    ["ExpiredTokenException", exception("ExpiredTokenException", 403), "Refused", "ExpiredTokenException"],
    ["ResourceNotFoundException", exception("ResourceNotFoundException", 404), "Refused", "ResourceNotFoundException"],
    ["ThrottlingException", exception("ThrottlingException", 429), "Unavailable", "throttled"],
    ["TooManyRequestsException", exception("TooManyRequestsException", 429), "Unavailable", "throttled"],
    ["ServiceQuotaExceededException", exception("ServiceQuotaExceededException", 400), "Unavailable", "quota"],
    ["ModelTimeoutException", exception("ModelTimeoutException", 408), "Unavailable", "server"],
    ["ModelErrorException", exception("ModelErrorException", 424), "Unavailable", "server"],
    ["ModelNotReadyException", exception("ModelNotReadyException", 429), "Unavailable", "server"],
    ["InternalServerException", exception("InternalServerException", 500), "Unavailable", "server"],
    ["ServiceUnavailableException", exception("ServiceUnavailableException", 503), "Unavailable", "server"],
    ["an exception that nobody knows", exception("NewException", 422), "Refused", "NewException"],
    ["a proxy's page with status 502", answer("<html>Bad gateway</html>", 502), "Unavailable", "server"],
    ["a proxy's page with status 403", answer("<html>No</html>", 403), "Unavailable", "server"],
    ["an empty answer of status 500", answer("", 500), "Unavailable", "server"],
    ["an exception that is cut", answer("{\"message\":\"The inp", 400), "Unavailable", "server"],
    ["an answer that is no JSON", answer("<html>Welcome</html>"), "Unavailable", "server"],
    ["an answer that is empty", answer(""), "Unavailable", "server"],
    ["an answer that ends too early", answer("{\"output\":{\"mess"), "Unavailable", "server"],
    ["a status that no operation has", answer("{}", 204), "Unavailable", "server"],
    ["an answer that is not UTF-8", (_, response) => {
      response.end(Buffer.from([0x22, 0xff, 0x22]))
    }, "Unavailable", "server"],
    ["an answer that breaks off", (_, response) => {
      response.writeHead(200, { "content-length": 1000 })
      response.write("{\"output\":", () => response.destroy())
    }, "Unavailable", "server"],
    ["an exception that breaks off", (_, response) => {
      response.writeHead(400, { "content-length": 1000, "x-amzn-ErrorType": "ValidationException" })
      response.write("{\"mess", () => response.destroy())
    }, "Unavailable", "server"],
    ["a connection that is reset", (_, response) => void response.socket?.resetAndDestroy(), "Unavailable", "network"],
    ["a connection that is closed", (_, response) => void response.socket?.end(), "Unavailable", "network"]
  ]
  for (const [what, script, tag, code] of cases) {
    it.live(`${what} is ${tag}, ${code}`, () =>
      Effect.gen(function*() {
        const { invoke, runtime } = yield* start()
        runtime.script = script
        for (const request of both) assert.deepStrictEqual(yield* reasonOf(invoke(request)), [tag, code])
        // One attempt each, and the client is as good as before.
        assert.strictEqual(runtime.calls.length, 2)
        runtime.script = answer("{\"well\":true}")
        assert.deepStrictEqual(yield* invoke(talk()), { well: true })
      }))
  }

  it.live("keep the service's words, and show nothing of an answer", () =>
    Effect.gen(function*() {
      const { invoke, runtime } = yield* start()
      runtime.script = exception("ValidationException", 400, "max_tokens: Field required")
      const refused = yield* Effect.flip(invoke(talk()))
      assert.strictEqual(refused.reason.message, "max_tokens: Field required")
      runtime.script = answer("secret answer")
      const broken = yield* Effect.flip(invoke(talk()))
      assert.notInclude(JSON.stringify([broken.message, broken.reason]), "secret")
    }))

  it.live("a call that takes too long is Unavailable, network, at its limit, while it is silent or in the middle", () =>
    Effect.gen(function*() {
      const { invoke, runtime } = yield* start({ callTimeout: "50 millis" })
      runtime.script = () => {}
      assert.deepStrictEqual(yield* reasonOf(invoke(talk())), ["Unavailable", "network"])
      runtime.script = (_, response) => {
        const timer = setInterval(() => response.write(" "), 5)
        response.on("close", () => clearInterval(timer))
      }
      assert.deepStrictEqual(yield* reasonOf(invoke(talk())), ["Unavailable", "network"])
    }))

  it.live("an endpoint that nobody listens at is Unavailable, network", () =>
    Effect.gen(function*() {
      const { url } = yield* Effect.scoped(startRuntime)
      const { invoke } = yield* start({ endpoint: url })
      assert.deepStrictEqual(yield* reasonOf(invoke(talk())), ["Unavailable", "network"])
    }))
})

/** Environment variables, for as long as the scope is open. */
const environment = (variables: { readonly [name: string]: string | undefined }) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const before = { ...process.env }
      for (const [name, value] of Object.entries(variables)) {
        if (value === undefined) delete process.env[name]
        else process.env[name] = value
      }
      return before
    }),
    (before) =>
      Effect.sync(() => {
        for (const name of Object.keys(variables)) delete process.env[name]
        Object.assign(process.env, before)
      })
  )

const nothing = {
  AWS_REGION: undefined,
  AWS_DEFAULT_REGION: undefined,
  AWS_PROFILE: undefined,
  AWS_ACCESS_KEY_ID: undefined,
  AWS_SECRET_ACCESS_KEY: undefined,
  AWS_CONFIG_FILE: "/no/such/file",
  AWS_SHARED_CREDENTIALS_FILE: "/no/such/file",
  AWS_EC2_METADATA_DISABLED: "true"
}

describe("the layer", () => {
  const build = (options: RuntimeApi.Options) => Effect.scoped(Layer.build(RuntimeApi.layer(options)))

  it.effect("fails with the option that is wrong", () =>
    Effect.gen(function*() {
      const wrong: ReadonlyArray<readonly [string, RuntimeApi.Options]> = [
        ["concurrency", { concurrency: 0 }],
        ["concurrency", { concurrency: 2.5 }],
        ["callTimeout", { callTimeout: 0 }],
        ["callTimeout", { callTimeout: "2 days" }],
        ["callTimeout", { callTimeout: Number.NaN }]
      ]
      for (const [path, options] of wrong) {
        const { module, reason } = yield* Effect.flip(build({ region: "us-east-1", ...options }))
        assert.strictEqual(module, "OnDemand")
        assert.propertyVal(reason, "path", path)
        assert.strictEqual(reason._tag, "InvalidOption")
      }
    }))

  it.live("finds the Region in the environment, and says so where there is none", () =>
    Effect.gen(function*() {
      yield* environment(nothing)
      const { module, reason } = yield* Effect.flip(build({ credentials }))
      assert.deepStrictEqual([module, reason._tag], ["OnDemand", "InvalidOption"])
      assert.propertyVal(reason, "path", "region")
      yield* environment({ AWS_REGION: "ap-south-1" })
      const { onDemand } = yield* start({ region: undefined })
      assert.strictEqual(onDemand.region, "ap-south-1")
    }))

  it.live("sends nothing without credentials, and calls that a refusal", () =>
    Effect.gen(function*() {
      yield* environment(nothing)
      const { invoke, runtime } = yield* start({ credentials: undefined })
      assert.deepStrictEqual(yield* reasonOf(invoke(talk())), ["Refused", "CredentialsProviderError"])
      assert.deepStrictEqual(runtime.calls, [])
    }))

  it.live("has its defaults, and needs nothing of AWS before the first call", () =>
    Effect.gen(function*() {
      const onDemand = yield* OnDemand
      assert.strictEqual(onDemand.concurrency, 10)
      assert.strictEqual(onDemand.region, "us-east-1")
    }).pipe(Effect.provide(RuntimeApi.layer({ region: "us-east-1" }))))
})
