/**
 * The pipeline of a synthesized template on a laptop: its state machine, its functions as processes of their own, its
 * table, queues and rules, against a local S3 and an emulated Bedrock.
 */
import { GetObjectCommand, ListObjectsV2Command, PutObjectCommand, type S3Client } from "@aws-sdk/client-s3"
import { type Emulator, Server, Storage } from "@bedrock-batch/emulator"
import { Effect, type Scope, Stream } from "effect"
import { randomUUID } from "node:crypto"
import { type S3Server, startS3Server } from "../../packages/sdk/test/rig/S3Server.ts"
import { startSqsServer, type TestQueue } from "../../packages/sdk/test/rig/SqsServer.ts"
import { Functions, rulesOf } from "./Functions.ts"
import { History } from "./History.ts"
import type { LambdaFunction } from "./LambdaRuntime.ts"
import { startMoto } from "./Moto.ts"
import { type Clock, type Definition, type Ended, execute, type Running, type World } from "./StateMachine.ts"
import { startTables, type Tables } from "./Tables.ts"
import { type Breaking, startTap } from "./Tap.ts"
import * as TaskTokens from "./TaskTokens.ts"
import { type Assembly, Resolved } from "./Template.ts"

/** What a pipeline is made of, and how it differs from the one in AWS. */
export interface Options {
  readonly assembly: Assembly
  /** Further buckets than the template's. */
  readonly buckets?: ReadonlyArray<string>
  readonly emulator?: Partial<Omit<Emulator.Options, "storage" | "region" | "accountId">>
  /** What is added to the environment of each function. */
  readonly environment?: { readonly [name: string]: string }
  /** Other timeouts of functions than the template's, by what they are called (`Prepare`), in milliseconds. */
  readonly functionTimeouts?: { readonly [called: string]: number }
  /** Sandboxes of each function at most; default 2. Lambda would have a thousand. */
  readonly concurrency?: number
  readonly clock?: Clock
  /** How often the schedules of the template strike, in milliseconds; default only when told. */
  readonly sweepEvery?: number
  /** Who runs the state machine; default the rig itself. moto's own clock is the real one. */
  readonly interpreter?: "rig" | "moto"
  /** Breaks calls of the functions to the servers. */
  readonly breaks?: Breaking
  /** Takes what the functions write, by what they are called. */
  readonly onLog?: (called: string, text: string) => void
}

/** How an execution ended, and how it came to that. */
export interface Execution extends Ended {
  readonly name: string
  readonly history: History
}

/** A running pipeline. */
export interface Pipeline {
  readonly region: string
  readonly template: Resolved
  readonly definition: Definition
  readonly machineArn: string
  /** The template's own bucket. */
  readonly bucket: string
  readonly s3: S3Server
  readonly tables: Tables
  /** The name of the template's own table. */
  readonly table: string
  readonly queues: { readonly [name: string]: TestQueue }
  readonly emulator: Emulator.Emulator["Service"]
  /** The functions by what they are called: the first state that calls them, `Event` or `Sweep`. */
  readonly functions: { readonly [called: string]: LambdaFunction }
  readonly tokens: TaskTokens.TaskTokens
  /** The outputs of the stack. */
  readonly outputs: { readonly [name: string]: string }
  /** What the functions wrote. */
  readonly logs: Array<string>
  /** Starts an execution; by the rig's interpreter, whatever the option says. */
  readonly start: (input: unknown, name?: string) => Running & { readonly name: string; readonly history: History }
  /** Runs an execution to its end. */
  readonly execute: (input: unknown, name?: string) => Effect.Effect<Execution>
  /** Gives an event to the rules, and waits until all that they call have ended. */
  readonly deliver: (event: unknown) => Effect.Effect<void>
  /** Lets the schedules of the template strike, and waits as `deliver`. */
  readonly sweep: Effect.Effect<void>
  readonly put: (bucket: string, key: string, content: string | Uint8Array) => Effect.Effect<void>
  readonly get: (bucket: string, key: string) => Effect.Effect<Uint8Array>
  readonly text: (bucket: string, key: string) => Effect.Effect<string>
  readonly keys: (bucket: string, prefix: string) => Effect.Effect<ReadonlyArray<string>>
  /** The function whose sandbox that is. */
  readonly functionOf: (sandbox: string) => LambdaFunction | undefined
  /** Ends the sandbox that a tapped call came from. */
  readonly kill: (sandbox: string) => void
}

const accountId = "123456789012"
const region = "us-east-1"

/** The state machine's own definition, with every reference resolved. */
export const definitionOf = (template: Resolved): { readonly arn: string; readonly definition: Definition } => {
  const machines = template.of("AWS::StepFunctions::StateMachine")
  const [machine] = machines
  if (machine === undefined || machines.length > 1) {
    throw new Error(`the template has ${machines.length} state machines, and the rig runs one`)
  }
  const { Definition, DefinitionString = JSON.stringify(Definition), DefinitionSubstitutions = {} } = machine.properties
  const text = Object.entries(DefinitionSubstitutions).reduce(
    (text, [name, value]) => text.replaceAll(`\${${name}}`, String(value)),
    String(DefinitionString)
  )
  return { arn: machine.arn, definition: JSON.parse(text) }
}

/** What the deployment of the stack puts into its bucket: calls to S3 that CloudFormation makes. */
const deployments = (template: Resolved): ReadonlyArray<any> =>
  Object.entries(template.template.Resources).flatMap(([, { Properties, Type }]) => {
    if (!Type.startsWith("Custom::")) return []
    const { Create, Update } = template.resolve(Properties ?? {})
    const call = JSON.parse(Create ?? Update ?? "{}")
    return call.service === "S3" && call.action === "PutObject" ? [call.parameters] : []
  })

const closing = <A>(start: () => Promise<A>, close: (running: A) => Promise<unknown>) =>
  Effect.acquireRelease(Effect.promise(start), (running) => Effect.promise(() => close(running)))

const scheduledEvent = () => ({
  version: "0",
  id: randomUUID(),
  "detail-type": "Scheduled Event",
  source: "aws.events",
  account: accountId,
  time: `${new Date().toISOString().slice(0, 19)}Z`,
  region,
  resources: [],
  detail: {}
})

/** Ways to the objects of an S3. */
const objectsOf = (client: S3Client) => ({
  get: async (Bucket: string, Key: string): Promise<Uint8Array> => {
    const { Body } = await client.send(new GetObjectCommand({ Bucket, Key }))
    return Body!.transformToByteArray()
  },
  put: async (Bucket: string, Key: string, content: string | Uint8Array): Promise<void> => {
    const Body = typeof content === "string" ? Buffer.from(content) : content
    await client.send(new PutObjectCommand({ Bucket, Key, Body }))
  },
  keys: async (Bucket: string, Prefix: string): Promise<ReadonlyArray<string>> => {
    const keys: Array<string> = []
    let ContinuationToken: string | undefined
    do {
      const page = await client.send(new ListObjectsV2Command({ Bucket, Prefix, ContinuationToken }))
      for (const { Key } of page.Contents ?? []) keys.push(Key!)
      ContinuationToken = page.NextContinuationToken
    } while (ContinuationToken !== undefined)
    return keys.sort()
  }
})

const textOf = (bytes: Uint8Array) => Buffer.from(bytes).toString("utf8")

/** Starts everything; it ends with the scope. */
export const start: (options: Options) => Effect.Effect<Pipeline, never, Scope.Scope> = Effect.fnUntraced(
  function*(options: Options) {
    const { assembly, breaks, clock = {} } = options
    const sqs = yield* closing(startSqsServer, (server) => server.close())
    const template = new Resolved(assembly.template, {
      region,
      accountId,
      queueUrl: (name) => `${sqs.endpoint}/000000000000/${name}`
    })
    const { arn: machineArn, definition } = definitionOf(template)
    const queues = Object.fromEntries(template.of("AWS::SQS::Queue").map(({ name }) => [name, sqs.queue(name)]))
    const own = template.of("AWS::S3::Bucket").map(({ name }) => name)
    const buckets = [...new Set([...own, ...(options.buckets ?? [])])]
    const s3 = yield* closing(() => startS3Server({ buckets }), (server) => server.close())
    const client = yield* closing(async () => s3.client(), async (client) => client.destroy())
    const objects = objectsOf(client)
    for (const { Body, Bucket, Key } of deployments(template)) {
      yield* Effect.promise(() => objects.put(Bucket, Key, Body))
    }
    const tables = yield* closing(() => startTables(template), ({ close }) => close())
    const tokens = new TaskTokens.TaskTokens()
    const moto = options.interpreter === "moto" ? yield* closing(startMoto, ({ close }) => close()) : null
    const sfn = moto ?? (yield* closing(() => TaskTokens.serve(tokens), ({ close }) => close()))
    const { credentials, endpoint } = s3
    const storage = Storage.s3({ endpoint, region, credentials, forcePathStyle: true })
    const { emulator, url } = yield* Effect.orDie(Server.serve({ ...options.emulator, accountId, region, storage }))

    const endpoints: { [service: string]: string } = {
      S3: endpoint,
      DYNAMODB: tables.endpoint,
      BEDROCK: url,
      SFN: sfn.endpoint,
      SERVICE_QUOTAS: url
    }
    if (breaks !== undefined) {
      for (const [service, target] of Object.entries(endpoints)) {
        const tap = yield* closing(() => startTap(service, target, breaks), ({ close }) => close())
        endpoints[service] = tap.endpoint
      }
    }
    // On-demand calls go over HTTP/2, which taps do not speak.
    Object.assign(endpoints, { BEDROCK_RUNTIME: url, SQS: sqs.endpoint })
    const logs: Array<string> = []
    const functions = yield* closing(
      async () =>
        new Functions({
          assembly,
          template,
          definition,
          rules: rulesOf(template),
          queues,
          before: {
            AWS_REGION: region,
            AWS_DEFAULT_REGION: region,
            AWS_ACCESS_KEY_ID: credentials.accessKeyId,
            AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
            ...Object.fromEntries(Object.entries(endpoints).map(([name, url]) => [`AWS_ENDPOINT_URL_${name}`, url]))
          },
          after: options.environment ?? {},
          timeouts: options.functionTimeouts ?? {},
          concurrency: options.concurrency ?? 2,
          pause: clock.longestPause ?? 60_000,
          onLog: (called, text) => {
            logs.push(text)
            options.onLog?.(called, text)
          }
        }),
      (functions) => functions.close()
    )
    const world: World = {
      tokens,
      task: functions.task,
      objects: { get: async (bucket, key) => textOf(await objects.get(bucket, key)), put: objects.put }
    }

    moto?.connect({ task: functions.task, objects })

    yield* Effect.forkScoped(
      Stream.runForEach(emulator.events, (event) => Effect.sync(() => void functions.deliver(event)))
    )
    const sweep = Effect.promise(() => functions.strike(scheduledEvent()))
    if (options.sweepEvery !== undefined) {
      yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sleep(options.sweepEvery), sweep)))
    }
    const running = new Set<Running>()
    yield* Effect.addFinalizer(() => Effect.sync(() => running.forEach(({ abort }) => abort())))
    const startExecution: Pipeline["start"] = (input, name = randomUUID()) => {
      const history = new History()
      const one = execute({ definition, input, world, history, clock, name, machineArn })
      running.add(one)
      void one.ended.finally(() => running.delete(one))
      return { ...one, name, history }
    }
    const get = (bucket: string, key: string) => Effect.promise(() => objects.get(bucket, key))
    const [table] = [...template.of("AWS::DynamoDB::GlobalTable"), ...template.of("AWS::DynamoDB::Table")]
    const pipeline: Pipeline = {
      region,
      template,
      definition,
      machineArn,
      bucket: own[0] ?? "no-bucket",
      s3,
      tables,
      table: table?.name ?? "no-table",
      queues,
      emulator,
      functions: functions.all,
      tokens,
      outputs: template.outputs,
      logs,
      start: startExecution,
      execute: (input, name) =>
        Effect.promise(async () => {
          if (moto !== null) {
            const given = name ?? randomUUID()
            return { ...await moto.execute(definition, given, input), name: given }
          }
          const { ended, history, name: given } = startExecution(input, name)
          return { ...await ended, name: given, history }
        }),
      deliver: (event) => Effect.promise(() => functions.deliver(event)),
      sweep,
      put: (bucket, key, content) => Effect.promise(() => objects.put(bucket, key, content)),
      get,
      text: (bucket, key) => Effect.map(get(bucket, key), textOf),
      keys: (bucket, prefix) => Effect.promise(() => objects.keys(bucket, prefix)),
      functionOf: (sandbox) => Object.values(functions.all).find((fn) => fn.sandboxes.has(sandbox)),
      kill: (sandbox) => Object.values(functions.all).forEach((fn) => fn.kill(sandbox))
    }
    return pipeline
  }
)
