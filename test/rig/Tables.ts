/** DynamoDB on a laptop: dynalite, with the tables of a template. */
import {
  CreateTableCommand,
  type CreateTableCommandInput,
  DynamoDBClient,
  waitUntilTableExists
} from "@aws-sdk/client-dynamodb"
import dynalite from "dynalite"
import type { AddressInfo } from "node:net"
import type { Resolved } from "./Template.ts"

/** A running server. */
export interface Tables {
  readonly endpoint: string
  readonly client: DynamoDBClient
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
  return {
    endpoint,
    client,
    close: () =>
      new Promise<void>((resolve) => {
        client.destroy()
        server.close(() => resolve())
        server.closeAllConnections()
      })
  }
}
