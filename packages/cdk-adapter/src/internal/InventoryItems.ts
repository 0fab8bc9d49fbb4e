/**
 * How jobs and tokens are items of the inventory's table.
 *
 * @internal
 */
import type { AttributeValue } from "@aws-sdk/client-dynamodb"
import { isTerminal, OpenStatus, TerminalStatus } from "@bedrock-batch/sdk/Job"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { createHash } from "node:crypto"
import type { JobId, JobItem, TokenItem } from "../Inventory.ts"

/** Before it is known to be at Bedrock. @internal */
export const submitting = "Submitting"

/** In the order in which a job goes through them; a status that this version does not know is behind them all. */
const openOrder: ReadonlyArray<string> = [submitting, ...OpenStatus.literals]

/** Seconds that an item is kept for people to look at, after its job must have ended. @internal */
export const keptFor = 30 * 86_400

/** Seconds that a job may take beside its timeout. @internal */
export const slack = 86_400

/** @internal */
export const defaultTimeoutHours = 168

/** The sort key of a token: the token itself is too long for a key. */
const digestOf = (token: string): string => createHash("sha256").update(token).digest("hex")

/** @internal */
export type Item = Record<string, AttributeValue>

/** @internal */
export const textOf = (item: Item, name: string): string | null => item[name]?.S ?? null

/** @internal */
export const numberOf = (item: Item, name: string): number | null => {
  const number = item[name]?.N
  return number === undefined ? null : Number(number)
}

/** @internal */
export const idOf = (item: Item): JobId => ({
  name: (textOf(item, "pk") ?? "").slice("job#".length),
  runId: textOf(item, "runId") ?? "",
  jobKey: textOf(item, "jobKey") ?? "",
  clientToken: textOf(item, "clientToken") ?? ""
})

/** @internal */
export const jobOf = (item: Item): JobItem => ({
  ...idOf(item),
  deadline: textOf(item, "deadline"),
  timeoutHours: numberOf(item, "timeoutHours") ?? defaultTimeoutHours,
  status: textOf(item, "status") ?? submitting,
  arn: textOf(item, "arn"),
  submittedAt: textOf(item, "submittedAt")
})

/** @internal */
export const tokenOf = (item: Item): TokenItem => ({
  ...idOf(item),
  token: textOf(item, "token") ?? "",
  by: textOf(item, "by") ?? ""
})

/** @internal */
export const key = (name: string, sort: string): Item => ({ pk: { S: `job#${name}` }, sk: { S: sort } })

/** @internal */
export const tokenKey = ({ name, token }: TokenItem): Item => key(name, `token#${digestOf(token)}`)

/** @internal */
export const seconds = Effect.map(Clock.currentTimeMillis, (millis) => Math.floor(millis / 1000))

/** Attributes that are not null. @internal */
export const attributes = (texts: { readonly [name: string]: string | null | undefined }): Item =>
  Object.fromEntries(Object.entries(texts).flatMap(([name, text]) =>
    text === null || text === undefined ? [] : [[name, { S: text }]]
  ))

/** The statuses from which a job moves to another. @internal */
export const before = (status: string): { readonly condition: string; readonly values: Item } => {
  const named = (statuses: ReadonlyArray<string>) =>
    Object.fromEntries(statuses.map((one, i) => [`:s${i}`, { S: one }]))
  if (isTerminal(status)) {
    const values = named(TerminalStatus.literals)
    return { condition: `NOT #status IN (${Object.keys(values).join(", ")})`, values }
  }
  const at = openOrder.indexOf(status)
  const values = named(at < 0 ? openOrder : openOrder.slice(0, at))
  const names = Object.keys(values)
  return names.length === 0
    ? { condition: "attribute_not_exists(pk)", values }
    : { condition: `#status IN (${names.join(", ")})`, values }
}
