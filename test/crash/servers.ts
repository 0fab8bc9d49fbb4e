/** The servers of the crash test: an S3, ours or another one, and an emulated Bedrock for each run. */
import { DeleteObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3"
import { Chance, type Emulator, type Faults, type Responder, Server, Storage } from "@bedrock-batch/emulator"
import type { Aws } from "@bedrock-batch/sdk"
import { Effect } from "effect"
import { startS3Server } from "../../packages/sdk/test/rig/S3Server.ts"
import { echo, promptOf, quick, roleArn } from "../rig/Stack.ts"
import type { Phase } from "../../packages/sdk/src/internal/DurableWrites.ts"
import { isCut, later, minRecords, photos, type Scenario } from "./scenarios.ts"

/** An S3 that other processes reach, with what they find their credentials by. */
export interface S3 {
  readonly endpoint: string
  readonly bucket: string
  readonly region: string
  readonly client: S3Client
  readonly env: NodeJS.ProcessEnv
}

const credentialNames = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"] as const

/** Another S3 server: credentials and Region are the environment's. */
const otherS3 = (endpoint: string, bucket: string): S3 => {
  const region = process.env["AWS_REGION"] ?? process.env["AWS_DEFAULT_REGION"] ?? "us-east-1"
  const env: NodeJS.ProcessEnv = {}
  for (const name of credentialNames) if (process.env[name] !== undefined) env[name] = process.env[name]
  return { endpoint, bucket, region, client: new S3Client({ endpoint, region, forcePathStyle: true }), env }
}

/** The S3 that is used: the one at `endpoint`, or one of our own. */
export const s3 = (endpoint: string | undefined, bucket: string) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      if (endpoint !== undefined) return { s3: otherS3(endpoint, bucket), close: async () => {} }
      const server = await startS3Server({ buckets: [bucket] })
      const { accessKeyId, secretAccessKey } = server.credentials
      const env = { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey }
      // The emulators find them there.
      Object.assign(process.env, env)
      const { region } = server
      return { s3: { endpoint: server.endpoint, bucket, region, client: server.client(), env }, close: server.close }
    }),
    ({ close, s3 }) =>
      Effect.promise(async () => {
        s3.client.destroy()
        await close()
      })
  ).pipe(Effect.map(({ s3 }) => s3))

const png = Buffer.from("89504e470d0a1a0a0000000d49484452", "hex")

/** Puts the photos that rows name under `base`; they are removed with the scope unless they are to be kept. */
export const putPhotos = ({ bucket, client }: S3, base: string, keep: boolean) =>
  Effect.acquireRelease(
    Effect.promise(() =>
      Promise.all(photos.map((photo, i) =>
        client.send(
          new PutObjectCommand({ Bucket: bucket, Key: `${base}/${photo}`, Body: Buffer.concat([png, Buffer.from([i])]) })
        )
      ))
    ),
    () =>
      keep ? Effect.void : Effect.promise(() =>
        Promise.all(photos.map((photo) =>
          client.send(new DeleteObjectCommand({ Bucket: bucket, Key: `${base}/${photo}` }))
        ))
      )
  )

/** The models of one run. */
class Models {
  readonly #failing: number
  readonly #seed: string
  readonly #asked = new Set<string>()
  readonly #called = new Set<string>()
  /** On-demand calls beyond the first of a record. */
  repeated = 0
  /** So many jobs to come are refused for their model. */
  refusals = 0

  constructor({ failing, name }: Scenario) {
    this.#failing = failing
    this.#seed = name
  }

  /**
   * Echoes the prompt. Of the records of batch jobs a part, always the same one for a scenario, is answered with an error
   * the first time it is asked.
   */
  readonly answer: Responder.Responder = (request) => {
    const prompt = promptOf(request.modelInput)
    if (request.recordId.startsWith("on-demand-")) {
      if (this.#called.has(prompt)) this.repeated++
      this.#called.add(prompt)
      return echo(request)
    }
    const chance = Chance.make(`${this.#seed}/${prompt}`)
    if (this.#asked.has(prompt) || chance.next() >= this.#failing) return echo(request)
    this.#asked.add(prompt)
    return chance.next() < 0.5
      ? { error: { errorCode: 429, errorMessage: "Too many requests, please wait before trying again." } }
      : { error: { errorCode: 500, errorMessage: "The system encountered an unexpected error. Try again." } }
  }
}

/**
 * What goes wrong beside what a test does. Bedrock's token is worth nothing, so that only the ledger keeps from paying
 * twice.
 */
export const troubles: Faults.FaultOptions = {
  token: "ignored",
  listLag: "300 millis",
  answerLost: 0.05,
  serverErrorAfterCreate: 0.05,
  throttleCreate: 0.05,
  quotaFull: 0.1,
  slowCreate: { when: 0.2, by: "100 millis" }
}

/** The service of one run, and what a process of it is told. */
export interface Service {
  readonly emulator: Emulator.Emulator["Service"]
  readonly options: Aws.Options
  /** On-demand calls so far that a model answered for the second time or more. */
  readonly repeated: () => number
  /** Makes the service such that a process which comes to a phase comes to the points that are wanted. */
  readonly provoke: (phase: Phase, wants: (point: string) => boolean) => void
}

/** Starts the service of a run whose objects lie under `prefix`. */
export const service = Effect.fnUntraced(function*(s3: S3, scenario: Scenario, prefix: string, faults: Faults.FaultOptions, jobMillis = 200) {
  const { bucket, endpoint, region } = s3
  const models = new Models(scenario)
  const { emulator, url } = yield* Effect.orDie(Server.serve({
    storage: Storage.s3({ endpoint, region, forcePathStyle: true }),
    region,
    seed: prefix,
    limits: { minRecords },
    timing: {
      ...quick,
      // Jobs that are to be stopped take their time.
      running: ({ name }) => isCut(scenario) && /-1-\d{6}/.test(name) ? 5_000 : jobMillis
    },
    responder: models.answer,
    models: () => models.refusals-- <= 0,
    faults
  }))
  const options: Aws.Options = { bucket, prefix, roleArn, region, endpoints: { bedrock: url, s3: endpoint } }
  const provoke = (phase: Phase, wants: (point: string) => boolean) => {
    const point = phase === "retry" ? later : (name: string) => name
    if (phase !== "submit" && phase !== "retry") return
    if (wants(point("refusal"))) emulator.faults.set({ quotaFull: { next: 1 } })
    if (isCut(scenario) && wants(point("settlement by list"))) emulator.faults.set({ serverErrorOnCreate: { next: 1 } })
    models.refusals = scenario.ending === "refused" && phase === "submit" ? 1 : 0
  }
  const made: Service = { emulator, options, repeated: () => models.repeated, provoke }
  return made
})
