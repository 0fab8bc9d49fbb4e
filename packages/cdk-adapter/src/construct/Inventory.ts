/**
 * The table of jobs and task tokens. All of it can be rebuilt from the bucket, which is the only ledger.
 *
 * @internal
 */
import type { RemovalPolicy } from "aws-cdk-lib"
import * as dynamodb from "aws-cdk-lib/aws-dynamodb"
import type * as kms from "aws-cdk-lib/aws-kms"
import type { Construct } from "constructs"

/** The index that holds only items with the attribute `open`. @internal */
export const openIndex = "open"

/** @internal */
export const makeInventory = (
  scope: Construct,
  id: string,
  props: { readonly key: kms.IKey | undefined; readonly removalPolicy: RemovalPolicy }
): dynamodb.Table => {
  const { key, removalPolicy } = props
  const string = (name: string) => ({ name, type: dynamodb.AttributeType.STRING })
  const table = new dynamodb.Table(scope, id, {
    partitionKey: string("pk"),
    sortKey: string("sk"),
    billingMode: dynamodb.BillingMode.PAY_PER_REQUEST,
    timeToLiveAttribute: "ttl",
    pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true },
    ...(key === undefined
      ? { encryption: dynamodb.TableEncryption.AWS_MANAGED }
      : { encryption: dynamodb.TableEncryption.CUSTOMER_MANAGED, encryptionKey: key }),
    removalPolicy
  })
  table.addGlobalSecondaryIndex({
    indexName: openIndex,
    partitionKey: string("open"),
    sortKey: string("pk"),
    projectionType: dynamodb.ProjectionType.ALL
  })
  return table
}
