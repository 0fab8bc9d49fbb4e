/**
 * What the sdk says of its options, in the words of the input that they come from.
 *
 * @internal
 */
import { BatchError, InvalidColumns, InvalidSource, OutOfTime, RunConflict } from "@bedrock-batch/sdk/BatchError"
import { InvalidInput, type Problem } from "../Input.ts"

/** Fields by the options that they become. */
const fields: ReadonlyMap<string, string> = new Map([
  ["name", "job_name_prefix"],
  ["runId", "run_id"],
  ["model", "model_id"],
  ["prompt", "prompt_id"],
  ["embed", "embed_column"],
  ["parameters", "parameters"],
  ["rename", "result_columns"],
  ["maxRecordsTotal", "max_records_total"],
  ["maxJobs", "max_num_jobs"],
  ["maxRecordsPerJob", "max_records_per_job"],
  ["timeoutHours", "timeout_hours"],
  ["belowMinimum", "below_minimum"],
  ["id", "dataset_id"],
  ["split", "split"],
  ["config", "dataset_config"],
  ["revision", "dataset_revision"]
])

const parameters: ReadonlyMap<string, string> = new Map([
  ["maxTokens", "max_tokens"],
  ["temperature", "temperature"],
  ["topP", "top_p"],
  ["stopSequences", "stop_sequences"],
  ["thinking", "thinking"],
  ["budgetTokens", "budget_tokens"],
  ["dimensions", "dimensions"],
  ["normalize", "normalize"],
  ["truncate", "truncate"]
])

const parameterName = new RegExp(`\\b(${[...parameters.keys()].join("|")})\\b`)

/** Names that are no words of their own, and phrases with those that are. */
const spoken: ReadonlyArray<readonly [RegExp, string]> = [
  ...[...fields, ...parameters].flatMap(([option, field]) =>
    /[A-Z]/.test(option) ? [[new RegExp(`\\b${option}\\b`, "g"), field] as const] : []
  ),
  [/\bwith embed\b/g, "with embed_column"],
  [/\brename(?=:| names| gives)/g, "result_columns"]
]

/** A message in the words of the input; what it quotes of the user's stays as it is. */
const inWords = (message: string): string =>
  message.split(/("(?:[^"\\]|\\.)*")/).map((part, at) =>
    at % 2 === 1 ? part : spoken.reduce((text, [option, field]) => text.replace(option, field), part)
  ).join("")

const problemOf = (path: string, message: string): Problem | null => {
  const [option = "", ...rest] = path.split(".")
  const field = fields.get(option)
  if (field === undefined) return null
  const said = message.startsWith(`${path}: `) ? message.slice(path.length + 2) : message
  if (option !== "parameters") return { field: [field, ...rest].join("."), message: inWords(said) }
  const parameter = parameters.get(parameterName.exec(said)?.[1] ?? "")
  return { field: parameter === undefined ? field : `${field}.${parameter}`, message: inWords(said) }
}

/** A failure to prepare a run as whoever wrote the input knows it. @internal */
export const toInput = <E>(failure: E): E | BatchError | InvalidInput => {
  if (!(failure instanceof BatchError)) return failure
  const { method, module, reason } = failure
  switch (reason._tag) {
    case "InvalidOption": {
      const problem = problemOf(reason.path, reason.message)
      return problem === null ? failure : new InvalidInput({ problems: [problem] })
    }
    case "InvalidColumns": {
      const { available, clashing, message, missing, nearest } = reason
      const own = new InvalidColumns({ available, clashing, missing, nearest, message: inWords(message) })
      return new BatchError({ module, method, reason: own })
    }
    case "InvalidSource": {
      const { column, message, problem, row, uri } = reason
      const own = new InvalidSource({ column, problem, row, uri, message: inWords(message) })
      return new BatchError({ module, method, reason: own })
    }
    case "OutOfTime": {
      const { message, records, runId } = reason
      return new BatchError({ module, method, reason: new OutOfTime({ records, runId, message: inWords(message) }) })
    }
    case "RunConflict": {
      const { differs, message, problem, runId } = reason
      const own = new RunConflict({ differs, problem, runId, message: inWords(message) })
      return new BatchError({ module, method, reason: own })
    }
    default:
      return failure
  }
}
