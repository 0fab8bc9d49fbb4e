/**
 * Service Quotas, as far as batch inference goes: the rows are named and coded as AWS's, their values are the
 * emulator's own limits.
 *
 * @since 0.1.0
 */
import type { Limits } from "@bedrock-batch/sdk/Limits"
import * as Quotas from "@bedrock-batch/sdk/schedule/Quotas"
import * as Effect from "effect/Effect"
import { createHash } from "node:crypto"
import type { Faults } from "./Faults.ts"
import { isObject, member } from "./Json.ts"
import * as Model from "./Model.ts"
import { type ExceptionName, ServiceException } from "./ServiceException.ts"
import type { Operation, Tally } from "./Stats.ts"

/**
 * What the service answers from.
 *
 * @since 0.1.0
 * @category models
 */
export interface Source {
  readonly region: string
  readonly accountId: string
  /** The account's limits by base model, now. */
  readonly limits: (baseModel: string) => Limits
  /** Those of every account. */
  readonly defaults: (baseModel: string) => Limits
  readonly faults: Faults
  readonly tally: Tally
}

/** A row, and whose value it is. */
interface Row {
  readonly code: string
  readonly name: string
  readonly isAdjustable: boolean
  readonly valueIn: (limits: (baseModel: string) => Limits) => number
}

const madeUp = (text: string) => `L-${createHash("sha256").update(text).digest("hex").slice(0, 8).toUpperCase()}`

const kinds = ["minRecords", "maxRecords", "maxFileRecords", "maxFileBytes", "maxJobBytes", "maxOpenJobs"] as const
const bytesInGigabyte = 1_000_000_000

/** A name with a period at its end in AWS's own table. */
const strayPeriod = `${Quotas.phrases.maxOpenJobs} for Claude Sonnet 4.5`

const rowsOf = (baseModel: string, { codes, name }: Quotas.ModelQuotas): ReadonlyArray<Row> => {
  const batch = kinds.map((kind): Row => {
    const full = `${Quotas.phrases[kind]} for ${name}`
    const unit = kind === "maxFileBytes" || kind === "maxJobBytes" ? bytesInGigabyte : 1
    return {
      code: codes[kind] ?? madeUp(full),
      name: full === strayPeriod ? `${full}.` : full,
      isAdjustable: codes[kind] !== undefined,
      valueIn: (limits) => limits(baseModel)[kind] / unit
    }
  })
  const onDemand = `On-demand model inference requests per minute for ${name}`
  const custom = Model.custom(baseModel)
  const ofCustom = `${Quotas.customPhrase} for ${name}`
  return [
    ...batch,
    { code: madeUp(onDemand), name: onDemand, isAdjustable: false, valueIn: () => 200 },
    ...(Model.isBatchCapable(custom)
      ? [{
        code: madeUp(ofCustom),
        name: ofCustom,
        isAdjustable: false,
        valueIn: (limits: Source["limits"]) => limits(custom).maxOpenJobs
      }]
      : [])
  ]
}

/** In the order of their codes, so that those of one model are spread over pages. */
const allRows = Object.entries(Quotas.models)
  .flatMap(([baseModel, quotas]) => rowsOf(baseModel, quotas))
  .sort((a, b) => (a.code < b.code ? -1 : 1))

const stray = (name: string) => ` ${name.replace(/ for /, "  FOR ").replace("(in GB) ", "")
  .replace(/^Batch inference (.*)$/, "batch INFERENCE $1 (in GB)")}. `

const largestPage = 100

const refuse = (name: ExceptionName, message: string) => new ServiceException({ name, message })

/** Index of the row that a page begins with. */
const startOf = (token: unknown): number | null => {
  if (token === undefined || token === null) return 0
  const start = typeof token === "string" ? Number(Buffer.from(token, "base64url").toString("utf8")) : NaN
  return Number.isInteger(start) && start > 0 ? start : null
}

/**
 * Makes the service: takes the name of an operation and its body, and gives the answer's.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = ({ accountId, defaults, faults, limits, region, tally }: Source) => {
  const show = ({ code, isAdjustable, name, valueIn }: Row, isDefault: boolean) => {
    const { quotaCodes, quotaNames } = faults.current
    const shownCode = quotaCodes === "reissued" ? madeUp(`reissued ${code}`) : code
    return {
      ServiceCode: "bedrock",
      ServiceName: "Amazon Bedrock",
      QuotaArn: `arn:aws:servicequotas:${region}:${isDefault ? "" : accountId}:bedrock/${shownCode}`,
      QuotaCode: shownCode,
      QuotaName: quotaNames === "stray" ? stray(name) : name,
      Value: valueIn(isDefault ? defaults : limits),
      Unit: "None",
      Adjustable: isAdjustable,
      GlobalQuota: false
    }
  }
  const shown = (isDefault: boolean) => {
    const rows = faults.current.quotaRows ?? "applied"
    return rows === "applied" || (rows === "defaults" && isDefault) ? allRows.map((row) => show(row, isDefault)) : []
  }

  const list = (body: unknown, isDefault: boolean) => {
    const wanted = member(body, "MaxResults") ?? largestPage
    if (typeof wanted !== "number" || !Number.isInteger(wanted) || wanted < 1 || wanted > largestPage) {
      return refuse("IllegalArgumentException", `MaxResults must be an integer from 1 to ${largestPage}`)
    }
    const start = startOf(member(body, "NextToken"))
    if (start === null) return refuse("InvalidPaginationTokenException", "The pagination token is not valid")
    const all = shown(isDefault)
    const end = start + wanted
    return {
      Quotas: all.slice(start, end),
      ...(end < all.length ? { NextToken: Buffer.from(String(end)).toString("base64url") } : {})
    }
  }

  const answer = (operation: Operation, body: unknown) => {
    tally.called(operation)
    if (faults.strikes("throttleQuotas")) return refuse("TooManyRequestsException", "Rate exceeded")
    if (faults.strikes("denyQuotas")) {
      return refuse("AccessDeniedException", `User is not authorized to perform: servicequotas:${operation}`)
    }
    if (!isObject(body)) return refuse("SerializationException", "The body is not a JSON object")
    const code = member(body, "QuotaCode")
    if (member(body, "ServiceCode") !== "bedrock") {
      return refuse("NoSuchResourceException", "The request failed because the specified service does not exist.")
    }
    if (operation !== "getQuota") return list(body, operation === "listDefaultQuotas")
    const quota = shown(false).find(({ QuotaCode }) => QuotaCode === code)
    return quota === undefined
      ? refuse("NoSuchResourceException", "The request failed because the specified quota does not exist.")
      : { Quota: quota }
  }

  return (operation: string, body: unknown): Effect.Effect<unknown, ServiceException> =>
    Effect.suspend(() => {
      const known = operations.get(operation)
      if (known === undefined) return Effect.fail(refuse("UnknownOperationException", "There is no such operation"))
      const answered = answer(known, body)
      return answered instanceof ServiceException ? Effect.fail(answered) : Effect.succeed(answered)
    })
}

const operations: ReadonlyMap<string, Operation> = new Map([
  ["GetServiceQuota", "getQuota"],
  ["ListServiceQuotas", "listQuotas"],
  ["ListAWSDefaultServiceQuotas", "listDefaultQuotas"]
])
