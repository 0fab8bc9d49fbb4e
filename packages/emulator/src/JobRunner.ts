/**
 * What a job does: it checks its input files, and later writes its output files and its manifest.
 *
 * @since 0.1.0
 */
import type { Limits } from "@bedrock-batch/sdk/Limits"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { asking } from "./Asking.ts"
import * as Chance from "./Chance.ts"
import { type JobFaults, picker } from "./Faults.ts"
import { withNulls } from "./internal/families/Converse.ts"
import { lookup } from "./internal/References.ts"
import { isObject, member, memberText, parse } from "./Json.ts"
import { splitter } from "./Lines.ts"
import { isRecordError, type RecordRequest, type Responder } from "./Responder.ts"
import { shuffler } from "./Shuffle.ts"
import type { Storage, StorageError } from "./Storage.ts"
import { cacheReadTokens, cacheWriteTokens, inputTokens, outputTokens } from "./Usage.ts"

/**
 * What a job needs to run.
 *
 * @since 0.1.0
 * @category models
 */
export interface RunnableJob {
  readonly id: string
  readonly arn: string
  readonly modelId: string
  readonly modelInvocationType: "InvokeModel" | "Converse"
  readonly inputUri: string
  readonly outputUri: string
  readonly faults: JobFaults
  /** Seed of everything that is left to chance in this job. */
  readonly seed: string
}

/**
 * An input file, and the key of its output file below the job's output folder.
 *
 * @since 0.1.0
 * @category models
 */
export interface InputFile {
  readonly uri: string
  readonly outputName: string
}

/**
 * What validation found: the job's input, or why the job fails.
 *
 * @since 0.1.0
 * @category models
 */
export type Scan =
  | { readonly valid: true; readonly files: ReadonlyArray<InputFile>; readonly records: number }
  | { readonly valid: false; readonly message: string }

/**
 * The counts of a finished job.
 *
 * @since 0.1.0
 * @category models
 */
export interface Totals {
  readonly total: number
  readonly processed: number
  readonly success: number
  readonly error: number
}

const recordProblem = (line: string): string | null => {
  const record = parse(line)
  if (!isObject(record)) return "is not a JSON object"
  if (!isObject(record["modelInput"])) return "has no modelInput object"
  const id = record["recordId"]
  return id === undefined || id === null || typeof id === "string" ? null : "has a recordId that is not a string"
}

const isBlank = (line: string) => /^[ \t\r]*$/.test(line)

const inputFiles = Effect.fnUntraced(function*(storage: Storage, inputUri: string) {
  if (inputUri.endsWith(".jsonl")) {
    const exact = (yield* storage.list(inputUri)).filter((object) => object.uri === inputUri)
    const relative = inputUri.slice(inputUri.lastIndexOf("/") + 1)
    if (exact.length > 0) return exact.map((object) => ({ ...object, relative }))
  }
  const prefix = inputUri.endsWith("/") ? inputUri : `${inputUri}/`
  return (yield* storage.list(prefix))
    .filter((object) => object.uri.endsWith(".jsonl"))
    .map((object) => ({ ...object, relative: object.uri.slice(prefix.length) }))
})

/**
 * Checks a job's input as Bedrock's validation does: the files are there, every line is a record, and the quotas hold.
 * The bodies are not looked at.
 *
 * @since 0.1.0
 * @category running
 */
export const scan: (storage: Storage, job: RunnableJob, limits: Limits) => Effect.Effect<Scan, StorageError> = Effect
  .fnUntraced(function*(storage, job, limits) {
    const invalid = (message: string): Scan => ({ valid: false, message })
    const batchJob = `Batch job ${job.arn}`
    const inputFile = (file: { readonly uri: string }) => `The input file ${file.uri}`
    const found = yield* inputFiles(storage, job.inputUri)
    if (found.length === 0) return invalid(`No JSONL files were found at the input location: ${job.inputUri}`)
    let bytes = 0
    for (const file of found) {
      bytes += file.size
      if (file.size > limits.maxFileBytes) {
        return invalid(
          `${inputFile(file)} is larger (${file.size} bytes) than the allowed maximum of: ${limits.maxFileBytes}`
        )
      }
    }
    if (bytes > limits.maxJobBytes) {
      return invalid(`${batchJob} is larger (${bytes} bytes) than the allowed maximum of: ${limits.maxJobBytes}`)
    }
    let records = 0
    for (const file of found) {
      const lines = splitter()
      let row = 0
      let inFile = 0
      let problem: string | null = null
      const check = (line: string) => {
        row++
        if (problem !== null || isBlank(line)) return
        inFile++
        const wrong = recordProblem(line)
        if (wrong !== null) problem = `Line ${row} of the input file ${file.uri} ${wrong}`
      }
      yield* Stream.runForEach(storage.read(file.uri), (chunk) =>
        Effect.sync(() => {
          for (const line of lines.push(chunk)) check(line)
        }))
      const rest = lines.rest()
      if (rest !== null) check(rest)
      if (!lines.isUtf8()) return invalid(`${inputFile(file)} is not UTF-8`)
      if (problem !== null) return invalid(problem)
      if (inFile > limits.maxFileRecords) {
        return invalid(
          `${inputFile(file)} contains more records (${inFile}) than the allowed maximum of: ${limits.maxFileRecords}`
        )
      }
      records += inFile
    }
    if (records > limits.maxRecords) {
      return invalid(`${batchJob} contains more records (${records}) than the allowed maximum of: ${limits.maxRecords}`)
    }
    if (records < limits.minRecords) {
      return invalid(
        `${batchJob} contains less records (${records}) than the required minimum of: ${limits.minRecords}`
      )
    }
    const files = found.map((file) => ({ uri: file.uri, outputName: `${file.relative}.out` }))
    return { valid: true, files, records }
  })

const encoder = new TextEncoder()
const outputOf = (outputUri: string, jobId: string) => `${outputUri.replace(/\/$/, "")}/${jobId}/`

/**
 * How much of a job is run, and what writes its output.
 *
 * @since 0.1.0
 * @category models
 */
export interface WriteOptions {
  readonly responder: Responder
  /** How many of the records are run. */
  readonly processed: number
  /** Which ones those are: the first of the input, or any, by chance. */
  readonly order: "first" | "any"
  /** What becomes of the others: a line with `expired: true`, or nothing. */
  readonly unprocessed: "expired" | "missing"
  /** Whether absent members of Converse's content blocks are written as null. */
  readonly nullFilledUnions: boolean
}

/**
 * Runs a job's records and writes `<output>/<job id>/<input file>.out` for each input file, and `manifest.json.out`
 * beside them. Memory stays bounded: the lines of a file are shuffled among some thousand neighbours.
 *
 * @since 0.1.0
 * @category running
 */
export const write: (
  storage: Storage,
  job: RunnableJob,
  input: { readonly files: ReadonlyArray<InputFile>; readonly records: number },
  options: WriteOptions
) => Effect.Effect<Totals, StorageError> = Effect.fnUntraced(function*(storage, job, input, options) {
  const chance = Chance.make(`${job.seed}/run`)
  const { faults } = job
  const total = input.records
  const pick = (name: Exclude<keyof JobFaults, "end" | "unprocessed" | "failAllRecords">) =>
    picker(faults[name], total, Chance.make(`${job.seed}/${name}`))
  const isRun = picker(
    { next: options.processed },
    options.order === "first" ? options.processed : total,
    Chance.make(`${job.seed}/order`)
  )
  const isMissing = pick("missingLines")
  const isDuplicate = pick("duplicateLines")
  const isUnknown = pick("unknownIds")
  const isMalformed = pick("malformedLines")
  const isThrottled = pick("throttledRecords")
  const isBroken = pick("brokenRecords")
  const ask = asking(options.responder)
  const lookFor = lookup(storage, job.inputUri)
  const counts = { success: 0, error: 0, inputTokens: 0, outputTokens: 0, cacheReads: 0, cacheWrites: 0 }
  const failure = (errorCode: number, errorMessage: string, expired = false) => ({ errorCode, errorMessage, expired })
  const notRun = failure(400, "The record was not processed before the job's timeout.", true)

  const faultOf = () => {
    const throttled = isThrottled()
    const broken = isBroken()
    return faults.failAllRecords
      ? failure(400, "The request was refused by the model.")
      : throttled
      ? failure(429, "Too many requests, please wait before trying again.")
      : broken
      ? failure(500, "The system encountered an unexpected error during processing. Try your request again.")
      : null
  }

  const answers = Effect.fnUntraced(function*(lines: ReadonlyArray<string>, emit: (line: string) => void) {
    const requests: Array<RecordRequest> = []
    const early: Array<ReturnType<typeof failure> | "run" | "leave"> = []
    const records: Array<{ readonly recordId: string; readonly modelInput: string }> = []
    for (const line of lines) {
      if (isBlank(line)) continue
      const record = parse(line)
      const modelInput = member(record, "modelInput")
      const id = member(record, "recordId")
      const recordId = typeof id === "string" ? id : chance.id(11).toUpperCase()
      // As text: parsing and writing again would lose digits of numbers, and the order of some members.
      records.push({ recordId, modelInput: memberText(line, "modelInput") ?? "{}" })
      const fault = faultOf()
      if (!isRun()) {
        early.push(options.unprocessed === "missing" ? "leave" : notRun)
      } else if (fault !== null) {
        counts.error++
        early.push(fault)
      } else {
        const absent = yield* lookFor(line, modelInput)
        if (absent !== null) {
          counts.error++
          early.push(failure(400, absent))
          continue
        }
        early.push("run")
        requests.push({
          modelId: job.modelId,
          modelInvocationType: job.modelInvocationType,
          recordId,
          modelInput: isObject(modelInput) ? modelInput : {},
          inputUri: job.inputUri
        })
      }
    }
    const results = yield* ask(requests)
    let next = 0
    for (const [index, record] of records.entries()) {
      const state = early[index]
      const missing = isMissing()
      const duplicate = isDuplicate()
      const unknown = isUnknown()
      const malformed = isMalformed()
      if (state === "leave" || state === undefined) continue
      let ending: string
      if (state === "run") {
        const result = results[next++]
        if (isRecordError(result)) {
          counts.error++
          const { errorCode, errorMessage, ...rest } = result.error
          ending = JSON.stringify({ error: { errorCode, errorMessage, expired: false, ...rest } })
        } else {
          counts.success++
          counts.inputTokens += inputTokens(result)
          counts.outputTokens += outputTokens(result)
          counts.cacheReads += cacheReadTokens(result)
          counts.cacheWrites += cacheWriteTokens(result)
          const fill = options.nullFilledUnions && job.modelInvocationType === "Converse"
          ending = JSON.stringify({ modelOutput: (fill ? withNulls(result) : result) ?? null })
        }
      } else {
        ending = JSON.stringify({ error: state })
      }
      const withId = (id: string) =>
        `{"recordId":${JSON.stringify(id)},"modelInput":${record.modelInput},${ending.slice(1)}`
      const line = withId(record.recordId)
      if (!missing) emit(malformed ? line.slice(0, line.length >> 1) : line)
      if (duplicate) emit(line)
      if (unknown) emit(withId(`unknown-${chance.id(11)}`))
    }
  })

  for (const file of input.files) {
    const output = Stream.suspend(() => {
      const lines = splitter()
      const shuffle = shuffler(chance)
      const take = Effect.fnUntraced(function*(complete: ReadonlyArray<string>) {
        const out: Array<Uint8Array> = []
        yield* answers(complete, (line) => shuffle.add(line, out))
        return Buffer.concat(out)
      })
      const drained = function*() {
        for (let bytes = shuffle.drain(); bytes !== null; bytes = shuffle.drain()) yield bytes
      }
      return storage.read(file.uri).pipe(
        Stream.mapEffect((chunk) => take(lines.push(chunk))),
        Stream.concat(Stream.fromEffect(Effect.suspend(() => {
          const rest = lines.rest()
          return take(rest === null ? [] : [rest])
        }))),
        Stream.concat(Stream.suspend(() => Stream.fromIterable(drained(), { chunkSize: 1 }))),
        Stream.filter((bytes) => bytes.byteLength > 0)
      )
    })
    yield* storage.write(outputOf(job.outputUri, job.id) + file.outputName, output)
  }
  const { error, success } = counts
  const totals: Totals = { total, processed: success + error, success, error }
  const manifest = {
    totalRecordCount: totals.total,
    processedRecordCount: totals.processed,
    successRecordCount: totals.success,
    errorRecordCount: totals.error,
    inputTokenCount: counts.inputTokens,
    outputTokenCount: counts.outputTokens,
    ...(counts.cacheReads + counts.cacheWrites === 0
      ? {}
      : { cacheReadInputTokenCount: counts.cacheReads, cacheWriteInputTokenCount: counts.cacheWrites })
  }
  const bytes = encoder.encode(JSON.stringify(manifest))
  yield* storage.write(`${outputOf(job.outputUri, job.id)}manifest.json.out`, Stream.make(bytes))
  return totals
})
