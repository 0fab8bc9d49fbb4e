import { assert, describe, it } from "@effect/vitest"
import { Aws, BatchError, type Collected, Prompt, prepare, run, Source, submit } from "@bedrock-batch/sdk"
import { Effect, Exit, Layer, Schema, Stream } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { csvOf, plainTable, sourceOf } from "../rig/Data.ts"
import { bucket, folder, haiku, type LayerOptions, soon, type Stack, start, titan } from "../rig/Stack.ts"

const secret = "SECRET-CELL"
const table = {
  columns: ["id", "topic"],
  rows: Array.from({ length: 150 }, (_, i) => [String(i), `${secret} ${i}`])
}
const rows = table.rows.map(([id, topic]) => ({ id: id!, topic: topic! }))
const good = {
  name: "bad",
  source: Source.rows(rows),
  model: haiku,
  prompt: Prompt.make("{id}: {topic}"),
  wait: soon
} as const

type Reason = BatchError.BatchError["reason"]

/** Options of a run as somebody without a compiler writes them. */
type Loose = { readonly [option: string]: unknown }
const runLoosely = (options: Loose): Effect.Effect<Collected<object>, BatchError.BatchError, Aws.Services> =>
  run(options as never) as never

/** Runs what must fail; nothing may be sent to the service, and no cell may be in the message. */
const failure = Effect.fnUntraced(function*(stack: Stack, options: Loose, layer?: LayerOptions) {
  const calls = (yield* stack.emulator.stats).calls.create
  const exit = yield* Effect.exit(Effect.provide(runLoosely({ ...good, ...options }), stack.layer(layer)))
  assert(Exit.isFailure(exit), "the run must fail")
  const [reason] = exit.cause.reasons
  assert(reason?._tag === "Fail", `the failure must be typed: ${String(exit.cause)}`)
  const error: unknown = reason.error
  assert.instanceOf(error, BatchError.BatchError)
  assert.notInclude(error.message, secret)
  assert.isFalse(error.isRetryable)
  const stats = yield* stack.emulator.stats
  assert.strictEqual(stats.calls.create, calls)
  assert.strictEqual(stats.jobsCreated, 0)
  return error
})

/** A case: what is wrong, how it is said, and which words the message must have. */
type Case = readonly [name: string, options: Loose, reason: Partial<Reason> & { readonly _tag: Reason["_tag"] }, words: RegExp]

const check = Effect.fnUntraced(function*(stack: Stack, [name, options, reason, words]: Case, layer?: LayerOptions) {
  const error = yield* failure(stack, options, layer)
  assert.deepInclude(error.reason, reason, `${name}: ${error.message}`)
  assert.match(error.message, words, name)
  return error
})

const option = (path: string) => ({ _tag: "InvalidOption", path }) as const

describe("options that are wrong", () => {
  const cases: ReadonlyArray<Case> = [
    ["a name with a space", { name: "two words" }, option("name"), /name "two words" must have 1 to 63 letters/],
    ["a name that is too long", { name: "x".repeat(64) }, option("name"), /1 to 63/],
    ["an empty name", { name: "" }, option("name"), /name ""/],
    ["no name", { name: undefined }, option("name"), /name/],
    ["an underscore in the run id", { runId: "my_run" }, option("runId"), /runId "my_run" must have 1 to 40/],
    ["a run id that leaves its folder", { runId: "../up" }, option("runId"), /runId/],
    ["a run id that is too long", { runId: "x".repeat(41) }, option("runId"), /1 to 40/],
    [
      "a prompt for an embedding model",
      { model: titan },
      option("prompt"),
      /embedding model and takes no prompt.*embed/
    ],
    [
      "no prompt for a text model",
      { prompt: undefined },
      option("prompt"),
      /text model and needs a prompt.*Prompt\.make/
    ],
    ["an unknown model", { model: "acme.gpt-9" }, option("model"), /acme\.gpt-9 is not known/],
    [
      "a model with a slip of the pen",
      { model: "antropic.claude-haiku-4-5-20251001-v1:0" },
      option("model"),
      /close: anthropic\.claude-haiku-4-5/
    ],
    ["no model id at all", { model: "not a model!" }, option("model"), /not a model!/],
    ["a model that batch does not take", { model: "cohere.embed-english-v3" }, option("model"), /not known to take/],
    [
      "hours out of range",
      { timeoutHours: 12 },
      option("timeoutHours"),
      /timeoutHours is 12, and must be an integer of at least 24 and at most 168/
    ],
    ["no records a job", { maxRecordsPerJob: 0 }, option("maxRecordsPerJob"), /maxRecordsPerJob is 0/],
    ["half a job", { maxJobs: 1.5 }, option("maxJobs"), /maxJobs is 1\.5/],
    ["a negative limit", { limits: { minRecords: -1 } }, option("limits.minRecords"), /limits\.minRecords is -1/],
    [
      "limits that leave no plan",
      { limits: { maxRecords: 50 } },
      option("limits"),
      /at least 100 records and at most 50/
    ],
    ["no concurrency", { concurrency: 0 }, option("concurrency"), /concurrency is 0, and must be a number of at least 1/],
    ["a parameter out of range", { parameters: { maxTokens: 0 } }, option("parameters"), /maxTokens/],
    ["a parameter of another family", { parameters: { dimensions: 256 } }, option("parameters"), /dimensions/],
    [
      "a format nobody knows",
      { format: "xml" },
      option("format"),
      /format "xml" is not known: give parquet, csv, jsonl/
    ],
    ["no memory to collect in", { memoryBudget: Number.NaN }, option("memoryBudget"), /memoryBudget is NaN/],
    ["parts of no size", { partBytes: 1.5 }, option("partBytes"), /partBytes is 1.5, and must be a whole number/],
    ["no thread", { parallelism: 0 }, option("parallelism"), /parallelism is 0, and must be a whole number/],
    [
      "a compression nobody knows",
      { compression: "lzo" as "zstd" },
      option("compression"),
      /compression "lzo" is not known: give zstd, snappy, none/
    ],
    ["no model", { model: undefined }, option("model"), /model must be a text/],
    ["a text as the prompt", { prompt: "About {topic}" }, option("prompt"), /Prompt\.make/],
    ["no source", { source: undefined }, option("source"), /Source\.csv/],
    ["an array as the source", { source: rows }, option("source"), /Source\.rows/],
    [
      "a limit that does not exist",
      { limits: { minRecord: 5 } },
      option("limits.minRecord"),
      /there is no limit minRecord.*minRecords/
    ],
    [
      "a renaming of no column",
      { rename: { answer: "joke" } },
      option("rename.answer"),
      /the result adds no such column.*response/
    ],
    ["a processor that is none", { processor: { id: "mine/1" } }, option("processor"), /processor is no processor: it needs/],
    ["a column to embed that is no name", { embed: 5 }, option("embed"), /embed must be the name of a column/],
    ["parameters that are none", { parameters: null }, option("parameters"), /parameters must be an object/],
    ["a way of waiting that is none", { wait: {} }, option("wait"), /wait is no wait strategy/],
    ["a concurrency that is no number", { concurrency: "2" }, option("concurrency"), /must be a number/]
  ]
  for (const one of cases) {
    it.live(one[0], () => Effect.flatMap(start(), (stack) => check(stack, one)))
  }

  const layers: ReadonlyArray<readonly [name: string, layer: Loose, path: string, words: RegExp]> = [
    ["no bucket", { bucket: undefined }, "bucket", /bucket is missing: name the S3 bucket/],
    ["an empty bucket", { bucket: "" }, "bucket", /bucket is missing/],
    ["a bucket that Bedrock does not take", { bucket: "My_Bucket" }, "bucket", /"My_Bucket".*lower-case/],
    ["a prefix that Bedrock does not take", { prefix: "a b=c" }, "prefix", /"a b=c"/],
    ["a prefix with an empty segment", { prefix: "a//b" }, "prefix", /"a\/\/b"/],
    ["a prefix that is too long", { prefix: "p".repeat(801) }, "prefix", /801 characters, and may have 800/],
    ["a Region that is none", { region: "not a region!" }, "region", /"not a region!" is no Region/],
    ["an endpoint that is no URL", { endpoints: { bedrock: "nonsense" } }, "endpoints.bedrock", /"nonsense" is no URL/],
    [
      "no open jobs",
      { limits: { maxOpenJobs: 0 } },
      "limits.maxOpenJobs",
      /maxOpenJobs is 0, and must be an integer of at least 1/
    ],
    ["a limit that does not exist", { limits: { maxJobs: 7 } }, "limits.maxJobs", /there is no limit maxJobs/],
    ["a duration that is none", { settleAfter: "soon" }, "settleAfter", /settleAfter is no duration/],
    ["no role", { roleArn: undefined }, "roleArn", /roleArn is missing: name the role/],
    ["a role that is none", { roleArn: "batch-role" }, "roleArn", /"batch-role" is not the ARN of a role/],
    ["a tag that Bedrock does not take", { tags: { "a#b": "c" } }, "tags.a#b", /tag "a#b"/],
    ["an owner that is no account", { bucketOwner: "me" }, "bucketOwner", /"me" is not an account id/],
    ["a KMS key that is none", { outputKmsKeyId: "x y z" }, "outputKmsKeyId", /"x y z" is no KMS key/],
    ["credentials without a key", { credentials: {} }, "credentials.accessKeyId", /credentials.accessKeyId: Missing key/],
    ["a prefix that is no text", { prefix: 5 }, "prefix", /prefix: Expected string/],
    ["a VPC without subnets", { vpc: { subnetIds: [], securityGroupIds: ["sg-1"] } }, "vpc.subnetIds", /1 to 16/]
  ]
  for (const [name, layer, path, words] of layers) {
    it.live(name, () =>
      Effect.flatMap(start(), (stack) =>
        check(stack, [name, {}, option(path), words], layer as unknown as LayerOptions)))
  }

  it.live("no Region at all", () =>
    Effect.gen(function*() {
      const stack = yield* start()
      const { AWS_DEFAULT_REGION, AWS_REGION } = process.env
      delete process.env["AWS_REGION"]
      delete process.env["AWS_DEFAULT_REGION"]
      process.env["AWS_CONFIG_FILE"] = "/dev/null"
      yield* Effect.ensuring(
        check(stack, ["region", {}, { _tag: "InvalidOption", path: "region" }, /Region is missing/], {
          region: undefined
        } as unknown as LayerOptions),
        Effect.sync(() => {
          if (AWS_REGION !== undefined) process.env["AWS_REGION"] = AWS_REGION
          if (AWS_DEFAULT_REGION !== undefined) process.env["AWS_DEFAULT_REGION"] = AWS_DEFAULT_REGION
          delete process.env["AWS_CONFIG_FILE"]
        })
      )
    }))

  it.live("the longest prefix and run id that are taken work", () =>
    Effect.gen(function*() {
      const stack = yield* start()
      const runId = "r".repeat(40)
      const collected = yield* run({ ...good, runId }).pipe(Effect.provide(stack.layer({ prefix: "p".repeat(800) })))
      assert.deepInclude(collected.report.counts, { succeeded: 150 })
    }))

  it.live("a Region that is not the one the run was prepared for", () =>
    Effect.gen(function*() {
      const stack = yield* start()
      yield* prepare(good).pipe(Effect.provide(stack.layer()))
      yield* check(stack, ["region", {}, option("region"), /prepared for Region us-east-1.*eu-west-1/], { region: "eu-west-1" })
    }))
})

describe("columns that do not fit", () => {
  it.live("a placeholder that no column fills: the nearest is suggested", () =>
    Effect.gen(function*() {
      const stack = yield* start()
      const error = yield* check(stack, [
        "placeholder",
        { prompt: Prompt.make("{Topic} {topics} {zebra}") },
        { _tag: "InvalidColumns" },
        /"Topic" \(did you mean "topic"\?\), "topics" \(did you mean "topic"\?\), "zebra"; the source has "id", "topic"/
      ])
      assert.deepInclude(error.reason, {
        missing: ["Topic", "topics", "zebra"],
        available: ["id", "topic"],
        clashing: [],
        nearest: { Topic: "topic", topics: "topic" }
      })
    }))

  it.live("an embedding source without its column of texts", () =>
    Effect.gen(function*() {
      const stack = yield* start()
      const error = yield* check(stack, [
        "embed",
        { model: titan, prompt: undefined },
        { _tag: "InvalidColumns" },
        /"input_text".*embed|embed.*"input_text"/
      ])
      assert.deepInclude(error.reason, { missing: ["input_text"] })
      const other = yield* failure(stack, { model: titan, prompt: undefined, embed: "topik" })
      assert.deepInclude(other.reason, { missing: ["topik"], nearest: { topik: "topic" } })
    }))

  it.live("result columns that are there already: the option that renames them is named", () =>
    Effect.gen(function*() {
      const stack = yield* start()
      const clashing = rows.map(({ id, topic }) => ({ id, topic, response: "mine", batch_status: "mine" }))
      const error = yield* check(stack, [
        "clash",
        { source: Source.rows(clashing) },
        { _tag: "InvalidColumns" },
        /"response", "batch_status".*rename: \{ "response"/
      ])
      assert.deepInclude(error.reason, { clashing: ["response", "batch_status"], missing: [] })
      const half = yield* failure(stack, { source: Source.rows(clashing), rename: { response: "topic", batch_status: "s" } })
      assert.deepInclude(half.reason, { clashing: ["topic"] })
    }))

  it.live("a schema that names columns which the CSV does not have", () =>
    Effect.gen(function*() {
      const stack = yield* start()
      yield* stack.put("data.csv", csvOf(table))
      const source = Source.csv("store://data.csv", { columns: Schema.Struct({ Id: Schema.Int }) })
      const error = yield* check(stack, ["schema", { source }, { _tag: "InvalidColumns" }, /data\.csv.*"Id" \(did you mean "id"\?\)/])
      assert.deepInclude(error.reason, { missing: ["Id"], nearest: { Id: "id" } })
    }))
})

describe("sources that cannot be used", () => {
  const uri = `s3://${bucket}/data.csv`
  const invalid = (problem: BatchError.InvalidSource["problem"], place: Loose = {}) =>
    ({ _tag: "InvalidSource", problem, ...place }) as Case[2]
  const lines = csvOf(table).split("\n")
  const replaced = (line: number, text: string) => lines.with(line, text).join("\n")

  const files: ReadonlyArray<readonly [name: string, content: string | Uint8Array, reason: Case[2], words: RegExp]> = [
    ["no byte", "", invalid("empty", { uri }), /data\.csv.*empty/],
    ["a header alone", "id,topic\n", invalid("empty", { uri }), /data\.csv.*no rows/],
    ["99 rows", csvOf(plainTable(99)), invalid("below-minimum", { uri }), /data\.csv.*99 rows.*at least 100/],
    ["a row with a field too many", replaced(41, `40,${secret},more`), invalid("malformed", { uri, row: 41 }), /data\.csv, row 41.*3/],
    ["a row with a field too few", replaced(41, secret), invalid("malformed", { uri, row: 41 }), /row 41/],
    ["a quote that is not closed", replaced(120, `119,"${secret}`), invalid("malformed", { uri, row: 120 }), /row 120.*quote/],
    ["text after a closing quote", replaced(7, `6,"${secret}"x`), invalid("malformed", { uri, row: 7 }), /row 7/],
    ["two columns of one name", csvOf({ ...table, columns: ["id", "id"] }), invalid("malformed", { uri }), /data\.csv.*"id"/],
    [
      "bytes that are not UTF-8",
      Buffer.concat([Buffer.from(`${lines.slice(0, 60).join("\n")}\n59,`), Buffer.from([0xc3, 0x28]), Buffer.from("\n")]),
      invalid("malformed", { uri, row: 60 }),
      /row 60.*UTF-8/
    ]
  ]
  for (const [name, content, reason, words] of files) {
    it.live(`a CSV with ${name}`, () =>
      Effect.gen(function*() {
        const stack = yield* start()
        yield* stack.put("data.csv", content)
        yield* check(stack, [name, { source: Source.csv(uri) }, reason, words])
        assert.deepStrictEqual((yield* stack.keys("")).filter((key) => key.endsWith("run.json")), [])
      }))
  }

  it.live("a CSV whose typed cell does not decode: file, row and column are named", () =>
    Effect.gen(function*() {
      const stack = yield* start()
      yield* stack.put("data.csv", replaced(33, `${secret},x`))
      const source = Source.csv(uri, { columns: Schema.Struct({ id: Schema.Int }) })
      yield* check(stack, [
        "typed",
        { source },
        invalid("malformed", { uri, row: 33, column: "id" }),
        /data\.csv, row 33, column "id"/
      ])
    }))

  it.live("a file or an object that is not there, a folder, a scheme nobody knows", () =>
    Effect.gen(function*() {
      const stack = yield* start()
      const directory = yield* folder
      const gone = path.join(directory, "gone.csv")
      const of = (location: string) => ({ source: Source.csv(location) })
      yield* check(stack, ["file", of(gone), invalid("not-found"), /gone\.csv.*no such file/])
      yield* check(stack, ["object", of(uri), invalid("not-found", { uri }), /data\.csv.*no such object/])
      yield* check(stack, ["key", of("store://x/y.csv"), invalid("not-found", { uri: `s3://${bucket}/x/y.csv` }), /x\/y\.csv/])
      yield* check(stack, ["folder", of(directory), invalid("not-found"), /there are no files below this prefix/])
      yield* check(stack, ["scheme", of("ftp://host/data.csv"), option("location"), /ftp:\/\/ is not understood/])
      fs.writeFileSync(gone, csvOf(table))
      assert.strictEqual((yield* prepare({ ...good, source: Source.csv(gone) }).pipe(Effect.provide(stack.layer()))).jobs.length, 1)
    }))

  it.live("too few rows from memory, or none", () =>
    Effect.gen(function*() {
      const stack = yield* start()
      yield* check(stack, ["99", { source: sourceOf(plainTable(99)) }, invalid("below-minimum", { uri: null }), /99 rows.*100/])
      const none = yield* failure(stack, { source: Source.rows([]) })
      assert.include(["InvalidSource", "InvalidColumns"], none.reason._tag)
      if (none.reason._tag === "InvalidSource") assert.strictEqual(none.reason.problem, "empty")
    }))

  it.live("a stream without a run id, and one that fails on the way", () =>
    Effect.gen(function*() {
      const stack = yield* start()
      const stream = Stream.fromIterable(rows)
      yield* check(stack, ["stream", { source: Source.rows(stream) }, option("runId"), /read once.*runId/])
      const broken = Stream.concat(stream, Stream.fail(new Error(secret)))
      yield* check(stack, [
        "broken",
        { source: Source.rows(broken as typeof stream), runId: "broken" },
        invalid("failed"),
        /reading the rows failed/
      ])
      assert.notInclude(yield* stack.keys("broken/"), "broken/run.json")
    }))

  it.live("a record that is larger than a file may be: its row is named", () =>
    Effect.gen(function*() {
      const stack = yield* start()
      const long = rows.map((row, i) => i === 77 ? { ...row, topic: "x".repeat(5000) } : row)
      yield* check(stack, [
        "large",
        { source: Source.rows(long), limits: { maxFileBytes: 4000 } },
        invalid("record-too-large", { row: 78 }),
        /row 78 is 51\d\d bytes long.*at most 4000/
      ])
      yield* check(stack, [
        "all large",
        { limits: { maxJobBytes: 4000 } },
        invalid("record-too-large"),
        /100 records that a job needs at least are larger than the 4000 bytes/
      ])
    }))

  it.live("a prompt function that throws: its row is named, its words are not repeated", () =>
    Effect.gen(function*() {
      const stack = yield* start()
      const prompt = Prompt.fromColumns(["topic"], ({ topic }) => {
        if (String(topic).endsWith(" 66")) throw new TypeError(String(topic))
        return [{ role: "user", content: String(topic) }]
      }, { version: "1" })
      yield* check(stack, ["throws", { prompt }, invalid("failed", { row: 67 }), /row 67 cannot be made.*TypeError/])
    }))
})

describe("a store that does not hold what it should", () => {
  it.live("a run id that is taken: what differs is named", () =>
    Effect.gen(function*() {
      const stack = yield* start()
      const taken = { ...good, runId: "taken" }
      yield* prepare(taken).pipe(Effect.provide(stack.layer()))
      const before = yield* stack.text("taken/run.json")
      const others: ReadonlyArray<readonly [ReadonlyArray<string>, Loose]> = [
        [["prompt"], { prompt: Prompt.make("{topic}") }],
        [["source"], { source: sourceOf(plainTable(150)) }],
        [["model"], { model: "us.anthropic.claude-sonnet-4-5-20250929-v1:0" }],
        [["parameters"], { parameters: { maxTokens: 5 } }],
        [["selection"], { maxRecordsTotal: 120 }],
        [["rename"], { rename: { response: "joke" } }],
        [["prompt", "parameters"], { prompt: Prompt.make("{topic}"), parameters: { maxTokens: 5 } }]
      ]
      for (const [differs, options] of others) {
        const error = yield* check(stack, [
          differs.join(),
          { runId: "taken", ...options },
          { _tag: "RunConflict", problem: "different", runId: "taken" },
          new RegExp(`run taken exists with another ${differs.join(", ")}: choose another runId`)
        ])
        assert.deepInclude(error.reason, { differs })
      }
      assert.strictEqual(yield* stack.text("taken/run.json"), before)
    }))

  it.live("a run that is cancelled: nothing is sent, its rows say so, and submitting a job of it fails", () =>
    Effect.gen(function*() {
      const stack = yield* start()
      const prepared = yield* prepare(good).pipe(Effect.provide(stack.layer()))
      yield* stack.put(`${prepared.id}/cancelled`, "{}")
      const { report, rows: results } = yield* run(good).pipe(Effect.provide(stack.layer()))
      assert.strictEqual(report.counts.missing, 150)
      const codes = (yield* Stream.runCollect(results)).map((row) => row.batch_error_code)
      assert.deepStrictEqual(codes, rows.map(() => "Cancelled"))
      const error = yield* Effect.flip(submit(prepared.jobs[0]!).pipe(Effect.provide(stack.layer())))
      assert.deepInclude(error.reason, { _tag: "RunConflict", problem: "cancelled" })
      assert.match(error.message, /is cancelled.*not submitted/)
      assert.strictEqual((yield* stack.emulator.stats).calls.create, 0)
    }))

  const damages: ReadonlyArray<
    readonly [name: string, damage: (stack: Stack, key: string) => Effect.Effect<unknown>, words: RegExp]
  > = [
    ["a stray .jsonl in an input folder", (stack, key) => stack.put(key.replace("part-0", "stray"), "{}\n"), /stray\.jsonl lies in the input folder.*bill it, so remove it/],
    ["a stray .jsonl below an input folder", (stack, key) => stack.put(key.replace("part-0", "deep/stray"), "{}\n"), /deep\/stray\.jsonl lies in/],
    [
      "an input file that was changed, of the same size",
      (stack, key) => Effect.flatMap(stack.text(key), (text) => stack.put(key, text.replace("0: ", "1: "))),
      /part-0\.jsonl is not what prepare wrote/
    ],
    ["an input file that was cut", (stack, key) => Effect.flatMap(stack.text(key), (text) => stack.put(key, text.slice(0, -10))), /not what prepare wrote/],
    ["an input file that is gone", (stack, key) => stack.remove(key), /part-0\.jsonl of job 1-000000 is gone/]
  ]
  for (const [name, damage, words] of damages) {
    it.live(name, () =>
      Effect.gen(function*() {
        const stack = yield* start()
        const prepared = yield* prepare(good).pipe(Effect.provide(stack.layer()))
        const { key } = prepared.jobs[0]!.files[0]!
        yield* damage(stack, key)
        yield* check(stack, [name, {}, { _tag: "Damaged" }, words])
      }))
  }

  for (const file of ["plan.json", "run.json", "jobs.json"]) {
    it.live(`a ${file} that is empty or was changed`, () =>
      Effect.gen(function*() {
        const stack = yield* start()
        const { id } = yield* prepare(good).pipe(Effect.provide(stack.layer()))
        const key = (yield* stack.keys(`${id}/`)).find((key) => key.endsWith(`/${file}`))!
        // The plan matters as long as there is no manifest.
        if (file === "plan.json") yield* stack.remove(`${id}/run.json`)
        for (const content of ["", "{", "{}"]) {
          yield* stack.put(key, content)
          yield* check(stack, [file, {}, { _tag: "Damaged", key }, new RegExp(file)])
        }
      }))
  }

  it.live("a bucket that is not there, and credentials that are not taken", () =>
    Effect.gen(function*() {
      const stack = yield* start()
      yield* check(stack, ["bucket", {}, { _tag: "Refused", code: "NoSuchBucket" }, /no-such-bucket/], { bucket: "no-such-bucket" })
      const wrong = { ...stack.options.credentials!, secretAccessKey: "wrong" }
      const error = yield* failure(stack, {}, { credentials: wrong })
      assert.strictEqual(error.reason._tag, "Refused")
      assert.notInclude(error.message, "wrong")
    }))

  it.live("a service where nobody answers: the run waits, and what was prepared stays", () =>
    Effect.gen(function*() {
      const stack = yield* start()
      const layer = Aws.layer({ ...stack.options, endpoints: { bedrock: "http://127.0.0.1:9", s3: stack.s3.endpoint } })
      const error = yield* Effect.flip(run({ ...good, runId: "x" }).pipe(
        Effect.provide(Layer.fresh(layer)),
        Effect.timeout("1500 millis")
      ))
      assert.strictEqual(error._tag, "TimeoutError")
      assert.isTrue((yield* stack.keys("x/")).includes("x/run.json"))
    }))
})
