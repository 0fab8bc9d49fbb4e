import { assert, describe, it } from "@effect/vitest"
import { Ajv2020 } from "ajv/dist/2020.js"
import { Arbitrary, Result, Schema } from "effect"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { type Defaults, ExecutionInput, fromUnknown, jsonSchema, Parameters } from "../src/Input.ts"

const defaults: Defaults = { maxRecordsTotal: null, maxRecordsPerJob: 1000, timeoutHours: 24, allowedModels: null }

const haiku = "anthropic.claude-3-haiku-20240307-v1:0"

const text = {
  job_name_prefix: "jokes",
  model_id: haiku,
  s3_uri: "s3://bucket/topics.csv",
  prompt_id: "joke_about_topic"
}

const embedding = {
  job_name_prefix: "vectors",
  model_id: "amazon.titan-embed-text-v2:0",
  s3_uri: "s3://bucket/texts.parquet",
  prompt_id: null
}

const decoded = (input: unknown, own: Partial<Defaults> = {}) => {
  const result = fromUnknown(input, { ...defaults, ...own })
  if (Result.isFailure(result)) throw result.failure
  return result.success
}

const problems = (input: unknown, own: Partial<Defaults> = {}): Record<string, string> => {
  const result = fromUnknown(input, { ...defaults, ...own })
  assert.isTrue(Result.isFailure(result))
  return Result.isFailure(result)
    ? Object.fromEntries(result.failure.problems.map(({ field, message }) => [field, message]))
    : {}
}

describe("the input of an execution", () => {
  it("is the sample's, with the sample's defaults", () => {
    assert.deepInclude(decoded(text), {
      name: "jokes",
      model: haiku,
      rows: { kind: "s3", uri: "s3://bucket/topics.csv", format: "csv" },
      prompt: { id: "joke_about_topic" },
      maxRecordsPerJob: 1000,
      maxRecordsTotal: undefined,
      maxJobs: undefined,
      format: "parquet",
      belowMinimum: "fail",
      retry: { attempts: 1 },
      deadlineHours: null,
      timeoutHours: 24
    })
    const dataset = {
      dataset_id: "w601sxs/simpleCoT",
      split: "train",
      job_name_prefix: "demo-run-001",
      model_id: "us.anthropic.claude-3-5-haiku-20241022-v1:0",
      prompt_id: "question_answering",
      max_num_jobs: 1,
      max_records_total: 100
    }
    assert.deepInclude(decoded(dataset), {
      rows: { kind: "dataset", id: "w601sxs/simpleCoT", split: "train", config: undefined, revision: undefined },
      maxJobs: 1,
      maxRecordsTotal: 100
    })
    assert.deepInclude(decoded(embedding), { prompt: null })
  })

  it("takes null for what may be left out", () => {
    const nulls = Object.fromEntries(Object.keys(ExecutionInput.fields).map((name) => [name, null]))
    assert.deepStrictEqual(decoded({ ...nulls, ...text }), decoded(text))
  })

  it("falls back on what the deployment says", () => {
    const own = { maxRecordsTotal: 500, maxRecordsPerJob: 200, timeoutHours: 48 }
    assert.deepInclude(decoded(text, own), own)
    const said = decoded({ ...text, max_records_total: 1, max_records_per_job: 2, timeout_hours: 72 }, own)
    assert.deepInclude(said, { maxRecordsTotal: 1, maxRecordsPerJob: 2, timeoutHours: 72 })
  })

  it("takes max_records_per_batch for max_records_per_job", () => {
    assert.strictEqual(decoded({ ...text, max_records_per_batch: 300 }).maxRecordsPerJob, 300)
    assert.strictEqual(decoded({ ...text, max_records_per_batch: 300, max_records_per_job: 300 }).maxRecordsPerJob, 300)
    const differing = { ...text, max_records_per_batch: 300, max_records_per_job: 200 }
    assert.hasAllKeys(problems(differing), ["max_records_per_batch"])
  })

  it("knows the format of a file by its name, and asks where that does not tell", () => {
    const formats = {
      "rows.CSV": "csv",
      "rows.tsv.gz": "csv",
      "rows.parquet": "parquet",
      "rows.jsonl.zst": "jsonl",
      "rows.ndjson": "jsonl",
      "rows.arrow": "arrow"
    }
    for (const [name, format] of Object.entries(formats)) {
      assert.propertyVal(decoded({ ...text, s3_uri: `s3://bucket/${name}` }).rows, "format", format)
    }
    for (const name of ["rows", "folder/", "rows.parquet.gz"]) {
      const input = { ...text, s3_uri: `s3://bucket/${name}` }
      assert.hasAllKeys(problems(input), ["input_format"])
      assert.propertyVal(decoded({ ...input, input_format: "jsonl" }).rows, "format", "jsonl")
    }
  })

  it("has rows of a file or of a dataset, and of one of them", () => {
    const { s3_uri: _, ...none } = text
    assert.hasAllKeys(problems(none), ["s3_uri"])
    assert.hasAllKeys(problems({ ...text, dataset_id: "owner/name" }), ["dataset_id"])
    assert.strictEqual(decoded({ ...text, split: "test" }).rows.kind, "s3")
  })

  it("has a prompt for a text model, and none for an embedding model", () => {
    assert.hasAllKeys(problems({ ...text, prompt_id: null }), ["prompt_id"])
    assert.hasAllKeys(problems({ ...embedding, prompt_id: "joke_about_topic" }), ["prompt_id"])
    assert.hasAllKeys(problems({ ...embedding, prompt_template: "{text}" }), ["prompt_template"])
    assert.hasAllKeys(problems({ ...text, prompt_template: "{topic}" }), ["prompt_template"])
    assert.hasAllKeys(problems({ ...text, system: "Be brief." }), ["system"])
    assert.hasAllKeys(problems({ ...text, embed_column: "text" }), ["embed_column"])
    assert.strictEqual(decoded({ ...embedding, embed_column: "text" }).embed, "text")
  })

  it("may bring its own template, of which an error says where, and not what", () => {
    const { prompt_id: _, ...rest } = text
    const { prompt } = decoded({ ...rest, prompt_template: "A joke about {topic}.", system: "You are {role}." })
    assert.deepStrictEqual(prompt !== null && "prompt" in prompt ? prompt.prompt.placeholders : null, ["role", "topic"])
    const found = problems({ ...rest, prompt_template: "hush {topic" })
    assert.include(found["prompt_template"] ?? "", "position 5")
    assert.notInclude(JSON.stringify(found), "hush")
  })

  it("names a run, and says which name would do", () => {
    for (const name of ["a", "A.b-1", "x".repeat(63)]) {
      assert.strictEqual(decoded({ ...text, job_name_prefix: name }).name, name)
    }
    assert.include(problems({ ...text, job_name_prefix: "my_run 1" })["job_name_prefix"] ?? "", "\"my-run-1\"")
    const long = problems({ ...text, job_name_prefix: "x".repeat(64) })
    assert.include(long["job_name_prefix"] ?? "", "at most 63 characters")
    assert.strictEqual(decoded({ ...text, job_name_prefix: "x".repeat(63), run_id: "r" }).runId, "r")
    const both = { ...text, job_name_prefix: "x".repeat(64), run_id: "../r" }
    assert.hasAllKeys(problems(both), ["job_name_prefix", "run_id"])
  })

  it("allows the models that the deployment allows, their profiles too", () => {
    const allowedModels = [haiku]
    assert.strictEqual(decoded({ ...text, model_id: `us.${haiku}` }, { allowedModels }).model, `us.${haiku}`)
    assert.hasAllKeys(problems({ ...text, model_id: "amazon.nova-lite-v1:0" }, { allowedModels }), ["model_id"])
  })

  it("says what is near a field and a model that there are not", () => {
    const misspelt = { promt_id: "x", parameters: { temprature: 1 }, retry: { atempts: 2, attempts: 2 } }
    const found = problems({ ...text, ...misspelt })
    assert.include(found["promt_id"] ?? "", "did you mean prompt_id?")
    assert.include(found["parameters.temprature"] ?? "", "did you mean parameters.temperature?")
    assert.include(found["retry.atempts"] ?? "", "did you mean retry.attempts?")
    assert.include(problems({ ...text, model_id: "amazn.nova-lite-v1:0" })["model_id"] ?? "", "amazon.nova-lite-v1:0")
    assert.include(problems({ ...text, model_id: "no such model" })["model_id"] ?? "", "no such model")
  })

  it("tells all that is wrong at once, each field once", () => {
    const input = {
      job_name_prefix: "",
      model_id: 5,
      s3_uri: "https://bucket/x.csv",
      max_records_total: 0,
      max_num_jobs: "3",
      parameters: { max_tokens: 1.5, top_p: "high", thinking: {} },
      output_format: "xlsx",
      below_minimum: "pad",
      retry: { attempts: 1, outcomes: ["succeeded"], lane: "fast" },
      deadline_hours: -1,
      timeout_hours: 12,
      result_columns: { response: "" }
    }
    const found = problems(input)
    assert.sameMembers(Object.keys(found), [
      "job_name_prefix",
      "model_id",
      "s3_uri",
      "max_records_total",
      "max_num_jobs",
      "parameters.max_tokens",
      "parameters.top_p",
      "parameters.thinking",
      "output_format",
      "below_minimum",
      "retry.outcomes",
      "retry.lane",
      "deadline_hours",
      "timeout_hours",
      "result_columns"
    ])
    for (const message of Object.values(found)) assert.notInclude(message, "Expected")
  })

  it("that is left out is missing, and not wrong", () => {
    const found = problems({ model_id: null })
    assert.hasAllKeys(found, ["job_name_prefix", "model_id", "s3_uri"])
    for (const message of Object.values(found)) assert.match(message, /^is missing: /)
    assert.include(found["job_name_prefix"] ?? "", "at most 63 characters")
  })

  it("that no run could have is refused before anything is read", () => {
    for (const hours of [8_761, 1e20, 1e308]) {
      assert.hasAllKeys(problems({ ...text, deadline_hours: hours }), ["deadline_hours"])
    }
    assert.hasAllKeys(problems({ ...text, max_num_jobs: 1_000_000 }), ["max_num_jobs"])
    assert.hasAllKeys(problems({ ...text, run_id: "capacity" }), ["run_id"])
    assert.hasAllKeys(problems({ ...text, s3_uri: null, dataset_id: "owner/.." }), ["dataset_id"])
    assert.hasAllKeys(problems({ ...text, parameters: { temperature: -1, top_p: 2 } }), [
      "parameters.temperature",
      "parameters.top_p"
    ])
    for (const thinking of [{ budget_tokens: 1024, effort: "low" }, { effort: "low", hard: true }]) {
      assert.hasAllKeys(problems({ ...text, parameters: { thinking } }), ["parameters.thinking"])
    }
    // What is wrong with a location is not that its format is unknown, too.
    for (const uri of ["s3://", "s3://bucket", "s3://a b/x", "s3://arn:aws:s3:us-east-1:1:accesspoint/a/x", "/x"]) {
      assert.hasAllKeys(problems({ ...text, s3_uri: uri }), ["s3_uri"])
    }
  })

  it("that is no object says what it must be", () => {
    for (const input of [null, 5, "x", [], undefined]) assert.hasAllKeys(problems(input), ["input"])
  })

  it("has parameters and retries by the names of this input", () => {
    const input = decoded({
      ...text,
      parameters: {
        max_tokens: 5,
        temperature: 0.5,
        top_p: null,
        stop_sequences: ["END"],
        thinking: { budget_tokens: 1024 },
        more: { top_k: 4 }
      },
      retry: { attempts: 3, outcomes: ["truncated"], errors: null, lane: "on-demand" }
    })
    assert.deepStrictEqual(input.parameters, {
      maxTokens: 5,
      temperature: 0.5,
      stopSequences: ["END"],
      thinking: { budgetTokens: 1024 },
      more: { top_k: 4 }
    })
    assert.deepStrictEqual(input.retry, { attempts: 3, outcomes: ["truncated"], lane: "on-demand" })
    assert.deepStrictEqual(decoded({ ...text, retry: 2 }).retry, { attempts: 2 })
  })

  it.prop(
    "is decoded or refused with fields named, whatever JSON it is",
    [
      Arbitrary.schema(Schema.Json),
      Arbitrary.schema(Schema.Record(Schema.Literals(["s3_uri", "retry", "parameters", "run_id"]), Schema.Json))
    ],
    ([whole, fields]) => {
      for (const input of [whole, { ...text, ...fields }, fields]) {
        const result = fromUnknown(input, defaults)
        if (Result.isSuccess(result)) continue
        assert.isNotEmpty(result.failure.problems)
        const named = result.failure.problems.map(({ field }) => field)
        assert.strictEqual(new Set(named).size, named.length)
        assert.isNotEmpty(result.failure.message)
      }
    }
  )

  it.prop("comes out as it went in where it is right", [
    Arbitrary.all({
      total: Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 1e9 }))),
      jobs: Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 999_999 }))),
      hours: Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 24, maximum: 168 }))),
      name: Arbitrary.schema(Schema.String.check(Schema.isPattern(/^[A-Za-z0-9][A-Za-z0-9.-]{0,28}$/)))
    })
  ], ([{ hours, jobs, name, total }]) => {
    const own = { job_name_prefix: name, max_records_total: total, max_num_jobs: jobs, timeout_hours: hours }
    const input = decoded({ ...text, ...own })
    assert.deepInclude(input, { name, maxRecordsTotal: total, maxJobs: jobs, timeoutHours: hours })
  })
})

describe("the JSON Schema of an input", () => {
  const schema = JSON.parse(JSON.stringify(jsonSchema()))

  it("has every field, with what it means", () => {
    assert.sameMembers(Object.keys(schema.properties), Object.keys(ExecutionInput.fields))
    for (const [name, field] of Object.entries<any>(schema.properties)) assert.isString(field.description, name)
    assert.deepStrictEqual(schema.required, ["job_name_prefix", "model_id"])
    assert.isFalse(schema.additionalProperties)
  })

  it("takes what the validator takes, as far as neither needs to know the model", () => {
    const takes = new Ajv2020({ allErrors: false }).compile(schema)
    const { prompt_id: _, ...bare } = text
    const { s3_uri: __, ...rowless } = text
    const starts = [
      text,
      { ...bare, prompt_template: "A joke about {topic}." },
      { ...text, run_id: "jokes-1" },
      { ...rowless, dataset_id: "owner/name" }
    ]
    const counts = [null, 0, 1, -1, 1.5, 1e6, 1e30, 24, 168, 169, 8760, 8761, "1", "", true, [], {}, ["x"]]
    const shares = [null, 0, 0.5, 1, 1.1, -0.1, "0.5"]
    const objects = [
      {},
      { max_tokens: 5, top_p: null, stop_sequences: ["END"] },
      { stop_sequences: [""] },
      { stop_sequences: "END" },
      { thinking: { budget_tokens: 1024 } },
      { thinking: { budget_tokens: 1024, effort: "low" } },
      { thinking: { effort: "low", more: 1 } },
      { thinking: {} },
      { more: { top_k: [1] } },
      { more: 5 },
      ...shares.flatMap((share) => [{ temperature: share }, { top_p: share }]),
      { truncate: "end", normalize: true, dimensions: 256 },
      { attempts: 2 },
      { attempts: 2, outcomes: ["failed"], errors: "all", lane: "batch" },
      { attempts: 2, outcomes: ["succeeded"] },
      { attempts: 0 },
      { attempts: 2, tries: 2 },
      { response: "joke" },
      { response: "" },
      { response: null }
    ]
    const lengths = [40, 41, 63, 64]
    const names = ["a", "-a", "a_b", "a b", "é", "a\n", ...lengths.map((length) => "x".repeat(length))]
    const texts = ["capacity", "train", "csv", "jsonl", "parquet", "arrow", "xlsx", "fail", "on-demand", " "]
    const templates = ["{topic}", "{", "}", "{}", "{{}}", "{{{topic}}}", "{a{b}}", "}}{a}", "{{a}", "a\n{b\n}", "😀{é}"]
    const datasets = ["a", "a/b", "a/b/c", "a/..", "a--b/c", "../x", ".a", "a.", "a b", "_a/_b", "a".repeat(96)]
    const files = [
      ...["s3://b/a.csv", "s3://b/a b.CSV.Gz", "s3://b/a?b.parquet", "s3://b/日本.arrow", "s3://b//a.jsonl.zst", "s3://b/a.PQ"],
      ...["s3://b/a", "s3://b/a/", "s3://b/a.json", "s3://b/a.parquet.gz", "s3://b/a.csv "],
      ...["s3://b", "s3://b/", "s3:///a.csv", "s3://a b/c.csv", "s3://arn:aws:s3:::b/a.csv", "https://b/a.csv", "s3://b/a\n.csv"]
    ]
    const values = [...counts, ...objects, ...names, ...texts, ...templates, ...datasets, ...files]
    const fields = Object.keys(ExecutionInput.fields).filter((name) => !["model_id", "embed_column"].includes(name))
    const tried = [0, 0]
    const same = (input: object) => {
      const found = fromUnknown(input, defaults)
      const isTaken = Result.isSuccess(found)
      assert.strictEqual(takes(input), isTaken, `${JSON.stringify(input)} ${isTaken ? "" : found.failure.message}`)
      tried[isTaken ? 1 : 0]!++
    }
    for (const start of starts) {
      same(start)
      same({ ...start, promt_id: "x" })
      for (const field of fields) {
        for (const value of values) {
          // A text model has a prompt, and the other name of a limit says the same.
          if (field === "prompt_id" && value === null && !("prompt_template" in start)) continue
          if (field === "prompt_template" && value === null && !("prompt_id" in start)) continue
          same({ ...start, [field]: value })
        }
      }
      for (const file of files) for (const format of [null, "csv", "xlsx"]) same({ ...start, s3_uri: file, input_format: format })
      for (const name of names) for (const id of [null, ...names]) same({ ...start, job_name_prefix: name, run_id: id })
      for (const system of templates) same({ ...bare, prompt_template: "{topic}", system })
    }
    for (const count of tried) assert.isAbove(count, 300)
  })

  it("is what the guide says", () => {
    const guide = readFileSync(join(import.meta.dirname, "../../../docs/guides/pipeline-input.md"), "utf8")
    const rows = [...guide.matchAll(/^\| `([a-z_0-9]+)` \|/gm)].map(([, name]) => name)
    assert.deepStrictEqual(rows, [...Object.keys(ExecutionInput.fields), ...Object.keys(Parameters.fields)])
  })
})
