/**
 * The role that Bedrock assumes to run jobs.
 *
 * @internal
 */
import { Stack } from "aws-cdk-lib"
import * as iam from "aws-cdk-lib/aws-iam"
import type { Construct } from "constructs"
import { networkStatements, type Resources, serviceStatements } from "./Permissions.ts"

/** Where jobs run, if not anywhere. @internal */
export interface Network {
  readonly subnetIds: ReadonlyArray<string>
  readonly securityGroupIds: ReadonlyArray<string>
}

/** @internal */
export const makeServiceRole = (
  scope: Construct,
  id: string,
  resources: Omit<Resources, "role"> & { readonly network: Network | undefined }
): iam.Role => {
  const stack = Stack.of(scope)
  const role = new iam.Role(scope, id, {
    description: "What Amazon Bedrock may do for batch inference jobs: read their requests, write their answers",
    // Only Bedrock, only for this account, and only for batch inference jobs.
    assumedBy: new iam.ServicePrincipal("bedrock.amazonaws.com", {
      conditions: {
        StringEquals: { "aws:SourceAccount": stack.account },
        ArnLike: {
          "aws:SourceArn": stack.formatArn({ service: "bedrock", resource: "model-invocation-job", resourceName: "*" })
        }
      }
    })
  })
  const { network } = resources
  const statements = [
    ...serviceStatements(resources),
    ...(network === undefined ? [] : networkStatements(role, network.subnetIds, network.securityGroupIds))
  ]
  for (const statement of statements) role.addToPolicy(statement)
  // Requests may be encrypted by the bucket's key, and answers are by the output's, which is the same.
  resources.key?.grant(role, "kms:Decrypt", "kms:GenerateDataKey", "kms:DescribeKey")
  return role
}
