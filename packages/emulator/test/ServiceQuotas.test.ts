import {
  AccessDeniedException,
  GetServiceQuotaCommand,
  IllegalArgumentException,
  InvalidPaginationTokenException,
  ListAWSDefaultServiceQuotasCommand,
  ListServiceQuotasCommand,
  NoSuchResourceException,
  paginateListServiceQuotas,
  ServiceQuotasClient,
  TooManyRequestsException
} from "@aws-sdk/client-service-quotas"
import * as ServiceQuotasApi from "@bedrock-batch/sdk/bedrock/ServiceQuotasApi"
import { defaults, type Limits } from "@bedrock-batch/sdk/Limits"
import { find, isBatchQuota, models, phrases, type Quota, ServiceQuotas, subjectOf } from "@bedrock-batch/sdk/schedule/Quotas"
import { assert, it } from "@effect/vitest"
import { Context, Effect, Layer, Stream } from "effect"
import * as Emulator from "../src/Emulator.ts"
import * as Local from "../src/Local.ts"
import * as Server from "../src/Server.ts"
import * as Storage from "../src/Storage.ts"
import { haiku } from "./Fixture.ts"

const credentials = { accessKeyId: "a", secretAccessKey: "b" }
const openJobs = "L-63020993"
const sonnet = "anthropic.claude-sonnet-4-5-20250929-v1:0"
const kinds = Object.keys(defaults) as Array<keyof Limits>

/** A server, AWS's client, and the sdk's service over it. */
const start = Effect.fnUntraced(function*(options: Partial<Emulator.Options> = {}) {
  const { emulator, url } = yield* Server.serve({ seed: "quotas", storage: Storage.memory(), ...options })
  const client = yield* Effect.acquireRelease(
    Effect.sync(() => new ServiceQuotasClient({ endpoint: url, region: "us-east-1", credentials, maxAttempts: 1 })),
    (client) => Effect.sync(() => client.destroy())
  )
  const context = yield* Layer.build(ServiceQuotasApi.layer({ region: "us-east-1", endpoint: url, credentials }))
  return { emulator, client, quotas: Context.get(context, ServiceQuotas) }
})

const failure = (call: () => Promise<unknown>) =>
  Effect.promise(() => call().then(() => assert.fail("the call succeeded"), (error: unknown) => error))

const rowsOf = (rows: Stream.Stream<Quota, unknown>) => Effect.orDie(Stream.runCollect(rows))

/** The limits of a model by its rows. */
const read = (rows: ReadonlyArray<Quota>, model: string) =>
  Object.fromEntries(kinds.map((kind) => [kind, find(rows, kind, subjectOf(model))?.value ?? null]))

it.live("shows AWS's client the quotas of batch inference as its own table has them", () =>
  Effect.gen(function*() {
    const { client } = yield* start()
    const { Quota } = yield* Effect.promise(() =>
      client.send(new GetServiceQuotaCommand({ ServiceCode: "bedrock", QuotaCode: openJobs })))
    assert.deepInclude(Quota, {
      ServiceCode: "bedrock",
      QuotaArn: `arn:aws:servicequotas:us-east-1:123456789012:bedrock/${openJobs}`,
      QuotaCode: openJobs,
      QuotaName: "Sum of in-progress and submitted batch inference jobs using a base model for Claude Haiku 4.5",
      Value: 100,
      Adjustable: true,
      GlobalQuota: false
    })
    const names: Array<string> = []
    const pages = paginateListServiceQuotas({ client }, { ServiceCode: "bedrock" })
    yield* Effect.promise(async () => {
      for await (const page of pages) {
        assert.isAtMost(page.Quotas!.length, 100)
        for (const row of page.Quotas!) names.push(row.QuotaName!)
      }
    })
    assert.isAbove(names.length, 7 * Object.keys(models).length)
    assert.strictEqual(new Set(names).size, names.length)
    assert.include(names, `${phrases.maxOpenJobs} for Claude Sonnet 4.5.`)
    assert.include(names, "Batch inference job size (in GB) for Claude Haiku 4.5")
  }))

it.live("pages as it is asked to, and refuses what is no page", () =>
  Effect.gen(function*() {
    const { client } = yield* start()
    const list = (input: { readonly MaxResults?: number; readonly NextToken?: string }) => () =>
      client.send(new ListServiceQuotasCommand({ ServiceCode: "bedrock", ...input }))
    const first = yield* Effect.promise(list({ MaxResults: 2 }))
    const second = yield* Effect.promise(list({ MaxResults: 1, NextToken: first.NextToken! }))
    const three = yield* Effect.promise(list({ MaxResults: 3 }))
    assert.deepStrictEqual([...first.Quotas!, ...second.Quotas!], three.Quotas)
    assert.instanceOf(yield* failure(list({ MaxResults: 101 })), IllegalArgumentException)
    assert.instanceOf(yield* failure(list({ NextToken: "nonsense" })), InvalidPaginationTokenException)
  }))

it.live("refuses quotas and services that are not there, and operations that it does not have", () =>
  Effect.gen(function*() {
    const { client, emulator } = yield* start()
    const get = (ServiceCode: string, QuotaCode: string) => () =>
      client.send(new GetServiceQuotaCommand({ ServiceCode, QuotaCode }))
    assert.instanceOf(yield* failure(get("bedrock", "L-00000000")), NoSuchResourceException)
    assert.instanceOf(yield* failure(get("ec2", openJobs)), NoSuchResourceException)
    const unknown = yield* Effect.flip(emulator.quotas("RequestServiceQuotaIncrease", {}))
    assert.strictEqual(unknown.name, "UnknownOperationException")
  }))

it.live("tells the limits that the emulator keeps, changed while it runs, beside those of every account", () =>
  Effect.gen(function*() {
    let given: Partial<Limits> = { maxOpenJobs: 7, minRecords: 10, maxFileBytes: 500_000_000 }
    const { quotas } = yield* start({ limits: () => given })
    const now = yield* rowsOf(quotas.list)
    const told = { ...defaults, maxFileBytes: 1, maxJobBytes: 5 }
    assert.deepStrictEqual(read(now, haiku), { ...told, maxOpenJobs: 7, minRecords: 10, maxFileBytes: 0.5 })
    assert.deepStrictEqual(read(yield* rowsOf(quotas.defaults), haiku), told)
    assert.strictEqual((yield* quotas.get(openJobs))?.value, 7)
    for (const maxOpenJobs of [40, 3]) {
      given = { maxOpenJobs }
      assert.strictEqual((yield* quotas.get(openJobs))?.value, maxOpenJobs)
    }
    assert.isTrue(now.some((row) => !isBatchQuota(row)))
  }))

it.live("knows larger jobs of some models, and fewer of custom ones", () =>
  Effect.gen(function*() {
    const { quotas } = yield* start()
    const rows = yield* rowsOf(quotas.list)
    assert.strictEqual(read(rows, "amazon.nova-lite-v1:0")["maxJobBytes"], 100)
    const custom = "arn:aws:bedrock:us-east-1:123456789012:custom-model/amazon.titan-embed-text-v2:0/abcdefghijkl"
    assert.strictEqual(read(rows, custom)["maxOpenJobs"], 3)
    assert.strictEqual(read(rows, "amazon.titan-embed-text-v2:0")["maxOpenJobs"], 100)
  }))

it.live("gives every model of the sdk's table all of its quotas, whatever names and codes they have", () =>
  Effect.gen(function*() {
    const { emulator, quotas } = yield* start()
    const expected = { ...defaults, maxFileBytes: 1, maxJobBytes: 5 }
    for (const quotaNames of ["documented", "stray"] as const) {
      for (const quotaCodes of ["documented", "reissued"] as const) {
        emulator.faults.set({ quotaNames, quotaCodes })
        const rows = yield* rowsOf(quotas.list)
        assert.strictEqual((yield* quotas.get(openJobs)) === null, quotaCodes === "reissued")
        for (const model of Object.keys(models)) {
          const large = /nova-(?:lite-v1|pro-v1|2-multimodal)/.test(model)
          assert.deepStrictEqual(read(rows, model), { ...expected, ...(large ? { maxJobBytes: 100 } : {}) }, model)
        }
      }
    }
  }))

it.live("can lack rows, in the account or altogether", () =>
  Effect.gen(function*() {
    const { emulator, quotas } = yield* start()
    emulator.faults.set({ quotaRows: "defaults" })
    assert.isNull(yield* quotas.get(openJobs))
    assert.lengthOf(yield* rowsOf(quotas.list), 0)
    assert.strictEqual(read(yield* rowsOf(quotas.defaults), sonnet)["maxOpenJobs"], 100)
    emulator.faults.set({ quotaRows: "none" })
    assert.lengthOf(yield* rowsOf(quotas.defaults), 0)
  }))

it.live("is denied and throttled on request, which the sdk tells apart", () =>
  Effect.gen(function*() {
    const { client, emulator, quotas } = yield* start()
    const list = () => client.send(new ListAWSDefaultServiceQuotasCommand({ ServiceCode: "bedrock" }))
    emulator.faults.set({ denyQuotas: 1 })
    assert.instanceOf(yield* failure(list), AccessDeniedException)
    const denied = yield* Effect.flip(quotas.get(openJobs))
    assert.deepInclude(denied, { module: "ServiceQuotas", method: "get", isRetryable: false })
    assert.deepInclude(denied.reason, { _tag: "Refused", code: "AccessDeniedException" })
    emulator.faults.set({ denyQuotas: 0, throttleQuotas: 1 })
    assert.instanceOf(yield* failure(list), TooManyRequestsException)
    const throttled = yield* Effect.flip(Stream.runCollect(quotas.list))
    assert.deepInclude(throttled.reason, { _tag: "Unavailable", code: "throttled" })
    // The client tries again by itself.
    emulator.faults.set({ throttleQuotas: { next: 1 } })
    assert.strictEqual((yield* quotas.get(openJobs))?.value, 100)
    const { calls } = yield* emulator.stats
    assert.deepStrictEqual(
      [calls.getQuota, calls.listQuotas, calls.listDefaultQuotas, calls.get],
      [3, 3, 2, 0]
    )
  }))

it.effect("answers the sdk in this process as it does over HTTP", () =>
  Effect.gen(function*() {
    const emulator = yield* Emulator.make({ seed: "quotas", storage: Storage.memory(), limits: { maxOpenJobs: 8 } })
    const layer = Local.layerServiceQuotasOf.pipe(Layer.provide(Layer.succeed(Emulator.Emulator, emulator)))
    const quotas = Context.get(yield* Layer.build(layer), ServiceQuotas)
    assert.strictEqual((yield* quotas.get(openJobs))?.value, 8)
    assert.isNull(yield* quotas.get("L-00000000"))
    assert.strictEqual(read(yield* rowsOf(quotas.list), sonnet)["maxOpenJobs"], 8)
    assert.strictEqual(read(yield* rowsOf(quotas.defaults), sonnet)["maxOpenJobs"], 100)
    assert.isAbove((yield* emulator.stats).calls.listQuotas, 3)
    emulator.faults.set({ denyQuotas: 1 })
    const denied = yield* Effect.flip(quotas.get(openJobs))
    assert.deepInclude(denied.reason, { _tag: "Refused", code: "AccessDeniedException" })
  }))
