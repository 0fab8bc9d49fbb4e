/**
 * Fault options in JSON, for the HTTP door.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type { Delay, FaultOptions, Trigger } from "./Faults.ts"
import { isObject } from "./Json.ts"

/**
 * Fault options that cannot be understood; the message names the fault.
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidFaults extends Data.TaggedError("InvalidFaults")<{ readonly message: string }> {}

const readTrigger = (value: unknown): Trigger | undefined => {
  if (typeof value === "number" && value >= 0 && value <= 1) return value
  if (!isObject(value)) return undefined
  const next = value["next"]
  return typeof next === "number" && Number.isInteger(next) && next >= 0 ? { next } : undefined
}

const readDuration = (value: unknown): Duration.Duration | undefined => {
  if (typeof value === "number" && value >= 0) return Duration.millis(value)
  // The parser takes any string and gives none for one that is no duration.
  return typeof value === "string" ? Option.getOrUndefined(Duration.fromInput(value as Duration.Input)) : undefined
}

const readDelay = (value: unknown): Delay | undefined => {
  if (!isObject(value)) return undefined
  const by = readDuration(value["by"])
  const when = value["when"] === undefined ? 1 : readTrigger(value["when"])
  return by === undefined || when === undefined ? undefined : { by, when }
}

const readToken = (value: unknown): FaultOptions["token"] => {
  if (value === "honoured" || value === "ignored") return value
  const forgottenAfter = isObject(value) ? readDuration(value["forgottenAfter"]) : undefined
  return forgottenAfter === undefined ? undefined : { forgottenAfter }
}

const oneOf = <A extends string>(...literals: ReadonlyArray<A>) => (value: unknown): A | undefined =>
  literals.find((literal) => literal === value)

const readers: { readonly [K in keyof FaultOptions]-?: (value: unknown) => FaultOptions[K] } = {
  throttleCreate: readTrigger,
  throttleGet: readTrigger,
  throttleList: readTrigger,
  throttleStop: readTrigger,
  denyCreate: readTrigger,
  serverErrorOnCreate: readTrigger,
  quotaFull: readTrigger,
  serverErrorAfterCreate: readTrigger,
  answerLost: readTrigger,
  slowCreate: readDelay,
  slowAnswer: readDelay,
  throttleInvoke: readTrigger,
  denyInvoke: readTrigger,
  serverErrorOnInvoke: readTrigger,
  invokeAnswerLost: readTrigger,
  slowInvoke: readDelay,
  throttleQuotas: readTrigger,
  denyQuotas: readTrigger,
  quotaRows: oneOf("applied", "defaults", "none"),
  quotaNames: oneOf("documented", "stray"),
  quotaCodes: oneOf("documented", "reissued"),
  throttleModels: readTrigger,
  denyModels: readTrigger,
  denyProfiles: readTrigger,
  denyAvailability: readTrigger,
  token: readToken,
  counterLag: readDuration,
  listLag: readDuration,
  failJob: readTrigger,
  failWithOutput: readTrigger,
  expireJob: readTrigger,
  partialJob: readTrigger,
  unprocessed: oneOf("expired", "missing"),
  failAllRecords: readTrigger,
  missingLines: readTrigger,
  duplicateLines: readTrigger,
  unknownIds: readTrigger,
  malformedLines: readTrigger,
  throttledRecords: readTrigger,
  brokenRecords: readTrigger,
  dropEvents: readTrigger,
  duplicateEvents: readTrigger,
  reorderEvents: readTrigger,
  delayEvents: readDelay
}
const isFault = (name: string): name is keyof FaultOptions => Object.hasOwn(readers, name)

/**
 * Reads fault options from JSON: durations are milliseconds or text such as `"5 minutes"`; null takes a fault away.
 *
 * @since 0.1.0
 * @category parsing
 */
export const read = (json: unknown): Result.Result<FaultOptions, InvalidFaults> => {
  if (!isObject(json)) return Result.fail(new InvalidFaults({ message: "The faults must be a JSON object" }))
  const options: { [K in keyof FaultOptions]: FaultOptions[K] } = {}
  for (const [name, value] of Object.entries(json)) {
    if (!isFault(name)) {
      return Result.fail(new InvalidFaults({ message: `There is no fault called ${JSON.stringify(name)}` }))
    }
    const read = value === null ? undefined : readers[name](value)
    if (read === undefined && value !== null) {
      return Result.fail(new InvalidFaults({ message: `The value of the fault ${name} cannot be understood` }))
    }
    Object.assign(options, { [name]: read })
  }
  return Result.succeed(options)
}

const millis = (duration: Duration.Input | undefined) =>
  duration === undefined ? undefined : Duration.toMillis(duration)
const delay = (fault: Delay | undefined) => fault === undefined ? undefined : { ...fault, by: millis(fault.by) }

/**
 * Writes fault options as JSON that `read` takes; durations are milliseconds.
 *
 * @since 0.1.0
 * @category converting
 */
export const write = (options: FaultOptions): unknown => ({
  ...options,
  slowCreate: delay(options.slowCreate),
  slowAnswer: delay(options.slowAnswer),
  slowInvoke: delay(options.slowInvoke),
  delayEvents: delay(options.delayEvents),
  counterLag: millis(options.counterLag),
  listLag: millis(options.listLag),
  token: typeof options.token === "object"
    ? { forgottenAfter: millis(options.token.forgottenAfter) }
    : options.token
})
