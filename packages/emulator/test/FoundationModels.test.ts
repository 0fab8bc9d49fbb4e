import {
  AccessDeniedException,
  BedrockClient,
  GetFoundationModelAvailabilityCommand,
  ListFoundationModelsCommand,
  ListInferenceProfilesCommand,
  paginateListInferenceProfiles,
  ResourceNotFoundException,
  ThrottlingException,
  ValidationException
} from "@aws-sdk/client-bedrock"
import * as Catalogue from "@bedrock-batch/processors/Catalogue"
import { FoundationModels } from "@bedrock-batch/sdk/bedrock/FoundationModels"
import * as ModelsApi from "@bedrock-batch/sdk/bedrock/ModelsApi"
import { assert, it } from "@effect/vitest"
import { Context, Effect, Layer, Stream } from "effect"
import * as Emulator from "../src/Emulator.ts"
import * as Local from "../src/Local.ts"
import * as Server from "../src/Server.ts"
import * as Storage from "../src/Storage.ts"
import { folder } from "./Fixture.ts"

const credentials = { accessKeyId: "a", secretAccessKey: "b" }
const application = { "my-haiku": "anthropic.claude-haiku-4-5-20251001-v1:0" }

/** A server, AWS's client, and the sdk's service over it. */
const start = Effect.fnUntraced(function*(options: Partial<Emulator.Options> = {}) {
  const region = options.region ?? "us-east-1"
  const { emulator, url } = yield* Server.serve({ seed: "models", storage: Storage.memory(), ...options })
  const client = yield* Effect.acquireRelease(
    Effect.sync(() => new BedrockClient({ endpoint: url, region, credentials, maxAttempts: 1 })),
    (client) => Effect.sync(() => client.destroy())
  )
  const context = yield* Layer.build(ModelsApi.layer({ region, endpoint: url, credentials }))
  return { emulator, client, models: Context.get(context, FoundationModels) }
})

const failure = (call: () => Promise<unknown>) =>
  Effect.promise(() => call().then(() => assert.fail("the call succeeded"), (error: unknown) => error))

it.live("shows AWS's client the models of the Region, with the two inference types that the service knows", () =>
  Effect.gen(function*() {
    const { client } = yield* start({ region: "us-west-2" })
    const { modelSummaries = [] } = yield* Effect.promise(() => client.send(new ListFoundationModelsCommand({})))
    const micro = modelSummaries.find(({ modelId }) => modelId === "amazon.nova-micro-v1:0")
    assert.deepInclude(micro, {
      modelArn: "arn:aws:bedrock:us-west-2::foundation-model/amazon.nova-micro-v1:0",
      providerName: "Amazon",
      inputModalities: ["TEXT"],
      outputModalities: ["TEXT"],
      // In us-west-2 the bare id is not for use.
      inferenceTypesSupported: []
    })
    for (const { inferenceTypesSupported = [], modelArn, modelId } of modelSummaries) {
      assert.isTrue(inferenceTypesSupported.every((type) => type === "ON_DEMAND" || type === "PROVISIONED"), modelId)
      assert.strictEqual(modelArn, `arn:aws:bedrock:us-west-2::foundation-model/${modelId}`)
    }
    const ids = modelSummaries.map(({ modelId }) => modelId)
    assert.notInclude(ids, "amazon.nova-2-multimodal-embeddings-v1:0", "it is in us-east-1 alone")
    assert.include(ids, "anthropic.claude-opus-4-8", "one that batch inference refuses")
    const legacy = modelSummaries.find(({ modelId }) => modelId === "meta.llama3-3-70b-instruct-v1:0")
    assert.deepStrictEqual(legacy?.modelLifecycle?.status, "LEGACY")
    assert.deepStrictEqual(legacy?.modelLifecycle?.endOfLifeTime, new Date("2027-03-30T00:00:00Z"))
    const some = yield* Effect.promise(() =>
      client.send(new ListFoundationModelsCommand({ byProvider: "amazon", byOutputModality: "EMBEDDING" })))
    assert.deepStrictEqual(some.modelSummaries?.map(({ modelId }) => modelId), [
      "amazon.titan-embed-image-v1",
      "amazon.titan-embed-text-v2:0"
    ])
    const wrong = yield* failure(() =>
      client.send(new ListFoundationModelsCommand({ byOutputModality: "SMELL" as "TEXT" })))
    assert.instanceOf(wrong, ValidationException)
  }))

it.live("pages inference profiles, the service's own unless the account's are asked for", () =>
  Effect.gen(function*() {
    const { client } = yield* start({ region: "eu-west-1", applicationProfiles: application })
    const profiles: Array<string> = []
    yield* Effect.promise(async () => {
      for await (const page of paginateListInferenceProfiles({ client, pageSize: 3 }, {})) {
        assert.isAtMost(page.inferenceProfileSummaries!.length, 3)
        for (const { inferenceProfileId, models, type } of page.inferenceProfileSummaries!) {
          profiles.push(inferenceProfileId!)
          assert.strictEqual(type, "SYSTEM_DEFINED")
          assert.isAbove(models!.length, 0)
        }
      }
    })
    assert.isAbove(profiles.length, 9)
    assert.include(profiles, "eu.amazon.nova-lite-v1:0")
    assert.include(profiles, "global.anthropic.claude-opus-5")
    assert.isTrue(profiles.every((id) => /^(?:eu|global)\./.test(id)))
    const { inferenceProfileSummaries: own } = yield* Effect.promise(() =>
      client.send(new ListInferenceProfilesCommand({ typeEquals: "APPLICATION" })))
    assert.deepStrictEqual(own?.map(({ inferenceProfileName }) => inferenceProfileName), ["my-haiku"])
    assert.match(own![0]!.inferenceProfileArn!, /:123456789012:application-inference-profile\/[0-9a-f]{12}$/)
    for (const input of [{ maxResults: 0 }, { maxResults: 1001 }, { nextToken: "none" }]) {
      const wrong = yield* failure(() => client.send(new ListInferenceProfilesCommand(input)))
      assert.instanceOf(wrong, ValidationException)
    }
  }))

it.live("tells whether the account may use a model", () =>
  Effect.gen(function*() {
    const { client } = yield* start({ withoutAccess: ["zai.glm-4.7"] })
    const ask = (modelId: string) => () => client.send(new GetFoundationModelAvailabilityCommand({ modelId }))
    assert.deepInclude(yield* Effect.promise(ask("amazon.nova-micro-v1:0")), {
      modelId: "amazon.nova-micro-v1:0",
      agreementAvailability: { status: "AVAILABLE" },
      authorizationStatus: "AUTHORIZED"
    })
    assert.deepInclude(yield* Effect.promise(ask("zai.glm-4.7")), { authorizationStatus: "NOT_AUTHORIZED" })
    assert.instanceOf(yield* failure(ask("no.such-model")), ResourceNotFoundException)
  }))

it.live("refuses and throttles as it is told, and counts the calls", () =>
  Effect.gen(function*() {
    const { client, emulator } = yield* start({ faults: { denyModels: 1, denyProfiles: 1, denyAvailability: 1 } })
    const calls = [
      () => client.send(new ListFoundationModelsCommand({})),
      () => client.send(new ListInferenceProfilesCommand({})),
      () => client.send(new GetFoundationModelAvailabilityCommand({ modelId: "amazon.nova-micro-v1:0" }))
    ]
    for (const call of calls) assert.instanceOf(yield* failure(call), AccessDeniedException)
    emulator.faults.set({ throttleModels: 1 })
    for (const call of calls) assert.instanceOf(yield* failure(call), ThrottlingException)
    assert.deepInclude((yield* emulator.stats).calls, { listModels: 2, listProfiles: 2, getAvailability: 2 })
  }))

/** All that the service tells. */
const everything = Effect.fnUntraced(function*(service: FoundationModels["Service"]) {
  return {
    region: service.region,
    models: (yield* service.list).map((model) => ({ ...model, endOfLife: model.endOfLife?.slice(0, 10) ?? null })),
    profiles: yield* Stream.runCollect(service.profiles("SYSTEM_DEFINED")),
    application: yield* Stream.runCollect(service.profiles("APPLICATION")),
    availability: yield* service.availability("amazon.nova-micro-v1:0"),
    unknown: (yield* Effect.flip(service.availability("no.such-model"))).reason
  }
})

it.live("is the same over HTTP and in process, for the sdk's service", () =>
  Effect.gen(function*() {
    const { emulator, models } = yield* start({ applicationProfiles: application })
    const overHttp = yield* everything(models)
    const inProcess = yield* everything(Local.foundationModels(emulator))
    assert.deepInclude(overHttp.unknown, { _tag: "Refused", code: "ResourceNotFoundException" })
    assert.deepInclude(inProcess.unknown, { _tag: "Refused", code: "ResourceNotFoundException" })
    assert.deepStrictEqual({ ...overHttp, unknown: null }, { ...inProcess, unknown: null })
    assert.isAbove(overHttp.models.length, Catalogue.models.length / 2)
  }))

it.live("tries again what was throttled, and is part of the local layer", () =>
  Effect.gen(function*() {
    const { emulator, models } = yield* start()
    emulator.faults.set({ throttleModels: { next: 2 } })
    assert.isAbove((yield* models.list).length, 0)
    assert.strictEqual((yield* emulator.stats).calls.listModels, 3)
    const directory = yield* folder
    const list = Effect.flatMap(FoundationModels, (service) => service.list)
    const local = yield* Effect.provide(list, Local.layer({ directory }))
    assert.strictEqual(local.length, (yield* models.list).length)
  }))
