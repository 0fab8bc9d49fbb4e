/**
 * The functions of a pipeline, called in this process as Lambda calls them: against a local S3, DynamoDB, Bedrock and
 * Step Functions. Each process of Lambda is a life, which may be killed after any call to AWS: nothing that it asks for
 * is answered any more.
 */
import {
  BedrockClient,
  CreateModelInvocationJobCommand,
  type CreateModelInvocationJobCommandInput,
  StopModelInvocationJobCommand
} from "@aws-sdk/client-bedrock"
import {
  CreateTableCommand,
  DeleteItemCommand,
  DynamoDBClient,
  ScanCommand,
  UpdateItemCommand,
  waitUntilTableExists
} from "@aws-sdk/client-dynamodb"
import { GetObjectCommand, ListObjectsV2Command, PutObjectCommand } from "@aws-sdk/client-s3"
import { type Emulator, type Events, Server, Storage } from "@bedrock-batch/emulator"
import { Effect, Exit, Scope, Stream } from "effect"
import dynalite from "dynalite"
import { randomUUID } from "node:crypto"
import * as http from "node:http"
import type { AddressInfo } from "node:net"
import { vi } from "vitest"
import { type S3Server, startS3Server } from "../../packages/sdk/test/rig/S3Server.ts"
import { serve, TaskTokens } from "./TaskTokens.ts"

const bucket = "pipeline-bucket"
const table = "pipeline-table"
const region = "us-east-1"

/** A call to AWS, as it leaves a life. */
export interface Called {
  readonly service: Service
  readonly method: string
  readonly url: string
  readonly headers: http.IncomingHttpHeaders
}

const services = ["S3", "DYNAMODB", "SFN", "BEDROCK"] as const
type Service = (typeof services)[number]

/** One process of a function. */
export interface Life {
  /** Calls a function; of a life that is killed amidst it this never comes back. */
  readonly call: (name: Name, event: unknown) => Promise<any>
  /** Every call to AWS so far. */
  readonly calls: Array<Called>
  /** Comes when the life is killed. */
  readonly killed: Promise<void>
}

/** How long a life lives. */
export interface LifeOptions {
  /**
   * It is killed when it has made so many calls: before the next one arrives, or with `answered: false` before the last
   * one is answered.
   */
  readonly calls?: number | undefined
  readonly answered?: boolean | undefined
  /** Milliseconds that Lambda gives a call of a function; default 5 minutes. */
  readonly timeout?: number | undefined
  /** Milliseconds that a call is on its way. */
  readonly delay?: (() => number) | undefined
  /** Variables that differ. */
  readonly env?: { readonly [name: string]: string } | undefined
}

const names = ["prepare", "submit", "collect", "finish", "retry", "event", "sweep"] as const
type Name = (typeof names)[number]

type Handler = (event: unknown, context: object) => Promise<unknown>

const listen = async (server: http.Server): Promise<number> => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  return (server.address() as AddressInfo).port
}

/** Stands before a server, and stops answering when a life is over. */
const startGate = async (
  target: string,
  pass: (called: Omit<Called, "service">) => "pass" | "lose" | "hang",
  delay: () => number
) => {
  const agent = new http.Agent({ keepAlive: true })
  const server = http.createServer((request, response) => {
    const { headers, method = "GET", url = "/" } = request
    const parts: Array<Buffer> = []
    request.on("data", (part: Buffer) => parts.push(part))
    request.on("end", () => {
      const fate = pass({ method, url, headers })
      if (fate === "hang") return
      const onward = http.request(new URL(url, target), { method, headers, agent }, (answer) => {
        if (fate === "lose") return void answer.resume()
        response.writeHead(answer.statusCode ?? 500, answer.headers)
        answer.pipe(response)
      })
      onward.on("error", () => response.destroy())
      setTimeout(() => onward.end(Buffer.concat(parts)), delay())
    })
  })
  const port = await listen(server)
  return {
    endpoint: `http://127.0.0.1:${port}`,
    close: () => {
      agent.destroy()
      server.closeAllConnections()
      server.close()
    }
  }
}

/** What a test may change. */
export interface Options {
  readonly emulator?: Partial<Omit<Emulator.Options, "storage" | "region">> | undefined
  readonly env?: { readonly [name: string]: string } | undefined
}

/** The servers, and lives against them. */
export interface Bench {
  readonly s3: S3Server
  readonly emulator: Emulator.Emulator["Service"]
  readonly tokens: TaskTokens
  /** Events that Bedrock has sent so far; nobody delivers them but the test. */
  readonly events: Array<Events.JobEvent>
  readonly life: (options?: LifeOptions) => Promise<Life>
  /** Asks Bedrock to stop a job. */
  readonly stop: (arn: string) => Promise<void>
  /** Makes a job that is none of ours. */
  readonly stranger: (request: object) => Promise<string>
  readonly put: (key: string, content: string) => Promise<void>
  readonly get: (uri: string) => Promise<string>
  readonly keys: (prefix: string) => Promise<ReadonlyArray<string>>
  /** The items of the table. */
  readonly items: () => Promise<ReadonlyArray<Record<string, any>>>
  /** Loses the table's contents. */
  readonly clearTable: () => Promise<void>
  /** Changes one text of an item. */
  readonly changeItem: (item: Record<string, any>, name: string, text: string) => Promise<void>
  readonly close: () => Promise<void>
}

const tableInput = {
  TableName: table,
  BillingMode: "PAY_PER_REQUEST" as const,
  AttributeDefinitions: ["pk", "sk", "open"].map((AttributeName) => ({ AttributeName, AttributeType: "S" as const })),
  KeySchema: [{ AttributeName: "pk", KeyType: "HASH" as const }, { AttributeName: "sk", KeyType: "RANGE" as const }],
  GlobalSecondaryIndexes: [{
    IndexName: "open",
    KeySchema: [
      { AttributeName: "open", KeyType: "HASH" as const },
      { AttributeName: "pk", KeyType: "RANGE" as const }
    ],
    Projection: { ProjectionType: "ALL" as const }
  }]
}

/** A local table as a pipeline's inventory is. */
export const startTable = async () => {
  const server = dynalite({ createTableMs: 0, deleteTableMs: 0, updateTableMs: 0 })
  const endpoint = `http://127.0.0.1:${await listen(server)}`
  const credentials = { accessKeyId: "TESTKEY", secretAccessKey: "TESTSECRET" }
  const client = new DynamoDBClient({ endpoint, region, credentials })
  await client.send(new CreateTableCommand(tableInput))
  await waitUntilTableExists({ client, maxWaitTime: 10, minDelay: 0.05, maxDelay: 0.1 }, { TableName: table })
  return {
    endpoint,
    client,
    table,
    close: () => {
      client.destroy()
      server.closeAllConnections()
      return new Promise<void>((resolve) => void server.close(() => resolve()))
    }
  }
}

/** Every phase of a job takes some milliseconds; jobs of runs with names such as `slow-...` go on until stopped. */
const quick = {
  submitted: 20,
  validating: 20,
  queued: 20,
  running: ({ name }: { readonly name: string }) => (name.startsWith("slow") ? "1 hour" as const : 40),
  stopping: 20
}

/** Starts the servers. */
export const start = async (options: Options = {}): Promise<Bench> => {
  const s3 = await startS3Server({ buckets: [bucket] })
  const client = s3.client()
  const tables = await startTable()
  const tokens = new TaskTokens()
  const states = await serve(tokens)
  const scope = await Effect.runPromise(Scope.make())
  const { credentials, endpoint } = s3
  const { emulator, url } = await Effect.runPromise(
    Server.serve({
      seed: "handlers",
      timing: quick,
      ...options.emulator,
      storage: Storage.s3({ endpoint, region, credentials, forcePathStyle: true }),
      region
    }).pipe(Effect.provideService(Scope.Scope, scope))
  )
  const events: Array<Events.JobEvent> = []
  await Effect.runPromise(
    Stream.runForEach(emulator.events, (event) => Effect.sync(() => void events.push(event))).pipe(
      Effect.forkIn(scope, { startImmediately: true })
    )
  )
  const targets: { readonly [S in Service]: string } = {
    S3: endpoint,
    DYNAMODB: tables.endpoint,
    SFN: states.endpoint,
    BEDROCK: url
  }
  const gates: Array<{ readonly close: () => void }> = []

  const life: Bench["life"] = async (own = {}) => {
    const { answered = true, calls: most = Infinity, delay = () => 0, env = {}, timeout = 300_000 } = own
    const calls: Array<Called> = []
    let kill = () => {}
    const killed = new Promise<void>((resolve) => void (kill = resolve))
    const pass = (service: Service) => (called: Omit<Called, "service">) => {
      if (calls.length >= most) {
        kill()
        return "hang" as const
      }
      calls.push({ service, ...called })
      if (calls.length < most || answered) return "pass" as const
      kill()
      return "lose" as const
    }
    const endpoints: Record<string, string> = {}
    for (const service of services) {
      const gate = await startGate(targets[service], pass(service), delay)
      gates.push(gate)
      endpoints[`AWS_ENDPOINT_URL_${service}`] = gate.endpoint
    }
    const bedrock = endpoints["AWS_ENDPOINT_URL_BEDROCK"]!
    const variables = {
      AWS_REGION: region,
      AWS_ACCESS_KEY_ID: credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
      AWS_ENDPOINT_URL_BEDROCK_RUNTIME: bedrock,
      AWS_ENDPOINT_URL_SERVICE_QUOTAS: bedrock,
      ...endpoints,
      BUCKET: bucket,
      PREFIX: "runs",
      SERVICE_ROLE_ARN: "arn:aws:iam::123456789012:role/batch",
      TABLE: table,
      PIPELINE: "test",
      SETTLE_AFTER: "1 second",
      ROUND_MARGIN_SECONDS: "1",
      ...options.env,
      ...env
    }
    const enter = () => {
      vi.unstubAllEnvs()
      for (const [name, value] of Object.entries(variables)) vi.stubEnv(name, value)
    }
    enter()
    vi.resetModules()
    // Each life has clients and caches of its own; what it reads of its environment it reads at its first call.
    const handlers = new Map<Name, Handler>()
    for (const name of names) {
      const module = await import(`../../packages/cdk-adapter/src/handlers/${name}.ts`)
      handlers.set(name, module.handler)
    }
    return {
      calls,
      killed,
      call: (name, event) => {
        const begun = Date.now()
        const context = {
          awsRequestId: randomUUID(),
          getRemainingTimeInMillis: () => Math.max(0, begun + timeout - Date.now())
        }
        enter()
        const answer = handlers.get(name)!(JSON.parse(JSON.stringify(event)), context)
        answer.catch(() => {})
        return answer
      }
    }
  }

  const bedrock = new BedrockClient({ endpoint: url, region, credentials })
  const keyOf = (uri: string) => uri.startsWith("s3://") ? uri.slice(`s3://${bucket}/`.length) : uri
  return {
    s3,
    emulator,
    tokens,
    events,
    life,
    stop: async (jobIdentifier) => {
      await bedrock.send(new StopModelInvocationJobCommand({ jobIdentifier }))
    },
    stranger: async (request) => {
      const { jobArn } = await bedrock.send(
        new CreateModelInvocationJobCommand({
          roleArn: "arn:aws:iam::123456789012:role/batch",
          modelId: "anthropic.claude-3-haiku-20240307-v1:0",
          modelInvocationType: "Converse",
          ...request
        } as CreateModelInvocationJobCommandInput)
      )
      return jobArn!
    },
    put: async (key, content) => {
      await client.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: Buffer.from(content) }))
    },
    get: async (uri) => {
      const answer = await client.send(new GetObjectCommand({ Bucket: bucket, Key: keyOf(uri) }))
      return await answer.Body!.transformToString()
    },
    keys: async (prefix) => {
      const page = await client.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix }))
      return (page.Contents ?? []).map(({ Key }) => Key!)
    },
    items: async () => {
      const page = await tables.client.send(new ScanCommand({ TableName: table, ConsistentRead: true }))
      return page.Items ?? []
    },
    clearTable: async () => {
      for (const { pk, sk } of (await tables.client.send(new ScanCommand({ TableName: table }))).Items ?? []) {
        await tables.client.send(new DeleteItemCommand({ TableName: table, Key: { pk: pk!, sk: sk! } }))
      }
    },
    changeItem: async ({ pk, sk }, name, text) => {
      await tables.client.send(
        new UpdateItemCommand({
          TableName: table,
          Key: { pk, sk },
          UpdateExpression: "SET #n = :v",
          ExpressionAttributeNames: { "#n": name },
          ExpressionAttributeValues: { ":v": { S: text } }
        })
      )
    },
    close: async () => {
      vi.unstubAllEnvs()
      for (const gate of gates) gate.close()
      await Effect.runPromise(Scope.close(scope, Exit.void))
      await states.close()
      await tables.close()
      client.destroy()
      bedrock.destroy()
      await s3.close()
    }
  }
}

/** Where rows are put, and the input of an execution over them. */
export const inputOf = (name: string, more: object = {}) => ({
  job_name_prefix: name,
  model_id: "us.anthropic.claude-haiku-4-5-20251001-v1:0",
  s3_uri: `s3://${bucket}/inputs/${name}.csv`,
  prompt_id: "joke_about_topic",
  max_records_per_job: 100,
  ...more
})

/** A CSV of so many topics. */
export const topics = (count: number): string =>
  `topic\n${Array.from({ length: count }, (_, i) => `topic ${i}`).join("\n")}\n`

/** An execution, as the state machine tells of it. */
export const execution = {
  name: "execution-1",
  id: "arn:aws:states:::execution-1",
  startedAt: "2026-11-23T00:00:00.000Z"
}
