/**
 * Who may do what, one statement a reason. The ids of the statements say what they are for.
 *
 * @internal
 */
import { ArnFormat, Stack } from "aws-cdk-lib"
import type * as dynamodb from "aws-cdk-lib/aws-dynamodb"
import * as iam from "aws-cdk-lib/aws-iam"
import type * as kms from "aws-cdk-lib/aws-kms"
import type * as s3 from "aws-cdk-lib/aws-s3"
import type { ModelArns } from "./ModelArns.ts"

/** What the permissions are on. @internal */
export interface Resources {
  readonly bucket: s3.IBucket
  /** Key prefix of the runs, without a slash at its end. */
  readonly prefix: string
  /** Key of the bucket and of the jobs' outputs, where there is one. */
  readonly key: kms.IKey | undefined
  /** What Bedrock assumes. */
  readonly role: iam.IRole
  readonly models: ModelArns
}

const allow = (sid: string, actions: ReadonlyArray<string>, resources: ReadonlyArray<string>, rest: iam.PolicyStatementProps = {}) =>
  new iam.PolicyStatement({ sid, actions: [...actions], resources: [...resources], ...rest })

const add = (grantee: iam.IGrantable, statements: ReadonlyArray<iam.PolicyStatement>) => {
  for (const statement of statements) {
    grantee.grantPrincipal.addToPrincipalPolicy(statement)
  }
}

/** To read and write what belongs to runs: requests, ledger, answers, results. Nothing there is deleted. @internal */
export const grantRuns = (grantee: iam.IGrantable, { bucket, key, prefix }: Resources): void => {
  add(grantee, [
    // One list rebuilds the state of a run.
    allow("ListRuns", ["s3:ListBucket"], [bucket.bucketArn]),
    // Every object is written once, large ones in parts, which are given up when the process fails.
    allow("ReadAndWriteRuns", ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"], [bucket.arnForObjects(`${prefix}/*`)])
  ])
  key?.grantEncryptDecrypt(grantee)
}

/** To read what belongs to runs, results first of all. @internal */
export const grantReading = (grantee: iam.IGrantable, { bucket, key, prefix }: Resources): void => {
  add(grantee, [
    allow("ListRuns", ["s3:ListBucket"], [bucket.bucketArn]),
    allow("ReadRuns", ["s3:GetObject"], [bucket.arnForObjects(`${prefix}/*`)])
  ])
  key?.grantDecrypt(grantee)
}

/** To read rows from anywhere in the given buckets. @internal */
export const grantSources = (grantee: iam.IGrantable, buckets: ReadonlyArray<s3.IBucket>): void => {
  add(grantee, [
    // A source may be all files below a prefix.
    allow("ListSources", ["s3:ListBucket"], buckets.map(({ bucketArn }) => bucketArn)),
    allow("ReadSources", ["s3:GetObject"], buckets.map((bucket) => bucket.arnForObjects("*")))
  ])
  for (const { encryptionKey } of buckets) encryptionKey?.grantDecrypt(grantee)
}

const jobs = ({ role }: Resources) =>
  Stack.of(role).formatArn({ service: "bedrock", resource: "model-invocation-job", resourceName: "*" })

/** To learn what became of jobs. @internal */
export const grantLooking = (grantee: iam.IGrantable, resources: Resources): void =>
  add(grantee, [
    allow("ReadJobs", ["bedrock:GetModelInvocationJob"], [jobs(resources)])
  ])

/** To find jobs whose create call was never answered. @internal */
export const grantFinding = (grantee: iam.IGrantable): void =>
  add(grantee, [
    // Lists take no narrower resource.
    allow("ListJobs", ["bedrock:ListModelInvocationJobs"], ["*"])
  ])

/** To stop jobs: those whose deadline has passed, and those of a cancelled run. @internal */
export const grantStopping = (grantee: iam.IGrantable, resources: Resources): void =>
  add(grantee, [allow("StopJobs", ["bedrock:StopModelInvocationJob"], [jobs(resources)])])

/** To know how many jobs may be open, and how large they may be. @internal */
export const grantQuotas = (grantee: iam.IGrantable): void =>
  add(grantee, [
    // None of these takes a narrower resource.
    allow(
      "ReadQuotas",
      ["servicequotas:GetServiceQuota", "servicequotas:ListServiceQuotas", "servicequotas:ListAWSDefaultServiceQuotas"],
      ["*"]
    )
  ])

/** To create jobs, and to ask for records that are too few for one. @internal */
export const grantSubmission = (grantee: iam.IGrantable, resources: Resources): void => {
  const { bucket, models, prefix, role } = resources
  add(grantee, [
    // Checked against the model and against the job.
    allow("CreateJobs", ["bedrock:CreateModelInvocationJob"], [...models.all, jobs(resources)]),
    allow("TagJobs", ["bedrock:TagResource"], [jobs(resources)]),
    // Bedrock reads and writes the bucket as this role; nobody else may be given it.
    allow("PassRoleToBedrock", ["iam:PassRole"], [role.roleArn], {
      conditions: { StringEquals: { "iam:PassedToService": "bedrock.amazonaws.com" } }
    }),
    // Fewer records than a job must have are asked for one by one.
    allow("InvokeOnDemand", ["bedrock:InvokeModel"], models.all),
    // Slots that processes share: the old generations of a slot are removed, and nothing else ever is.
    allow("TidySlots", ["s3:DeleteObject"], [bucket.arnForObjects(`${prefix}/capacity/*`)])
  ])
  grantQuotas(grantee)
}

/** To keep the inventory and the tokens: single items, and all items of one job. @internal */
export const grantInventory = (grantee: iam.IGrantable, table: dynamodb.ITable, key: kms.IKey | undefined): void => {
  add(grantee, [
    allow(
      "KeepInventory",
      ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem", "dynamodb:Query"],
      [table.tableArn]
    )
  ])
  key?.grantEncryptDecrypt(grantee)
}

/** To find what is open: the index holds nothing else. @internal */
export const grantOpenJobs = (grantee: iam.IGrantable, table: dynamodb.ITable, index: string): void =>
  add(grantee, [allow("FindOpenJobs", ["dynamodb:Query"], [`${table.tableArn}/index/${index}`])])

/**
 * To answer the tasks that wait for jobs. Whoever has a token may answer its task: IAM's reference names no resource for
 * these actions, so none is named here.
 *
 * @internal
 */
export const grantAnswering = (grantee: iam.IGrantable): void =>
  add(grantee, [allow("AnswerTasks", ["states:SendTaskSuccess", "states:SendTaskFailure"], ["*"])])

/** What Lambda needs to place a function into a network, which it does as the function itself. @internal */
export const grantNetwork = (grantee: iam.IGrantable): void =>
  add(grantee, [
    // A function's interfaces have no names that are known before: AWS's own policy for this names no resource either.
    allow(
      "JoinNetwork",
      [
        "ec2:CreateNetworkInterface",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSubnets",
        "ec2:DeleteNetworkInterface",
        "ec2:AssignPrivateIpAddresses",
        "ec2:UnassignPrivateIpAddresses"
      ],
      ["*"]
    )
  ])

/** What Bedrock needs to run jobs in the bucket. @internal */
export const serviceStatements = (
  { bucket, models, prefix }: Omit<Resources, "role">
): ReadonlyArray<iam.PolicyStatement> => [
  // Bedrock lists the folder of a job's requests. Whether it always asks with a prefix is not documented, so none is asked for.
  allow("ListRequests", ["s3:ListBucket"], [bucket.bucketArn]),
  allow("ReadRequestsAndWriteAnswers", ["s3:GetObject", "s3:PutObject"], [bucket.arnForObjects(`${prefix}/*`)]),
  // Models that are reached by an inference profile are invoked by this role, wherever the profile leads.
  ...(models.profiled.length === 0 ? [] : [allow("InvokeThroughProfiles", ["bedrock:InvokeModel"], models.profiled)])
]

/** What Bedrock needs to place the jobs' network interfaces into a VPC. @internal */
export const networkStatements = (
  scope: iam.IRole,
  subnetIds: ReadonlyArray<string>,
  securityGroupIds: ReadonlyArray<string>
): ReadonlyArray<iam.PolicyStatement> => {
  const stack = Stack.of(scope)
  const ec2 = (resource: string, resourceName: string) =>
    stack.formatArn({ service: "ec2", resource, resourceName, arnFormat: ArnFormat.SLASH_RESOURCE_NAME })
  const places = [
    ...subnetIds.map((id) => ec2("subnet", id)),
    ...securityGroupIds.map((id) => ec2("security-group", id))
  ]
  const managed = { StringEquals: { "ec2:ResourceTag/BedrockManaged": "true" } }
  return [
    // Descriptions take no narrower resource.
    allow(
      "DescribeNetwork",
      [
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeVpcs",
        "ec2:DescribeDhcpOptions",
        "ec2:DescribeSubnets",
        "ec2:DescribeSecurityGroups"
      ],
      ["*"]
    ),
    allow("PlaceInterfaces", ["ec2:CreateNetworkInterface"], places),
    allow("CreateOwnInterfaces", ["ec2:CreateNetworkInterface"], [ec2("network-interface", "*")], {
      conditions: {
        StringEquals: { "aws:RequestTag/BedrockManaged": "true" },
        ArnLike: { "aws:RequestTag/BedrockModelInvocationJobArn": stack.formatArn({
          service: "bedrock",
          resource: "model-invocation-job",
          resourceName: "*"
        }) }
      }
    }),
    allow(
      "ManageOwnInterfaces",
      ["ec2:CreateNetworkInterfacePermission", "ec2:DeleteNetworkInterface", "ec2:DeleteNetworkInterfacePermission"],
      [ec2("network-interface", "*")],
      { conditions: managed }
    ),
    allow("TagOwnInterfaces", ["ec2:CreateTags"], [ec2("network-interface", "*")], {
      conditions: { StringEquals: { "ec2:CreateAction": "CreateNetworkInterface" } }
    })
  ]
}
