/**
 * What events need to know, in DynamoDB: the jobs of all runs by their names, and the task tokens that wait for them.
 *
 * It is no ledger: all of it but the tokens can be made again from the store, and a token that is lost costs a task's
 * timeout. Each write is of one item, and conditional where order matters: a job's status only moves forward. An item
 * whose time to live is over is gone, whether DynamoDB has removed it or not.
 *
 * @since 0.2.0
 */
import {
  type AttributeValue,
  DeleteItemCommand,
  DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  QueryCommand,
  type QueryCommandInput,
  UpdateItemCommand
} from "@aws-sdk/client-dynamodb"
import type { BatchError } from "@bedrock-batch/sdk/BatchError"
import { isTerminal } from "@bedrock-batch/sdk/Job"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import {
  attributes,
  before,
  defaultTimeoutHours,
  idOf,
  type Item,
  jobOf,
  keptFor,
  key,
  numberOf,
  seconds,
  slack,
  submitting,
  textOf,
  tokenKey,
  tokenOf
} from "./internal/InventoryItems.ts"
import { call, requestHandler } from "./runtime/AwsCall.ts"

/**
 * What is known of a job before Bedrock is asked.
 *
 * @since 0.2.0
 * @category models
 */
export interface JobId {
  /** The job's name at Bedrock, by which events tell of it. */
  readonly name: string
  readonly runId: string
  /** The job's key in its run. */
  readonly jobKey: string
  /** The client request token that its create call carries: a job without it is a stranger's. */
  readonly clientToken: string
}

/**
 * A job as it is entered before it is submitted.
 *
 * @since 0.2.0
 * @category models
 */
export interface JobEntry extends JobId {
  /** When it is to be stopped if it is still open then, ISO 8601; null for never. */
  readonly deadline: string | null
  /** Hours until Bedrock gives it up. */
  readonly timeoutHours: number
}

/**
 * A job in the inventory.
 *
 * @since 0.2.0
 * @category models
 */
export interface JobItem extends JobEntry {
  /** `Submitting` until it is known to be at Bedrock, then Bedrock's status as it was seen last. */
  readonly status: string
  /** Null while it is not known. */
  readonly arn: string | null
  /** ISO 8601; null while it is not known. */
  readonly submittedAt: string | null
}

/**
 * A token that waits for a job and was not answered.
 *
 * @since 0.2.0
 * @category models
 */
export interface TokenItem extends JobId {
  readonly token: string
  /** Which call stored it: the same token may be stored again. */
  readonly by: string
}

/**
 * What there is of a job.
 *
 * @since 0.2.0
 * @category models
 */
export interface Known {
  readonly job: JobItem | null
  readonly tokens: ReadonlyArray<TokenItem>
}

/**
 * The service. All reads but that of `open` are consistent. Fails as AWS does: `Refused` or `Unavailable`.
 *
 * @since 0.2.0
 * @category services
 */
export class Inventory extends Context.Service<Inventory, {
  /** Enters a job, if it is not there; gives whether it was not. */
  readonly enter: (job: JobEntry) => Effect.Effect<boolean, BatchError>
  /** Stores a token as unanswered, whether it was there or not; `seconds` is how long its task waits. */
  readonly store: (token: TokenItem, seconds: number) => Effect.Effect<void, BatchError>
  /** Takes back a token whose task has failed, if the same call stored it last. */
  readonly takeBack: (token: TokenItem) => Effect.Effect<void, BatchError>
  /** The job, or null. */
  readonly read: (name: string) => Effect.Effect<JobItem | null, BatchError>
  /** The job and the tokens that wait for it. */
  readonly look: (name: string) => Effect.Effect<Known, BatchError>
  /**
   * Moves a job to a status, or enters it with that; gives whether it moved. One that is as far already, or further, is
   * left as it is.
   */
  readonly advance: (
    job: JobId & Partial<Pick<JobItem, "deadline" | "timeoutHours">>,
    to: Pick<JobItem, "status" | "arn" | "submittedAt">
  ) => Effect.Effect<boolean, BatchError>
  /** Takes back a job that was entered and is not at Bedrock. */
  readonly leave: (name: string) => Effect.Effect<void, BatchError>
  /** Marks a token as answered, if it was not stored again meanwhile. */
  readonly answered: (token: TokenItem) => Effect.Effect<void, BatchError>
  /** Names of the jobs that are open, or have a token that was not answered; it may lag. */
  readonly open: Effect.Effect<ReadonlyArray<string>, BatchError>
}>()("@bedrock-batch/cdk-adapter/Inventory") {}

/**
 * Options of `make` and `layer`.
 *
 * @since 0.2.0
 * @category configuration
 */
export interface Options {
  readonly table: string
  /** A client of the caller's. Default: one that finds its Region, endpoint and credentials as the AWS SDK does. */
  readonly client?: DynamoDBClient | undefined
}

const make = (client: DynamoDBClient, table: string): Inventory["Service"] => {
  const put = Effect.fnUntraced(function*(method: string, item: Item, condition?: string, values: Item = {}) {
    const answer = yield* call("Inventory", method, (abortSignal) =>
      client.send(
        new PutItemCommand({
          TableName: table,
          Item: item,
          ...(condition === undefined ? {} : {
            ConditionExpression: condition,
            ExpressionAttributeNames: { "#ttl": "ttl" },
            ExpressionAttributeValues: values
          })
        }),
        { abortSignal }
      ), ["ConditionalCheckFailedException"])
    return answer !== "ConditionalCheckFailedException"
  })

  const query = Effect.fnUntraced(function*(method: string, input: Omit<QueryCommandInput, "TableName">) {
    const items: Array<Item> = []
    let from: Item | undefined
    do {
      const page = yield* call("Inventory", method, (abortSignal) =>
        client.send(new QueryCommand({ TableName: table, ExclusiveStartKey: from, ...input }), { abortSignal }))
      items.push(...(page.Items ?? []))
      from = page.LastEvaluatedKey
    } while (from !== undefined)
    const now = yield* seconds
    return items.filter((item) => (numberOf(item, "ttl") ?? Infinity) > now)
  })

  const update = Effect.fnUntraced(function*(
    method: string,
    at: Item,
    set: Item,
    { condition, names, remove, values }: {
      readonly condition: string
      readonly values: Item
      readonly remove: boolean
      readonly names: Record<string, string>
    }
  ) {
    const assigned = Object.keys(set)
    const answer = yield* call("Inventory", method, (abortSignal) =>
      client.send(
        new UpdateItemCommand({
          TableName: table,
          Key: at,
          UpdateExpression: `SET ${assigned.map((_, i) => `#n${i} = :n${i}`).join(", ")}` +
            (remove ? " REMOVE #open" : ""),
          ConditionExpression: condition,
          ExpressionAttributeNames: {
            ...names,
            ...(remove ? { "#open": "open" } : {}),
            ...Object.fromEntries(assigned.map((name, i) => [`#n${i}`, name]))
          },
          ExpressionAttributeValues: {
            ...values,
            ...Object.fromEntries(assigned.map((name, i) => [`:n${i}`, set[name]!]))
          }
        }),
        { abortSignal }
      ), ["ConditionalCheckFailedException"])
    return answer !== "ConditionalCheckFailedException"
  })

  /** Removes an item whose attribute has a value; any other is left as it is. */
  const remove = Effect.fnUntraced(function*(method: string, at: Item, attribute: string, value: string) {
    yield* call("Inventory", method, (abortSignal) =>
      client.send(
        new DeleteItemCommand({
          TableName: table,
          Key: at,
          ConditionExpression: "#it = :it",
          ExpressionAttributeNames: { "#it": attribute },
          ExpressionAttributeValues: { ":it": { S: value } }
        }),
        { abortSignal }
      ), ["ConditionalCheckFailedException"])
  })

  const jobTtl = (now: number, timeoutHours: number): AttributeValue => ({
    N: String(now + timeoutHours * 3600 + slack + keptFor)
  })

  return Inventory.of({
    enter: Effect.fn("Inventory.enter")(function*(entry: JobEntry) {
      const { clientToken, deadline, jobKey, runId, timeoutHours } = entry
      const now = yield* seconds
      const item = {
        ...key(entry.name, "job"),
        ...attributes({ runId, jobKey, clientToken, deadline, status: submitting, open: "1" }),
        timeoutHours: { N: String(timeoutHours) },
        ttl: jobTtl(now, timeoutHours)
      }
      return yield* put("enter", item, "attribute_not_exists(pk) OR #ttl <= :now", { ":now": { N: String(now) } })
    }),
    store: Effect.fn("Inventory.store")(function*(item: TokenItem, waits: number) {
      const { by, clientToken, jobKey, runId, token } = item
      yield* put("store", {
        ...tokenKey(item),
        ...attributes({ runId, jobKey, clientToken, token, by, open: "1" }),
        answered: { BOOL: false },
        ttl: { N: String((yield* seconds) + waits + slack) }
      })
    }),
    takeBack: (item) => remove("takeBack", tokenKey(item), "by", item.by),
    leave: (name) => remove("leave", key(name, "job"), "status", submitting),
    read: Effect.fn("Inventory.read")(function*(name: string) {
      const input = { TableName: table, Key: key(name, "job"), ConsistentRead: true }
      const { Item: item } = yield* call("Inventory", "read", (abortSignal) =>
        client.send(new GetItemCommand(input), { abortSignal }))
      return item === undefined || (numberOf(item, "ttl") ?? Infinity) <= (yield* seconds) ? null : jobOf(item)
    }),
    look: Effect.fn("Inventory.look")(function*(name: string) {
      const items = yield* query("look", {
        ConsistentRead: true,
        KeyConditionExpression: "pk = :pk",
        ExpressionAttributeValues: { ":pk": { S: `job#${name}` } }
      })
      const job = items.find((item) => textOf(item, "sk") === "job")
      const known: Known = {
        job: job === undefined ? null : jobOf(job),
        tokens: items.filter((item) => textOf(item, "sk") !== "job" && item["answered"]?.BOOL !== true).map(tokenOf)
      }
      return known
    }),
    advance: Effect.fn("Inventory.advance")(function*(job, { arn, status, submittedAt }) {
      const now = yield* seconds
      const isOver = isTerminal(status)
      const { condition, values } = before(status)
      const { clientToken, deadline, jobKey, runId, timeoutHours } = job
      const set = {
        ...attributes({ runId, jobKey, clientToken, deadline, arn, status, submittedAt, open: isOver ? null : "1" }),
        ...(timeoutHours === undefined ? {} : { timeoutHours: { N: String(timeoutHours) } }),
        ttl: jobTtl(now, timeoutHours ?? defaultTimeoutHours)
      }
      return yield* update("advance", key(job.name, "job"), set, {
        condition: `attribute_not_exists(pk) OR #ttl <= :now OR (${condition})`,
        values: { ...values, ":now": { N: String(now) } },
        remove: isOver,
        names: { "#ttl": "ttl", "#status": "status" }
      })
    }),
    answered: Effect.fn("Inventory.answered")(function*(item: TokenItem) {
      yield* update("answered", tokenKey(item), { answered: { BOOL: true } }, {
        condition: "#by = :by",
        values: { ":by": { S: item.by } },
        remove: true,
        names: { "#by": "by" }
      })
    }),
    open: Effect.gen(function*() {
      const items = yield* query("open", {
        IndexName: "open",
        KeyConditionExpression: "#open = :open",
        ExpressionAttributeNames: { "#open": "open" },
        ExpressionAttributeValues: { ":open": { S: "1" } }
      })
      return [...new Set(items.map((item) => idOf(item).name))]
    })
  })
}

/**
 * Layer of the inventory in a table. Its keys are `pk` and `sk`, both texts; its index `open` has the keys `open` and
 * `pk`; its time to live is `ttl`, in seconds since 1970.
 *
 * @since 0.2.0
 * @category layers
 */
export const layer = ({ client, table }: Options): Layer.Layer<Inventory> =>
  Layer.effect(
    Inventory,
    client !== undefined ? Effect.succeed(make(client, table)) : Effect.map(
      Effect.acquireRelease(
        Effect.sync(() => new DynamoDBClient({ requestHandler })),
        (client) => Effect.sync(() => client.destroy())
      ),
      (client) => make(client, table)
    )
  )
