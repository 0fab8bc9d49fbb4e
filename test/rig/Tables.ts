/** DynamoDB on a laptop: dynalite, with the tables of a template. */
import {
  type AttributeValue,
  CreateTableCommand,
  type CreateTableCommandInput,
  DeleteItemCommand,
  DynamoDBClient,
  ScanCommand,
  UpdateItemCommand,
  waitUntilTableExists
} from "@aws-sdk/client-dynamodb"
import dynalite from "dynalite"
import type { AddressInfo } from "node:net"
import type { Resolved } from "./Template.ts"

/** A running server. */
export interface Tables {
  readonly endpoint: string
  /** All items of a table. */
  readonly items: (table: string) => Promise<ReadonlyArray<Record<string, AttributeValue>>>
  /** Sets an attribute of an item. */
  readonly set: (
    table: string,
    key: Record<string, AttributeValue>,
    attribute: string,
    value: AttributeValue
  ) => Promise<void>
  readonly clear: (table: string) => Promise<void>
  readonly close: () => Promise<void>
}

const types = ["AWS::DynamoDB::Table", "AWS::DynamoDB::GlobalTable"]

const indexOf = ({ IndexName, KeySchema, Projection }: any) => ({ IndexName, KeySchema, Projection })

/** Starts the server and makes the tables. */
export const startTables = async (template: Resolved): Promise<Tables> => {
  const server = dynalite({ createTableMs: 0, deleteTableMs: 0, updateTableMs: 0 })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const client = new DynamoDBClient({
    endpoint,
    region: "us-east-1",
    credentials: { accessKeyId: "TESTKEY", secretAccessKey: "TESTSECRET" }
  })
  for (const { name, properties } of types.flatMap((type) => template.of(type))) {
    const { AttributeDefinitions, GlobalSecondaryIndexes, KeySchema, LocalSecondaryIndexes } = properties
    const input: CreateTableCommandInput = {
      TableName: name,
      AttributeDefinitions,
      KeySchema,
      BillingMode: "PAY_PER_REQUEST",
      GlobalSecondaryIndexes: GlobalSecondaryIndexes?.map(indexOf),
      LocalSecondaryIndexes
    }
    await client.send(new CreateTableCommand(input))
    await waitUntilTableExists({ client, maxWaitTime: 10, minDelay: 0.05, maxDelay: 0.1 }, { TableName: name })
  }
  const items = async (TableName: string) => {
    const found: Array<Record<string, AttributeValue>> = []
    let ExclusiveStartKey: Record<string, AttributeValue> | undefined
    do {
      const page = await client.send(new ScanCommand({ TableName, ConsistentRead: true, ExclusiveStartKey }))
      found.push(...page.Items ?? [])
      ExclusiveStartKey = page.LastEvaluatedKey
    } while (ExclusiveStartKey !== undefined)
    return found
  }
  return {
    endpoint,
    items,
    set: async (TableName, Key, attribute, value) => {
      const change = {
        UpdateExpression: "SET #a = :v",
        ExpressionAttributeNames: { "#a": attribute },
        ExpressionAttributeValues: { ":v": value }
      }
      await client.send(new UpdateItemCommand({ TableName, Key, ...change }))
    },
    clear: async (TableName) => {
      for (const { pk, sk } of await items(TableName)) {
        await client.send(new DeleteItemCommand({ TableName, Key: { pk: pk!, sk: sk! } }))
      }
    },
    close: () =>
      new Promise<void>((resolve) => {
        client.destroy()
        server.close(() => resolve())
        server.closeAllConnections()
      })
  }
}
