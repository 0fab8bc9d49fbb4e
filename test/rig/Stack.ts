/**
 * The emulated service behind HTTP and a local S3, both in this process, for the real AWS clients.
 */
import {
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client
} from "@aws-sdk/client-s3"
import { type Emulator, type Events, Responder, Server, Storage } from "@bedrock-batch/emulator"
import { Aws, type BatchError, Capacity, Wait } from "@bedrock-batch/sdk"
import { Effect, Layer, type Scope, Stream } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { type S3Server, startS3Server } from "../../packages/sdk/test/rig/S3Server.ts"

export const bucket = "e2e-bucket"
export const roleArn = "arn:aws:iam::123456789012:role/batch"
export const haiku = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
export const titan = "amazon.titan-embed-text-v2:0"

/** Asks often: the emulated jobs end in a fraction of a second. */
export const soon = Wait.polling({ from: "20 millis", to: "200 millis" })

/** What a test changes of the emulator. */
export type Options = Partial<Omit<Emulator.Options, "storage" | "region" | "accountId">>

/** What a test changes of the sdk's layer; `quotaPause` puts another `Capacity` in its place. */
export interface LayerOptions extends Partial<Aws.Options> {
  readonly quotaPause?: Capacity.FixedOptions["quotaPause"]
}

/** Both servers, and handles on what is in them. */
export interface Stack {
  readonly s3: S3Server
  readonly client: S3Client
  readonly emulator: Emulator.Emulator["Service"]
  /** The emulator's URL. */
  readonly url: string
  /** What `Aws.layer` takes to reach both servers. */
  readonly options: Aws.Options
  /** A new layer each time, with clients of its own: what another process would have. */
  readonly layer: (options?: LayerOptions) => Layer.Layer<Aws.ClientServices, BatchError.BatchError>
  readonly put: (key: string, content: string | Uint8Array) => Effect.Effect<void>
  readonly get: (key: string) => Effect.Effect<Uint8Array>
  readonly text: (key: string) => Effect.Effect<string>
  readonly json: (key: string) => Effect.Effect<any>
  readonly keys: (prefix: string) => Effect.Effect<ReadonlyArray<string>>
  readonly remove: (key: string) => Effect.Effect<void>
  /** State changes so far, and those to come. */
  readonly events: Stream.Stream<Events.JobEvent>
}

const textOf = (content: unknown): string =>
  typeof content === "string"
    ? content
    : Array.isArray(content)
    ? content.map((block: { readonly text?: string }) => block.text ?? "").join("")
    : ""

/** The text of the last turn of a request, in whichever family. */
export const promptOf = (modelInput: any): string =>
  typeof modelInput.inputText === "string" ? modelInput.inputText : textOf(modelInput.messages.at(-1).content)

/** Answers with the whole prompt, so that every answer tells which row it belongs to; embeddings are the standard ones. */
export const echo: Responder.Responder = (request) => {
  const { modelInput, modelInvocationType } = request
  if (typeof modelInput["inputText"] === "string") return Responder.standard(request)
  const text = `echo: ${promptOf(modelInput)}`
  return modelInvocationType === "Converse"
    ? {
      output: { message: { role: "assistant", content: [{ text }] } },
      stopReason: "end_turn",
      usage: { inputTokens: text.length, outputTokens: 7, totalTokens: text.length + 7 }
    }
    : {
      id: "msg_bdrk_1",
      type: "message",
      role: "assistant",
      content: [{ type: "text", text }],
      stop_reason: "end_turn",
      stop_sequence: null,
      usage: { input_tokens: text.length, output_tokens: 7 }
    }
}

/** Every phase takes some milliseconds. */
export const quick = { submitted: 20, validating: 20, queued: 20, running: 60, stopping: 20 }

/** Starts both servers, in a Region; they end with the scope. */
export const start: (options?: Options, region?: string) => Effect.Effect<Stack, never, Scope.Scope> = Effect.fnUntraced(
  function*(options: Options = {}, region = "us-east-1") {
    const s3 = yield* Effect.acquireRelease(
      Effect.promise(() => startS3Server({ buckets: [bucket] })),
      (server) => Effect.promise(() => server.close())
    )
    const client = yield* Effect.acquireRelease(
      Effect.sync(() => s3.client()),
      (client) => Effect.sync(() => client.destroy())
    )
    const { credentials, endpoint } = s3
    const storage = Storage.s3({ endpoint, region, credentials, forcePathStyle: true })
    const { emulator, url } = yield* Effect.orDie(
      Server.serve({ seed: "e2e", timing: quick, responder: echo, ...options, storage, region })
    )
    const awsOptions: Aws.Options = {
      bucket,
      roleArn,
      region,
      credentials,
      endpoints: { bedrock: url, s3: endpoint },
      settleAfter: "2 seconds"
    }
    const get = (key: string) =>
      Effect.promise(async () => {
        const answer = await client.send(new GetObjectCommand({ Bucket: bucket, Key: key }))
        return await answer.Body!.transformToByteArray()
      })
    const text = (key: string) => Effect.map(get(key), (bytes) => Buffer.from(bytes).toString("utf8"))
    const stack: Stack = {
      s3,
      client,
      emulator,
      url,
      options: awsOptions,
      layer: ({ quotaPause, ...changes } = {}) => {
        const aws = Aws.layer({ ...awsOptions, ...changes })
        return quotaPause === undefined
          ? aws
          : Layer.merge(aws, Capacity.layerFixed({ region, quotaPause, limits: changes.limits }))
      },
      put: (key, content) =>
        Effect.promise(() =>
          client.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: typeof content === "string" ? Buffer.from(content) : content }))
        ),
      get,
      text,
      json: (key) => Effect.map(text(key), (text) => JSON.parse(text)),
      keys: (prefix) =>
        Effect.promise(async () => {
          const keys: Array<string> = []
          let token: string | undefined
          do {
            const page = await client.send(
              new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix, ContinuationToken: token })
            )
            for (const { Key } of page.Contents ?? []) keys.push(Key!)
            token = page.NextContinuationToken
          } while (token !== undefined)
          return keys.sort()
        }),
      remove: (key) => Effect.promise(() => client.send(new DeleteObjectCommand({ Bucket: bucket, Key: key }))),
      events: emulator.events
    }
    return stack
  }
)

/** A folder that is gone when the test is over. */
export const folder = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "e2e-"))),
  (directory) => Effect.sync(() => fs.rmSync(directory, { recursive: true, force: true }))
)
