import { assert, describe, it } from "@effect/vitest"
import { model, models, prepare, probe, type ProbeOptions, type Processor, Prompt, run } from "@bedrock-batch/sdk"
import { BedrockBatch } from "@bedrock-batch/sdk/promise"
import { Effect, Logger } from "effect"
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { plainTable, sourceOf } from "../rig/Data.ts"
import { haiku, soon, type Stack, start } from "../rig/Stack.ts"

const micro = "amazon.nova-micro-v1:0"
const opus = "anthropic.claude-opus-5"
const sonnet = "anthropic.claude-sonnet-4-6"

const modelsOf = (stack: Stack, ...options: Parameters<typeof models>) =>
  Effect.map(Effect.provide(models(...options), stack.layer()), (list) => ({
    ...list,
    of: (id: string) => list.models.find((info) => info.id === id)
  }))

describe.concurrent("models", () => {
  it.live("joins what Bedrock lists with the catalogue, by three lists", () =>
    Effect.gen(function*() {
      const stack = yield* start({}, "us-west-2")
      const { gaps, models, of, region } = yield* modelsOf(stack)
      assert.deepStrictEqual([region, gaps], ["us-west-2", []])
      assert.deepInclude(of(micro), {
        name: "Nova Micro",
        provider: "Amazon",
        batch: "yes",
        why: null,
        names: [`us.${micro}`],
        needsProfile: true,
        family: "nova",
        processor: "converse/1",
        isListed: true,
        isLegacy: false,
        access: null
      })
      assert.deepInclude(of("qwen.qwen3-32b-v1:0"), { names: ["qwen.qwen3-32b-v1:0"], needsProfile: false })
      assert.deepInclude(of("meta.llama3-3-70b-instruct-v1:0"), { isLegacy: true, endOfLife: "2027-03-30" })
      assert.deepInclude(of("anthropic.claude-opus-4-8"), { batch: "no", catalogue: null, isListed: true })
      assert.deepInclude(of("zai.glm-5"), { batch: "unknown", names: ["zai.glm-5"], needsProfile: null })
      assert.isUndefined(of("amazon.nova-lite-v1:0:24k"), "variants for provisioned use are no models of their own")
      assert.deepStrictEqual(models.map(({ id }) => id), models.map(({ id }) => id).sort())
      const { calls } = yield* stack.emulator.stats
      assert.deepInclude(calls, { listModels: 1, listProfiles: 2, getAvailability: 0 })
    }))

  it.live("asks for access where it is told to, but not of models that batch inference refuses", () =>
    Effect.gen(function*() {
      const stack = yield* start({ withoutAccess: [micro] })
      const { models, of } = yield* modelsOf(stack, { access: true, concurrency: 8 })
      assert.strictEqual(of(micro)?.access?.verdict, "no")
      assert.strictEqual(of(micro)?.access?.parts?.authorization, "NOT_AUTHORIZED")
      assert.strictEqual(of(opus)?.access?.verdict, "yes")
      assert.isNull(of("cohere.embed-v4:0")?.access)
      const asked = models.filter(({ batch }) => batch !== "no").length
      assert.strictEqual((yield* stack.emulator.stats).calls.getAvailability, asked)
      const { reason } = yield* Effect.flip(modelsOf(stack, { concurrency: 0 }))
      assert.deepInclude(reason, { _tag: "InvalidOption", path: "concurrency" })
    }))

  it.live.each(
    [
      [{ denyModels: 1 }, "ListFoundationModels", { isListed: null, names: [`us.${opus}`, `global.${opus}`] }],
      [{ denyProfiles: 1 }, "ListInferenceProfiles", { profiles: null, names: [`us.${opus}`, `global.${opus}`] }],
      [{ denyAvailability: 1 }, "GetFoundationModelAvailability", { access: { verdict: "unknown", parts: null } }]
    ] as const
  )("goes on without a permission, and says what is missing: %j", ([faults, action, expected]) =>
    Effect.gen(function*() {
      const stack = yield* start({ faults })
      const { gaps, of } = yield* modelsOf(stack, { access: true })
      assert.deepStrictEqual(gaps.map((gap) => gap.action), [`bedrock:${action}`])
      assert.include(gaps[0]?.message, "not authorized")
      assert.deepInclude(of(opus), expected)
      assert.deepInclude(of(opus), { batch: "yes", needsProfile: true, family: "anthropic-messages" })
      const shown = yield* Effect.provide(model(opus), stack.layer())
      assert.deepStrictEqual(shown.gaps.map((gap) => gap.action), [`bedrock:${action}`])
    }))

  it.live("fails where Bedrock does not answer", () =>
    Effect.gen(function*() {
      const stack = yield* start({ faults: { throttleModels: 1 } })
      const { reason } = yield* Effect.flip(modelsOf(stack))
      assert.deepInclude(reason, { _tag: "Unavailable", code: "throttled" })
    }))
})

describe.concurrent("model", () => {
  it.live("shows one by a bare id, a profile, an ARN, or a profile of the account", () =>
    Effect.gen(function*() {
      const stack = yield* start({ applicationProfiles: { mine: sonnet } })
      const show = (name: string) => Effect.provide(model(name), stack.layer())
      const bare = yield* show(opus)
      assert.deepInclude(bare, { id: opus, region: "us-east-1", names: [`us.${opus}`, `global.${opus}`] })
      assert.strictEqual(bare.access?.verdict, "yes")
      assert.deepStrictEqual(bare.advice.map(({ kind }) => kind), ["profile-needed"])
      const byProfile = yield* show(`us.${opus}`)
      assert.deepStrictEqual([byProfile.id, byProfile.advice], [opus, []])
      assert.strictEqual((yield* show(`arn:aws:bedrock:us-east-1::foundation-model/${opus}`)).id, opus)
      const [own] = (yield* modelsOf(stack)).of(sonnet)!.profiles!.filter(({ type }) => type === "APPLICATION")
      const byOwn = yield* show(own!.arn)
      assert.deepStrictEqual([byOwn.id, byOwn.advice, byOwn.names.at(-1)], [sonnet, [], own!.arn])
      assert.strictEqual((yield* show(own!.id)).id, sonnet)
    }))

  it.live("shows what nobody knows as such, and refuses names that lead to no model", () =>
    Effect.gen(function*() {
      const stack = yield* start({})
      const show = (name: string) => Effect.provide(model(name), stack.layer())
      const unknown = yield* show("acme.model-1")
      assert.deepInclude(unknown, { batch: "unknown", isListed: false, isLegacy: null, names: [], processor: null })
      assert.strictEqual(unknown.access?.verdict, "unknown")
      const stranger = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2c3d4e5f6"
      const { reason } = yield* Effect.flip(show(stranger))
      assert.deepInclude(reason, { _tag: "InvalidOption", path: "model" })
      assert.include(reason.message, "does not lead to a model")
      stack.emulator.faults.set({ denyProfiles: 1 })
      const blind = yield* Effect.flip(show(stranger))
      assert.include(blind.reason.message, "bedrock:ListInferenceProfiles is not permitted")
    }))
})

describe.concurrent("probe", () => {
  /** Waits for the end of a job without input: stopped, or failed where its input was looked for before that. */
  const ended = Effect.fnUntraced(function*(stack: Stack, jobArn: string) {
    const ends: ReadonlyArray<string> = ["Stopped", "Failed"]
    while (!ends.includes((yield* stack.emulator.get(jobArn)).status)) yield* Effect.sleep(10)
  })

  const ask = (stack: Stack, name: string, options?: ProbeOptions) =>
    Effect.provide(probe(name, options), stack.layer())

  it.live("learns from a refusal whether Bedrock takes a model, and creates nothing", () =>
    Effect.gen(function*() {
      const stack = yield* start({})
      const taken = yield* ask(stack, haiku)
      assert.deepInclude(taken, { verdict: "supported", code: "ValidationException", jobArn: null, control: null })
      assert.include(taken.why, taken.message!)
      const again = yield* ask(stack, haiku)
      assert.notStrictEqual(again.message, taken.message, "the folder has a new name each time")
      const refused = yield* ask(stack, "anthropic.claude-opus-4-8", { control: haiku })
      assert.deepInclude(refused, {
        verdict: "unsupported",
        message: "Batch inference is not supported for the requested model"
      })
      assert.strictEqual(refused.control?.model, haiku)
      const { calls, jobsCreated } = yield* stack.emulator.stats
      assert.deepStrictEqual([calls.create, jobsCreated], [4, 0])
      assert.deepStrictEqual(yield* stack.keys(""), [])
    }))

  it.live("knows nothing without permissions, or if the control model is refused, too", () =>
    Effect.gen(function*() {
      const stack = yield* start({ faults: { denyCreate: { next: 3 } } })
      const alone = yield* ask(stack, haiku)
      assert.deepInclude(alone, { verdict: "unknown", code: "AccessDeniedException" })
      assert.include(alone.why, "give a control model")
      const both = yield* ask(stack, haiku, { control: `us.${micro}` })
      assert.strictEqual(both.verdict, "unknown")
      assert.include(both.why, "the control model met the like")
      const neither = yield* ask(stack, "cohere.embed-v4:0", { control: "anthropic.claude-opus-4-8" })
      assert.strictEqual(neither.verdict, "unknown")
      assert.include(neither.why, "this proves nothing")
      stack.emulator.faults.set({ quotaFull: 1 })
      assert.deepInclude(yield* ask(stack, haiku), { verdict: "supported" }, "the input is looked at before the quota")
    }))

  it.live("stops a job that is accepted, and tells its ARN; nothing is run", () =>
    Effect.gen(function*() {
      const stack = yield* start({ emptyInput: "accepted" })
      const accepted = yield* ask(stack, haiku, { control: `us.${micro}` })
      assert.deepInclude(accepted, { verdict: "supported", isStopped: true, code: null, message: null })
      assert.include(accepted.why, accepted.jobArn!)
      assert.isTrue(accepted.control?.isStopped)
      for (const { jobArn } of [accepted, accepted.control!]) yield* ended(stack, jobArn!)
      const { jobsCreated, open, recordsProcessed } = yield* stack.emulator.stats
      assert.deepStrictEqual([jobsCreated, recordsProcessed], [2, 0])
      assert.isTrue(Object.values(open).every((count) => count === 0))
    }))

  it.live("finds and stops the job of a call whose answer was lost", () =>
    Effect.gen(function*() {
      const stack = yield* start({ emptyInput: "accepted", faults: { answerLost: { next: 1 } } })
      const accepted = yield* ask(stack, haiku)
      assert.deepInclude(accepted, { verdict: "supported", isStopped: true })
      yield* ended(stack, accepted.jobArn!)
      stack.emulator.faults.set({ serverErrorOnCreate: { next: 1 } })
      const unsure = yield* ask(stack, haiku)
      assert.deepInclude(unsure, { verdict: "unknown", code: "server", jobArn: null })
      assert.include(unsure.why, "may exist")
      assert.strictEqual((yield* stack.emulator.stats).jobsCreated, 1)
    }))

  it.live("tries again while it is throttled, and refuses names that Bedrock does not take", () =>
    Effect.gen(function*() {
      const stack = yield* start({ faults: { throttleCreate: { next: 1 } } })
      assert.strictEqual((yield* ask(stack, haiku)).verdict, "supported")
      const wrong = yield* Effect.flip(ask(stack, "us.deepseek.v3.2"))
      assert.deepInclude(wrong.reason, { _tag: "InvalidOption", path: "model" })
      const wrongControl = yield* Effect.flip(ask(stack, haiku, { control: "a b" }))
      assert.deepInclude(wrongControl.reason, { _tag: "InvalidOption", path: "control" })
      assert.strictEqual((yield* stack.emulator.stats).calls.create, 2)
    }))
})

it.live("models, model and probe are methods of the Promise client", () =>
  Effect.gen(function*() {
    const stack = yield* start({})
    yield* Effect.promise(async () => {
      await using batch = BedrockBatch.make(stack.options)
      const list = await batch.models({ access: false })
      assert.isTrue(list.models.some(({ id }) => id === micro))
      assert.strictEqual((await batch.model(`us.${micro}`)).id, micro)
      assert.strictEqual((await batch.probe(haiku, { control: `us.${micro}` })).verdict, "supported")
    })
  }))

describe.concurrent("advice", () => {
  const definition = (name: string, model: string) => ({
    name,
    model,
    source: sourceOf(plainTable(120)),
    prompt: Prompt.make("{id}: {topic}")
  })

  /** What a program logs. */
  const logged = Effect.fnUntraced(function*<A, E, R>(program: Effect.Effect<A, E, R>) {
    const messages: Array<string> = []
    const logger = Logger.make(({ logLevel, message }) => void messages.push(`${logLevel}: ${String(message)}`))
    yield* Effect.provide(program, Logger.layer([logger]))
    return messages
  })

  it.live("is a warning of prepare, before anything is sent", () =>
    Effect.gen(function*() {
      const stack = yield* start({})
      const given = (model: string, parameters: Processor.ModelParameters) =>
        logged(Effect.provide(prepare({ ...definition("advised", model), parameters }), stack.layer()))
      const bare = "anthropic.claude-haiku-4-5-20251001-v1:0"
      const [profile, both, ...none] = yield* given(bare, { temperature: 0.5, topP: 0.5 })
      assert.match(profile!, /^Warn: .* by an inference profile only, .*: name us\.anthropic/)
      assert.match(both!, /^Warn: .* refuses temperature together with topP, in every record/)
      assert.deepStrictEqual(none, [])
      const ceiling = yield* given(`us.${micro}`, { maxTokens: 20_000 })
      assert.match(ceiling.join(), /gives at most 10000/)
      assert.deepStrictEqual(yield* given(haiku, { temperature: 0.5 }), [])
      assert.strictEqual((yield* stack.emulator.stats).calls.create, 0)
    }))

  it.live("forbids nothing: a model that is not on the list runs", () =>
    Effect.gen(function*() {
      const stack = yield* start({})
      const messages = yield* logged(
        Effect.provide(
          Effect.map(run({ ...definition("new", "zai.glm-5"), wait: soon }), ({ report }) => {
            assert.strictEqual(report.counts.succeeded, 120)
          }),
          stack.layer()
        )
      )
      assert.match(messages[0]!, /^Warn: the model zai\.glm-5 is not on the list .* it may work; ask with probe$/)
    }))
})

describe("npm run models", () => {
  const credentials = { AWS_ACCESS_KEY_ID: "a", AWS_SECRET_ACCESS_KEY: "b" }

  /** Runs the command with no credentials but those that are given. */
  const command = (args: ReadonlyArray<string>, env: NodeJS.ProcessEnv = {}) =>
    Effect.promise(async () => {
      const files = { AWS_CONFIG_FILE: "/none", AWS_SHARED_CREDENTIALS_FILE: "/none" }
      const ours = Object.entries(process.env).filter(([name]) => !name.startsWith("AWS_"))
      const child = spawn(process.execPath, ["scripts/models.mjs", ...args], {
        cwd: fileURLToPath(new URL("../..", import.meta.url)),
        env: { ...Object.fromEntries(ours), ...files, AWS_EC2_METADATA_DISABLED: "true", ...env }
      })
      let stdout = ""
      let stderr = ""
      child.stdout.on("data", (part) => stdout += part)
      child.stderr.on("data", (part) => stderr += part)
      const code = await new Promise<number | null>((resolve) => child.on("close", resolve))
      return { code, stdout, stderr }
    })

  it.live("prints a table, one model in full, and JSON", () =>
    Effect.gen(function*() {
      const stack = yield* start({ faults: { denyProfiles: 1 } })
      const at = ["--region", "us-east-1", "--endpoint", stack.url]
      const [table, one, json] = yield* Effect.all(
        [command(at, credentials), command([...at, opus], credentials), command([...at, "--json"], credentials)],
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual([table.code, one.code, json.code], [0, 0, 0], table.stderr + one.stderr + json.stderr)
      assert.match(table.stdout, /^MODEL +BATCH +NAME IT +FAMILY +LISTED +LIFECYCLE\n/)
      assert.match(table.stdout, /\namazon\.nova-micro-v1:0 +yes +as it is +nova +yes +active\n/)
      assert.match(table.stdout, /\nanthropic\.claude-opus-5 +yes +us\.anthropic\.claude-opus-5 +anthropic-messages/)
      assert.match(table.stdout, /\nzai\.glm-5 +unknown/)
      assert.notMatch(table.stdout, /\ncohere/)
      assert.include(table.stdout, "--all shows them")
      assert.include(table.stdout, "Not permitted: bedrock:ListInferenceProfiles")
      assert.match(one.stdout, /\nProfile needed +yes\n/)
      assert.match(one.stdout, /\nProfiles +unknown\n/)
      assert.match(one.stdout, /\nNote: .*inference profile only/)
      const { gaps, models, source } = JSON.parse(json.stdout)
      assert.strictEqual(source.asOf, "2026-10")
      assert.lengthOf(gaps, 1)
      assert.isTrue(models.some(({ id }: { readonly id: string }) => id === "cohere.embed-v4:0"))
    }))

  it.live("says what is wrong: no credentials, no Region, options that are none", () =>
    Effect.gen(function*() {
      const [alone, nowhere, wrong] = yield* Effect.all(
        [
          command(["--region", "us-east-1", "--endpoint", "http://127.0.0.1:9"]),
          command([], credentials),
          command(["--endpoint", "there"])
        ],
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual([alone.code, nowhere.code, wrong.code], [1, 1, 1])
      assert.match(alone.stderr, /^There are no AWS credentials\./)
      assert.match(nowhere.stderr, /^Region is missing/)
      assert.match(wrong.stderr, /^--endpoint must be a URL/)
    }))
})
