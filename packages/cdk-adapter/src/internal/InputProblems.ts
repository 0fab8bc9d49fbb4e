/**
 * What is wrong with the input of an execution, in words.
 *
 * @internal
 */
import * as Families from "@bedrock-batch/processors/Families"
import * as ModelId from "@bedrock-batch/processors/ModelId"
import * as Prompt from "@bedrock-batch/processors/Prompt"
import * as PromptLibrary from "@bedrock-batch/processors/PromptLibrary"
import { Outcome } from "@bedrock-batch/sdk/Outcome"
import { Lane } from "@bedrock-batch/sdk/RunManifest"
import { Format } from "@bedrock-batch/sdk/sink/Sink"
import * as Result from "effect/Result"
import * as SchemaIssue from "effect/SchemaIssue"
import type { Defaults, Problem } from "../Input.ts"

/** The longest name of a run, and the longest id. @internal */
export const longest = { name: 63, id: 40 }

/** As many as the keys of jobs count. @internal */
export const mostJobs = 999_999

/** No execution of a state machine lasts longer than a year. @internal */
export const mostDeadlineHours = 8_760

/** Part of a dataset's id, as the Hub has them. */
const part = "(?!\\.|[^/]*(?:--|\\.\\.))[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?"

/** What texts must be. With the flag `u` they are in the JSON Schema, too. @internal */
export const patterns = {
  name: /^[A-Za-z0-9][A-Za-z0-9.-]*$/u,
  /** The folder beside the runs that says who holds a slot. */
  runId: /^(?!capacity$)/u,
  s3: /^s3:\/\/[A-Za-z0-9][A-Za-z0-9._-]*\/.+$/u,
  dataset: new RegExp(`^${part}(?:/${part})?$`, "u"),
  template: /^(?:[^{}]|\{\{|\}\}|\{[^{}]+\})*$/u
}

/** Outcomes that may be tried again. @internal */
export const retried = Outcome.literals.filter((outcome) => outcome !== "succeeded")

const legalNames = (most: number) =>
  `must be a text of letters, digits, "." and "-", the first a letter or digit, at most ${most} characters`

/** What each field must be; the longest path that leads to a wrong value counts. */
const wanted: { readonly [path: string]: string } = {
  job_name_prefix: legalNames(longest.name),
  model_id: "must be a model id, an inference profile id or an ARN",
  s3_uri: "must be a URI such as s3://bucket/folder/rows.csv",
  dataset_id: "must be the id of a dataset, such as \"owner/name\"",
  max_records_total: "must be a whole number of at least 1",
  max_num_jobs: `must be a whole number from 1 to ${mostJobs}`,
  max_records_per_job: "must be a whole number of at least 1",
  max_records_per_batch: "must be a whole number of at least 1",
  input_format: "must be csv, parquet, jsonl or arrow",
  parameters: "must be an object, such as { \"max_tokens\": 500 }",
  "parameters.max_tokens": "must be a whole number of at least 1",
  "parameters.temperature": "must be a number from 0 to 1",
  "parameters.top_p": "must be a number from 0 to 1",
  "parameters.stop_sequences": "must be a list of texts",
  "parameters.thinking":
    "must be { \"budget_tokens\": <whole number> } or { \"effort\": \"low\" | \"medium\" | \"high\" }",
  "parameters.dimensions": "must be a whole number of at least 1",
  "parameters.normalize": "must be true or false",
  "parameters.truncate": "must be none, start or end",
  "parameters.more": "must be an object",
  output_format: `must be ${Format.literals.join(", ")}`,
  result_columns: "must be an object of new names by old ones, such as { \"response\": \"joke\" }",
  below_minimum: "must be fail or on-demand",
  retry: "must be a whole number of at least 1 (attempts in all), or an object with attempts in it",
  "retry.attempts": "must be a whole number of at least 1",
  "retry.outcomes": `must be a list of ${retried.join(", ")}`,
  "retry.errors": "must be mendable or all",
  "retry.lane": `must be ${Lane.literals.join(", ")}`,
  deadline_hours: `must be a number above 0, and at most ${mostDeadlineHours}, which is a year`,
  timeout_hours: "must be a whole number from 24 to 168",
  run_id: legalNames(longest.id)
}

const wantedAt = (path: ReadonlyArray<string>): Problem => {
  for (let length = path.length; length > 0; length--) {
    const field = path.slice(0, length).join(".")
    const message = wanted[field]
    if (message !== undefined) return { field, message }
  }
  return { field: path.join("."), message: "must be a text that is not empty" }
}

/** @internal */
export const isObject = (value: unknown): value is { readonly [key: string]: unknown } =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** Fields that there are not; they are most often misspelt. @internal */
export const unknownFields = (value: unknown, known: ReadonlyArray<string>, path = ""): ReadonlyArray<Problem> => {
  if (!isObject(value)) return []
  return Object.keys(value).filter((key) => !known.includes(key)).map((key) => {
    const near = Prompt.nearest(key, known)
    const message = near === null
      ? `there is no such field; there are ${known.join(", ")}`
      : `there is no such field: did you mean ${path}${near}?`
    return { field: path + key, message }
  })
}

const issuesOf = SchemaIssue.makeFormatterStandardSchemaV1()

/** @internal */
export const shapeProblems = (issue: SchemaIssue.Issue): ReadonlyArray<Problem> => {
  const found = new Map<string, Problem>()
  for (const { path = [] } of issuesOf(issue).issues) {
    const problem = wantedAt(path.map((part) => String(typeof part === "object" ? part.key : part)))
    found.set(problem.field, problem)
  }
  return [...found.values()]
}

/** Of a field that is not as it must be nothing else is said. */
const given = (value: unknown): string | undefined => typeof value === "string" && value !== "" ? value : undefined

/** @internal */
export const isGiven = (value: unknown): boolean => value !== undefined && value !== null

/** The nearest legal name, or null where there is none. */
const legalName = (name: string, length: number): string | null => {
  const legal = name.replace(/[^A-Za-z0-9.-]+/g, "-").replace(/^[.-]+/, "").slice(0, length).replace(/-+$/, "")
  return legal === "" ? null : legal
}

const nameProblem = (field: string, name: string | undefined, length: number): ReadonlyArray<Problem> => {
  if (name === undefined || (patterns.name.test(name) && name.length <= length)) return []
  const legal = legalName(name, length)
  const message = `${JSON.stringify(name)} cannot name a run: give letters, digits, "." and "-", the first a letter ` +
    `or digit, at most ${length} characters` + (legal === null ? "" : `, for example ${JSON.stringify(legal)}`)
  return [{ field, message }]
}

/** Endings of names, by which formats are known; upper case or lower. @internal */
export const endings = [
  ["csv", "\\.(csv|tsv|tab)(\\.(gz|gzip|zst|zstd))?$"],
  ["jsonl", "\\.(jsonl|ndjson)(\\.(gz|gzip|zst|zstd))?$"],
  ["parquet", "\\.(parquet|parq|pq)$"],
  ["arrow", "\\.(arrow|arrows|ipc|feather)$"]
] as const

/** @internal */
export const formatOf = (uri: string) => endings.find(([, ending]) => new RegExp(ending, "i").test(uri))?.[0]

const rowsProblems = (raw: { readonly [key: string]: unknown }): ReadonlyArray<Problem> => {
  const hasFile = isGiven(raw["s3_uri"])
  const hasDataset = isGiven(raw["dataset_id"])
  if (hasFile && hasDataset) {
    return [{ field: "dataset_id", message: "give s3_uri or dataset_id, not both" }]
  }
  if (!hasFile && !hasDataset) return [{ field: "s3_uri", message: "is missing: give s3_uri or dataset_id" }]
  const uri = given(raw["s3_uri"])
  if (uri !== undefined && patterns.s3.test(uri) && !isGiven(raw["input_format"]) && formatOf(uri) === undefined) {
    const message = uri.endsWith("/")
      ? "the format of the files below a prefix must be said: csv, parquet, jsonl or arrow"
      : `the format of ${uri} is not known by its name: give csv, parquet, jsonl or arrow`
    return [{ field: "input_format", message }]
  }
  return []
}

const isAllowed = (model: string, allowed: ReadonlyArray<string>): boolean => {
  const base = ModelId.baseModel(model)
  return allowed.some((one) => one === model || (base !== undefined && one === base))
}

const promptProblems = (
  raw: { readonly [key: string]: unknown },
  accepts: "chat" | "embed" | "raw"
): ReadonlyArray<Problem> => {
  const problems: Array<Problem> = []
  const add = (field: string, message: string) => void problems.push({ field, message })
  const model = raw["model_id"]
  const names = ["prompt_id", "prompt_template"].filter((name) => isGiven(raw[name]))
  if (accepts === "embed") {
    for (const name of names) add(name, `${model} is an embedding model and takes no prompt: make it null`)
  } else {
    if (names.length === 2) add("prompt_template", "give prompt_id or prompt_template, not both")
    if (names.length === 0) {
      const known = Object.keys(PromptLibrary.builtIn.prompts).join(", ")
      add(
        "prompt_id",
        `${model} is a text model and needs one: ${known}, one of the bucket's prompts, or prompt_template`
      )
    }
    if (isGiven(raw["embed_column"])) add("embed_column", `${model} is a text model: name columns in its prompt`)
  }
  if (isGiven(raw["system"]) && !isGiven(raw["prompt_template"])) {
    add("system", "belongs to prompt_template, and there is none")
  }
  const prompt = templateOf(raw)
  if (prompt !== null && Result.isFailure(prompt)) problems.push(prompt.failure)
  return problems
}

/** The prompt of a template; null where there is none. @internal */
export const templateOf = (raw: { readonly [key: string]: unknown }): Result.Result<Prompt.Any, Problem> | null => {
  const template = given(raw["prompt_template"])
  if (template === undefined) return null
  return Result.try({
    try: (): Prompt.Any => Prompt.make<string, string | undefined>(template, { system: given(raw["system"]) }),
    catch: (error) => {
      if (!(error instanceof Prompt.PromptSyntaxError)) throw error
      const { part, position } = error
      const field = part === "system" ? "system" : "prompt_template"
      // The text itself is nobody's business in a log.
      const message = `is malformed at position ${position}: write {column} for a placeholder, {{ for a brace`
      return { field, message }
    }
  })
}

const unknownModel = ({ model, near, problem }: Families.UnknownModel): string => {
  const why = {
    unknown: "is not known as a model id, an inference profile id or an ARN",
    unresolved: "does not say which model it stands for: give the id of a model, or of a cross-Region profile",
    "not-batch-capable": "takes no batch inference",
    "no-processor": "gives answers that this version cannot read"
  }
  return `${JSON.stringify(model)} ${why[problem]}` + (near.length > 0 ? `; did you mean ${near.join(" or ")}?` : "")
}

const modelProblems = (
  raw: { readonly [key: string]: unknown },
  { allowedModels }: Defaults
): ReadonlyArray<Problem> => {
  const model = given(raw["model_id"])
  if (model === undefined) return []
  const family = Families.forModel(model)
  if (Result.isFailure(family)) return [{ field: "model_id", message: unknownModel(family.failure) }]
  const problems = promptProblems(raw, family.success.accepts)
  if (allowedModels === null || isAllowed(model, allowedModels)) return problems
  const message = `this deployment does not allow ${model}; it allows ${allowedModels.join(", ")}`
  return [{ field: "model_id", message }, ...problems]
}

/** A field that must be there is not wrong, but missing. */
const missingProblems = (raw: { readonly [key: string]: unknown }): ReadonlyArray<Problem> =>
  ["job_name_prefix", "model_id"].flatMap((field) =>
    isGiven(raw[field]) ? [] : [{ field, message: `is missing: it ${wanted[field]}` }]
  )

/** Thinking is asked for by one of two fields; which of the two is wrong, nobody knows. */
const thinkingProblems = (parameters: unknown): ReadonlyArray<Problem> => {
  const thinking = isObject(parameters) ? parameters["thinking"] : null
  if (!isObject(thinking) || Object.keys(thinking).length === 1) return []
  const field = "parameters.thinking"
  return [{ field, message: wanted[field] ?? "" }]
}

/** @internal */
export const crossProblems = (raw: { readonly [key: string]: unknown }, defaults: Defaults): ReadonlyArray<Problem> => {
  const [perJob, perBatch] = [raw["max_records_per_job"], raw["max_records_per_batch"]]
  return [
    ...missingProblems(raw),
    ...nameProblem("job_name_prefix", given(raw["job_name_prefix"]), longest.name),
    ...nameProblem("run_id", given(raw["run_id"]), longest.id),
    ...(raw["run_id"] === "capacity"
      ? [{ field: "run_id", message: "\"capacity\" is the name of a folder beside the runs: choose another" }]
      : []),
    ...rowsProblems(raw),
    ...modelProblems(raw, defaults),
    ...thinkingProblems(raw["parameters"]),
    ...(isGiven(perJob) && isGiven(perBatch) && perJob !== perBatch
      ? [{ field: "max_records_per_batch", message: "is another name of max_records_per_job, and differs from it" }]
      : [])
  ]
}

