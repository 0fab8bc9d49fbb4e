import {
  BedrockClient,
  ConflictException,
  CreateModelInvocationJobCommand,
  type CreateModelInvocationJobCommandInput,
  GetModelInvocationJobCommand,
  ListModelInvocationJobsCommand,
  type ListModelInvocationJobsCommandInput,
  ListTagsForResourceCommand,
  paginateListModelInvocationJobs,
  ResourceNotFoundException,
  ServiceQuotaExceededException,
  StopModelInvocationJobCommand,
  TagResourceCommand,
  ThrottlingException,
  TooManyTagsException,
  UntagResourceCommand,
  ValidationException
} from "@aws-sdk/client-bedrock"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawn } from "node:child_process"
import { once } from "node:events"
import * as http from "node:http"
import * as Server from "../src/Server.ts"
import * as Storage from "../src/Storage.ts"
import { answers, converse, folder, haiku, lines, put, role } from "./Fixture.ts"

const start = Effect.fnUntraced(function*(options: Partial<Server.Options> = {}) {
  const storage = options.storage ?? Storage.memory()
  yield* put(storage, "s3://bucket/in/a.jsonl", lines(120))
  const served = yield* Server.serve({ seed: "http", ...options, storage })
  const client = yield* Effect.acquireRelease(
    Effect.sync(() => new BedrockClient({
      endpoint: served.url,
      region: "us-east-1",
      credentials: { accessKeyId: "a", secretAccessKey: "b" },
      maxAttempts: 1
    })),
    (client) => Effect.sync(() => client.destroy())
  )
  return { ...served, storage, client }
})

const input = (
  overrides: Partial<CreateModelInvocationJobCommandInput> = {}
): CreateModelInvocationJobCommandInput => ({
  jobName: "job-1",
  roleArn: role,
  modelId: haiku,
  inputDataConfig: { s3InputDataConfig: { s3Uri: "s3://bucket/in/" } },
  outputDataConfig: { s3OutputDataConfig: { s3Uri: "s3://bucket/out/" } },
  ...overrides
})
const create = (client: BedrockClient, overrides: Partial<CreateModelInvocationJobCommandInput> = {}) =>
  Effect.promise(() => client.send(new CreateModelInvocationJobCommand(input(overrides))))
const failure = (call: () => Promise<unknown>) =>
  Effect.promise(() => call().then(() => assert.fail("the call succeeded"), (error: unknown) => error))
const get = (client: BedrockClient, jobIdentifier: string | undefined) =>
  Effect.promise(() => client.send(new GetModelInvocationJobCommand({ jobIdentifier })))
const ended = Effect.fnUntraced(function*(client: BedrockClient, arn: string | undefined) {
  while (true) {
    const job = yield* get(client, arn)
    if (job.endTime !== undefined) return job
    yield* Effect.sleep(30)
  }
})

it.live("runs a Converse job for the AWS SDK from create to output, with dates, counters and defaults", () =>
  Effect.gen(function*() {
    const { client, storage } = yield* start()
    yield* put(storage, "s3://bucket/talks/a.jsonl", lines(100, (index) => converse(`talk ${index}`)))
    const { jobArn } = yield* create(client, {
      modelInvocationType: "Converse",
      inputDataConfig: { s3InputDataConfig: { s3Uri: "s3://bucket/talks/a.jsonl", s3InputFormat: "JSONL" } }
    })
    const open = yield* get(client, jobArn)
    assert.deepInclude(open, { status: "Submitted", totalRecordCount: 0, timeoutDurationInHours: 24 })
    const job = yield* ended(client, jobArn)
    assert.deepInclude(job, {
      status: "Completed",
      totalRecordCount: 100,
      processedRecordCount: 100,
      successRecordCount: 100,
      errorRecordCount: 0,
      modelInvocationType: "Converse"
    })
    assert.strictEqual(job.inputDataConfig?.s3InputDataConfig?.s3BucketOwner, "123456789012")
    assert.strictEqual(job.jobExpirationTime!.getTime() - job.submitTime!.getTime(), 24 * 3_600_000)
    assert.strictEqual(job.clientRequestToken?.length, 36)
    const [first] = yield* answers(storage, `s3://bucket/out/${jobArn!.slice(-12)}/a.jsonl.out`)
    assert.isNull(first.modelOutput.output.message.content[0].toolUse)
    assert.match(first.modelOutput.output.message.content[0].text, /to: talk \d+/)
    assert.deepStrictEqual(first.modelInput, converse(`talk ${first.recordId.slice(1)}`))
  }))

it.live("answers the SDK with its exception classes", () =>
  Effect.gen(function*() {
    const { client, emulator } = yield* start({ limits: { maxOpenJobs: 2 }, timing: { submitted: "1 hour" } })
    const send = (overrides: Partial<CreateModelInvocationJobCommandInput>) =>
      failure(() => client.send(new CreateModelInvocationJobCommand(input(overrides))))
    const invalid = yield* send({ jobName: "under_score", timeoutDurationInHours: 5 })
    assert.instanceOf(invalid, ValidationException)
    assert.match(
      invalid.message,
      /^2 validation errors detected: Value 'under_score' at 'jobName' failed to satisfy constraint/
    )
    const unsupported = yield* send({ modelId: "cohere.embed-english-v3" })
    assert.instanceOf(unsupported, ValidationException)
    assert.strictEqual(unsupported.message, "Batch inference is not supported for the requested model")
    const tooMany = yield* send({ tags: Array.from({ length: 51 }, (_, index) => ({ key: `k${index}`, value: "" })) })
    assert.instanceOf(tooMany, TooManyTagsException)

    const { jobArn } = yield* create(client, { clientRequestToken: "token-1" })
    const again = yield* create(client, { clientRequestToken: "token-1" })
    assert.strictEqual(again.jobArn, jobArn)
    assert.instanceOf(yield* send({ clientRequestToken: "token-1", jobName: "other" }), ConflictException)
    yield* create(client, { jobName: "job-2" })
    const full = yield* send({ jobName: "job-3" })
    assert.instanceOf(full, ServiceQuotaExceededException)
    assert.strictEqual(full.$metadata.httpStatusCode, 400)
    assert.match(full.$metadata.requestId ?? "", /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
    // A replay needs no slot, and another model has slots of its own.
    yield* create(client, { clientRequestToken: "token-1" })
    yield* create(client, { modelId: "amazon.nova-pro-v1:0" })

    emulator.faults.set({ throttleGet: { next: 1 } })
    const throttled = yield* failure(() => client.send(new GetModelInvocationJobCommand({ jobIdentifier: jobArn })))
    assert.instanceOf(throttled, ThrottlingException)
    assert.strictEqual(throttled.$metadata.httpStatusCode, 429)
    const unknown = yield* failure(
      () => client.send(new GetModelInvocationJobCommand({ jobIdentifier: "abcdefabcdef" }))
    )
    assert.instanceOf(unknown, ResourceNotFoundException)
    const malformed = yield* failure(() => client.send(new GetModelInvocationJobCommand({ jobIdentifier: "Nonsense" })))
    assert.instanceOf(malformed, ValidationException)
    assert.instanceOf(
      yield* failure(() => client.send(new GetModelInvocationJobCommand({ jobIdentifier: "" }))),
      ValidationException
    )
    assert.strictEqual((yield* emulator.stats).jobsCreated, 3)
  }))

it.live("stops a job once, keeps what was run, and refuses to stop it again", () =>
  Effect.gen(function*() {
    const { client, storage } = yield* start({ timing: { running: "10 minutes" }, speed: 300 })
    const { jobArn } = yield* create(client)
    while ((yield* get(client, jobArn)).processedRecordCount === 0) yield* Effect.sleep(20)
    const answer = yield* Effect.promise(
      () => client.send(new StopModelInvocationJobCommand({ jobIdentifier: jobArn }))
    )
    assert.deepStrictEqual(Object.keys(answer), ["$metadata"])
    const job = yield* ended(client, jobArn)
    assert.strictEqual(job.status, "Stopped")
    const out = yield* answers(storage, `s3://bucket/out/${jobArn!.slice(-12)}/a.jsonl.out`)
    assert.isTrue(out.length > 0 && out.length < 120)
    assert.strictEqual(out.length, job.processedRecordCount)
    const again = yield* failure(() => client.send(new StopModelInvocationJobCommand({ jobIdentifier: jobArn })))
    assert.instanceOf(again, ConflictException)
  }))

it.live("pages, filters and sorts lists", () =>
  Effect.gen(function*() {
    const { client, emulator } = yield* start({ timing: { submitted: "1 hour" }, limits: { maxOpenJobs: 1000 } })
    for (let index = 0; index < 25; index++) yield* create(client, { jobName: `list-${index % 5}-${index}` })
    const names: Array<string | undefined> = []
    yield* Effect.promise(async () => {
      for await (const page of paginateListModelInvocationJobs({ client, pageSize: 7 }, {})) {
        assert.isTrue((page.invocationJobSummaries?.length ?? 0) <= 7)
        names.push(...(page.invocationJobSummaries ?? []).map((job) => job.jobName))
        // A job that is created meanwhile does not move the pages of a list from new to old.
        if (names.length === 7) await client.send(new CreateModelInvocationJobCommand(input({ jobName: "late" })))
      }
    })
    assert.deepStrictEqual(names, Array.from({ length: 25 }, (_, index) => `list-${(24 - index) % 5}-${24 - index}`))
    const list = (query: ListModelInvocationJobsCommandInput) =>
      Effect.promise(() => client.send(new ListModelInvocationJobsCommand(query)))
    const some = yield* list({ nameContains: "list-3", sortOrder: "Ascending", statusEquals: "Submitted" })
    assert.deepStrictEqual(
      some.invocationJobSummaries?.map((job) => job.jobName),
      ["list-3-3", "list-3-8", "list-3-13", "list-3-18", "list-3-23"]
    )
    assert.strictEqual((yield* list({ statusEquals: "Completed" })).invocationJobSummaries?.length, 0)
    assert.strictEqual(
      (yield* list({ submitTimeAfter: new Date(Date.now() + 60_000) })).invocationJobSummaries?.length,
      0
    )
    assert.strictEqual(
      (yield* list({ submitTimeBefore: new Date(Date.now() + 60_000), maxResults: 999 })).invocationJobSummaries?.length,
      26
    )
    for (const query of [{ maxResults: 0 }, { maxResults: 1001 }, { nextToken: "nonsense" }, { nameContains: "a_b" }]) {
      assert.instanceOf(
        yield* failure(() => client.send(new ListModelInvocationJobsCommand(query))),
        ValidationException
      )
    }
    emulator.faults.set({ listLag: "1 hour" })
    assert.strictEqual((yield* list({})).invocationJobSummaries?.length, 0)
  }))

it.live("tags jobs", () =>
  Effect.gen(function*() {
    const { client } = yield* start({ timing: { submitted: "1 hour" } })
    const { jobArn: resourceARN } = yield* create(
      client,
      { tags: [{ key: "team", value: "a" }, { key: "stage", value: "x" }] }
    )
    yield* Effect.promise(
      () => client.send(new TagResourceCommand({ resourceARN, tags: [{ key: "team", value: "b" }] }))
    )
    yield* Effect.promise(() => client.send(new UntagResourceCommand({ resourceARN, tagKeys: ["stage"] })))
    const { tags } = yield* Effect.promise(() => client.send(new ListTagsForResourceCommand({ resourceARN })))
    assert.deepStrictEqual(tags, [{ key: "team", value: "b" }])
    const twice = yield* create(client, { tags: [{ key: "a", value: "1" }, { key: "a", value: "2" }] })
    const list = (arn: string | undefined) => client.send(new ListTagsForResourceCommand({ resourceARN: arn }))
    assert.deepStrictEqual((yield* Effect.promise(() => list(twice.jobArn))).tags, [{ key: "a", value: "2" }])
    const other = "arn:aws:bedrock:us-east-1:123456789012:custom-model/a.b/abcdefghijkl"
    assert.instanceOf(yield* failure(() => list(other)), ResourceNotFoundException)
  }))

it.live("loses an answer after the job was made, so that only the token prevents a second one", () =>
  Effect.gen(function*() {
    const { client, emulator, url } = yield* start({ timing: { submitted: "1 hour" } })
    const fault = (body: unknown, method = "PATCH") =>
      Effect.promise(async () => (await fetch(`${url}/emulator/faults`, { method, body: JSON.stringify(body) })).status)
    assert.strictEqual(yield* fault({ answerLost: { next: 1 }, serverErrorAfterCreate: 0 }), 200)
    const token = { clientRequestToken: "same" }
    const lost = yield* failure(() => client.send(new CreateModelInvocationJobCommand(input(token))))
    assert.match(String(lost), /ECONNRESET|socket hang up/)
    yield* create(client, token)
    assert.strictEqual((yield* emulator.stats).jobsCreated, 1)
    assert.strictEqual(yield* fault({ token: "ignored" }), 200)
    yield* create(client, token)
    assert.strictEqual((yield* emulator.stats).jobsCreated, 2)
    assert.strictEqual(yield* fault({ nonsense: 1 }), 400)
    assert.strictEqual(yield* fault({ throttleCreate: 2 }), 400)
    assert.strictEqual(
      yield* fault({ token: { forgottenAfter: "1 hour" }, slowCreate: { by: "1 millis" } }, "PUT"),
      200
    )
    yield* create(client, token)
    const state: any = yield* Effect.promise(async () => (await fetch(`${url}/emulator/state`)).json())
    assert.strictEqual(state.stats.jobsCreated, 2)
    assert.strictEqual(state.stats.calls.create, 4)
    assert.strictEqual(state.stats.maxOpenSeen["anthropic.claude-haiku-4-5-20251001-v1:0"], 2)
  }))

it.live("streams events as JSON lines", () =>
  Effect.gen(function*() {
    const { client, url } = yield* start()
    const { jobArn } = yield* create(client)
    const statuses = yield* Effect.promise(async () => {
      const response = await fetch(`${url}/emulator/events`)
      const seen: Array<string> = []
      let text = ""
      for await (const chunk of response.body!) {
        text += Buffer.from(chunk).toString()
        const events = text.split("\n")
        text = events.pop() ?? ""
        for (const line of events) {
          const event = JSON.parse(line)
          assert.strictEqual(event.detail.batchJobArn, jobArn)
          seen.push(event.detail.status)
        }
        if (seen.includes("Completed")) break
      }
      return seen
    })
    assert.deepStrictEqual(statuses, ["Submitted", "Validating", "Scheduled", "InProgress", "Completed"])
  }))

it.live("answers what is no operation, no JSON or too much with JSON errors", () =>
  Effect.gen(function*() {
    const { url } = yield* start()
    const ask = (path: string, init?: RequestInit) =>
      Effect.promise(async () => {
        const response = await fetch(url + path, init)
        return [response.status, response.headers.get("x-amzn-errortype"), ((await response.json()) as any).__type]
      })
    const both = (status: number, type: string) => [status, type, type]
    assert.deepStrictEqual(yield* ask("/nowhere"), both(404, "UnknownOperationException"))
    assert.deepStrictEqual(yield* ask("/emulator/nowhere"), both(404, "UnknownOperationException"))
    assert.deepStrictEqual(
      yield* ask("/model-invocation-job", { method: "POST", body: "{" }),
      both(400, "SerializationException")
    )
    assert.deepStrictEqual(
      yield* ask("/model-invocation-job", { method: "POST", body: "[]" }),
      both(400, "SerializationException")
    )
    assert.deepStrictEqual(
      yield* ask("/model-invocation-job", { method: "POST", body: " ".repeat(5 << 20) }),
      both(400, "SerializationException")
    )
    assert.deepStrictEqual(yield* ask("/model-invocation-job/%E0%A4%A"), both(400, "ValidationException"))
    assert.deepStrictEqual(yield* ask("/model-invocation-job/a/b/c"), both(404, "UnknownOperationException"))
    const empty = yield* ask("/model-invocation-job", { method: "POST" })
    assert.deepStrictEqual(empty, both(400, "ValidationException"))
    assert.deepStrictEqual(yield* ask("/emulator/faults", { method: "PATCH" }), [200, null, undefined])
  }))

it.live("answers targets that are no URLs, and goes on", () =>
  Effect.gen(function*() {
    const { port } = yield* start()
    const ask = (path: string, method = "GET") =>
      Effect.promise(() =>
        new Promise<number | undefined>((resolve, reject) =>
          void http.request({ port, path, method, host: "127.0.0.1" }, (answer) => {
            answer.resume()
            resolve(answer.statusCode)
          }).on("error", reject).end()
        )
      )
    assert.strictEqual(yield* ask("//"), 404)
    assert.strictEqual(yield* ask("http://["), 404)
    assert.strictEqual(yield* ask("*", "OPTIONS"), 404)
    assert.strictEqual(yield* ask("http://other/model-invocation-jobs?maxResults=1"), 200)
    assert.strictEqual(yield* ask("/model-invocation-job/.."), 400)
  }))

it.live("fails to start on a port that is taken", () =>
  Effect.gen(function*() {
    const { port } = yield* start()
    const error = yield* Effect.flip(Server.serve({ storage: Storage.memory(), port }))
    assert.match(error.message, /Cannot listen on 127.0.0.1:\d+: .*EADDRINUSE/)
  }))

it.live("keeps its objects in any S3 endpoint", () =>
  Effect.gen(function*() {
    const { startFauxqs } = yield* Effect.promise(() => import("fauxqs"))
    const s3 = yield* Effect.acquireRelease(
      Effect.promise(() => startFauxqs({ port: 0, logger: false, init: { buckets: ["bucket"] } })),
      (server) => Effect.promise(() => server.stop())
    )
    const storage = Storage.s3({
      endpoint: `http://127.0.0.1:${s3.port}`,
      region: "us-east-1",
      forcePathStyle: true,
      credentials: { accessKeyId: "a", secretAccessKey: "b" }
    })
    const { client } = yield* start({ storage })
    // More than one part of a multipart upload.
    const long = "x".repeat(100_000)
    yield* put(storage, "s3://bucket/large/a.jsonl", lines(200, (index) => ({ ...converse(`${index} ${long}`) })))
    const { jobArn } = yield* create(client, {
      modelInvocationType: "Converse",
      inputDataConfig: { s3InputDataConfig: { s3Uri: "s3://bucket/large" } }
    })
    assert.strictEqual((yield* ended(client, jobArn)).status, "Completed")
    const out = yield* answers(storage, `s3://bucket/out/${jobArn!.slice(-12)}/a.jsonl.out`)
    assert.strictEqual(new Set(out.map((line) => line.recordId)).size, 200)
    const missing = yield* create(client, { inputDataConfig: { s3InputDataConfig: { s3Uri: "s3://elsewhere/in/" } } })
    const failed = yield* ended(client, missing.jobArn)
    assert.strictEqual(failed.status, "Failed")
    assert.match(failed.message ?? "", /Cannot list s3:\/\/elsewhere\/in\//)
  }), 30_000)

const run = (command: string, args: ReadonlyArray<string>) =>
  Effect.promise(async () => {
    const child = spawn(command, args, {
      env: {
        ...process.env,
        AWS_ACCESS_KEY_ID: "a",
        AWS_SECRET_ACCESS_KEY: "b",
        AWS_DEFAULT_REGION: "us-east-1",
        AWS_PAGER: ""
      }
    })
    let output = ""
    child.stdout.on("data", (part) => output += part)
    child.stderr.on("data", (part) => output += part)
    const code: number | null = await once(child, "close").then(([code]) => code, () => null)
    return { code, output }
  })

it.live("talks to the aws command", (context) =>
  Effect.gen(function*() {
    const version = yield* run("aws", ["--version"])
    if (version.code !== 0) {
      process.stderr.write("SKIPPED: no aws command on the PATH\n")
      return context.skip("no aws command on the PATH")
    }
    const { url } = yield* start()
    const aws = (...args: ReadonlyArray<string>) =>
      run("aws", ["--endpoint-url", url, "--output", "json", "bedrock", ...args])
    const created = yield* aws(
      ...["create-model-invocation-job", "--job-name", "from-cli", "--role-arn", role, "--model-id", haiku],
      ...["--input-data-config", "s3InputDataConfig={s3Uri=s3://bucket/in/}"],
      ...["--output-data-config", "s3OutputDataConfig={s3Uri=s3://bucket/out/}"]
    )
    const { jobArn } = JSON.parse(created.output)
    const listed = JSON.parse((yield* aws("list-model-invocation-jobs", "--name-contains", "from")).output)
    assert.strictEqual(listed.invocationJobSummaries[0].jobArn, jobArn)
    const got = JSON.parse((yield* aws("get-model-invocation-job", "--job-identifier", jobArn)).output)
    assert.strictEqual(got.jobName, "from-cli")
    const stopped = yield* aws("stop-model-invocation-job", "--job-identifier", "a".repeat(12))
    assert.match(stopped.output, /ResourceNotFoundException/)
  }), 60_000)

it.live("starts from the command line and ends on a signal", () =>
  Effect.gen(function*() {
    const directory = yield* folder
    const child = spawn(process.execPath, ["src/cli.ts", "--port", "0", "--directory", directory, "--speed", "10"])
    const line: string = yield* Effect.promise(async () => String((await once(child.stdout, "data"))[0]))
    const url = /at (http:\S+) \(us-east-1/.exec(line)?.[1] ?? ""
    const status = yield* Effect.promise(() =>
      new Promise<number | undefined>((resolve) => http.get(`${url}/model-invocation-jobs`, (answer) => {
        answer.resume()
        resolve(answer.statusCode)
      })))
    assert.strictEqual(status, 200)
    child.kill("SIGTERM")
    const [code] = yield* Effect.promise(() => once(child, "exit"))
    assert.strictEqual(code, 0)
    const wrong = yield* run(process.execPath, ["src/cli.ts", "--speed", "fast"])
    assert.deepStrictEqual(wrong, { code: 1, output: "--speed must be a number from 0.001, not fast\n" })
    const unknown = yield* run(process.execPath, ["src/cli.ts", "--nonsense"])
    assert.strictEqual(unknown.code, 1)
    assert.match(unknown.output, /nonsense/)
    for (
      const [flag, value, says] of [
        ["--port", "1.5", "--port must be a whole number, not 1.5"],
        ["--min-records", "2.5", "--min-records must be a whole number, not 2.5"],
        ["--account-id", "12", "--account-id must be twelve digits, not 12"],
        ["--s3-endpoint", "a", "the S3 endpoint (--s3-endpoint, or AWS_ENDPOINT_URL_S3) must be a URL, not a"],
        ["--region", "US East", "the Region (--region, or AWS_REGION) must be a name such as us-east-1, not US East"]
      ] as const
    ) {
      assert.deepStrictEqual(yield* run(process.execPath, ["src/cli.ts", flag, value]), {
        code: 1,
        output: `${says}\n`
      })
    }
  }), 20_000)
