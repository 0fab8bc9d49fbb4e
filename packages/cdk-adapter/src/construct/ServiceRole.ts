/**
 * The role that Bedrock assumes to run jobs.
 *
 * @internal
 */
import { Stack } from "aws-cdk-lib"
import * as iam from "aws-cdk-lib/aws-iam"
import type { Construct } from "constructs"
import { grantKeys, type Resources } from "./Permissions.ts"
import { add, inParts } from "./Statements.ts"

/** Where jobs run, if not anywhere. @internal */
export interface JobNetwork {
  readonly subnetIds: ReadonlyArray<string>
  readonly securityGroupIds: ReadonlyArray<string>
}

/** @internal */
export const makeServiceRole = (
  scope: Construct,
  id: string,
  { bucket, keys, models, network, prefix }: Omit<Resources, "role"> & { readonly network: JobNetwork | undefined }
): iam.Role => {
  const stack = Stack.of(scope)
  const jobs = stack.formatArn({ service: "bedrock", resource: "model-invocation-job", resourceName: "*" })
  const role = new iam.Role(scope, id, {
    description: "What Amazon Bedrock may do for batch inference jobs: read their requests, write their answers",
    // Only Bedrock, only for this account, and only for batch inference jobs of this Region.
    assumedBy: new iam.ServicePrincipal("bedrock.amazonaws.com", {
      conditions: {
        StringEquals: { "aws:SourceAccount": stack.account },
        ArnLike: { "aws:SourceArn": jobs }
      }
    })
  })
  add(role, [
    {
      sid: "ListRequests",
      // Whether Bedrock always lists with a prefix is not documented, so no prefix is asked for.
      reason: "Bedrock lists the folder of a job's requests",
      actions: ["s3:ListBucket"],
      resources: [bucket.bucketArn]
    },
    {
      sid: "ReadRequestsAndWriteAnswers",
      reason: "Requests and answers of a job have keys that begin with the id of its run",
      actions: ["s3:GetObject", "s3:PutObject"],
      resources: [bucket.arnForObjects(`${prefix}/*`)]
    }
  ])
  if (models.profiled.length > 0) {
    add(
      role,
      inParts({
        sid: "InvokeThroughProfiles",
        reason: "Models that are reached by an inference profile are invoked as this role, in Regions that AWS chooses",
        actions: ["bedrock:InvokeModel"],
        // Whether jobs tell IAM of the profile, as calls on demand do, is not documented.
        resources: [...models.profiled, ...models.anyModel]
      })
    )
  }
  // Requests are encrypted by the bucket's key, and answers by that of the output, which is mostly the same.
  grantKeys(role, keys, "kms:Decrypt", "kms:GenerateDataKey", "kms:DescribeKey")
  if (network !== undefined) addNetwork(role, network, jobs)
  return role
}

/** To place a job's interfaces into the network; which they are is told by the tags that Bedrock gives them. */
const addNetwork = (role: iam.Role, { securityGroupIds, subnetIds }: JobNetwork, jobs: string): void => {
  const stack = Stack.of(role)
  const ec2 = (resource: string, resourceName: string) => stack.formatArn({ service: "ec2", resource, resourceName })
  const interfaces = [ec2("network-interface", "*")]
  const reason = "An interface has no name before it is made. Bedrock tags those of its jobs"
  add(role, [
    {
      sid: "DescribeNetwork",
      reason: "The action takes no narrower resource",
      actions: [
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeVpcs",
        "ec2:DescribeDhcpOptions",
        "ec2:DescribeSubnets",
        "ec2:DescribeSecurityGroups"
      ],
      resources: ["*"]
    },
    {
      sid: "PlaceInterfaces",
      reason: "Only in these subnets, with these security groups",
      actions: ["ec2:CreateNetworkInterface"],
      resources: [
        ...subnetIds.map((id) => ec2("subnet", id)),
        ...securityGroupIds.map((id) => ec2("security-group", id))
      ]
    },
    {
      sid: "CreateInterfaces",
      reason,
      actions: ["ec2:CreateNetworkInterface"],
      resources: interfaces,
      conditions: {
        StringEquals: { "aws:RequestTag/BedrockManaged": "true" },
        ArnLike: { "aws:RequestTag/BedrockModelInvocationJobArn": jobs }
      }
    },
    {
      sid: "ManageInterfaces",
      reason,
      actions: [
        "ec2:CreateNetworkInterfacePermission",
        "ec2:DeleteNetworkInterface",
        "ec2:DeleteNetworkInterfacePermission"
      ],
      resources: interfaces,
      conditions: { ArnLike: { "aws:ResourceTag/BedrockModelInvocationJobArn": jobs } }
    },
    {
      sid: "TagInterfaces",
      reason,
      actions: ["ec2:CreateTags"],
      resources: interfaces,
      conditions: {
        StringEquals: { "ec2:CreateAction": "CreateNetworkInterface" },
        "ForAllValues:StringEquals": { "aws:TagKeys": ["BedrockManaged", "BedrockModelInvocationJobArn"] }
      }
    }
  ])
}
