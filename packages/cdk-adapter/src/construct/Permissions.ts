/**
 * Who may do what.
 *
 * @internal
 */
import { Stack } from "aws-cdk-lib"
import type * as dynamodb from "aws-cdk-lib/aws-dynamodb"
import type * as iam from "aws-cdk-lib/aws-iam"
import type * as kms from "aws-cdk-lib/aws-kms"
import type * as s3 from "aws-cdk-lib/aws-s3"
import type { ModelArns } from "./ModelArns.ts"
import { add, inParts } from "./Statements.ts"

/** What the permissions are on. @internal */
export interface Resources {
  readonly bucket: s3.IBucket
  /** Key prefix of the runs, without a slash at its end. */
  readonly prefix: string
  /** Keys of the bucket and of the jobs' outputs: mostly one, or none. */
  readonly keys: ReadonlyArray<kms.IKey>
  /** What Bedrock assumes. */
  readonly role: iam.IRole
  readonly models: ModelArns
}

const takesNoResource = "The action takes no narrower resource"

/** Lets somebody use all keys. @internal */
export const grantKeys = (grantee: iam.IGrantable, keys: ReadonlyArray<kms.IKey>, ...actions: Array<string>): void => {
  for (const key of keys) key.grant(grantee, ...actions)
}

const listRuns = ({ bucket }: Resources) => ({
  sid: "ListRuns",
  // With a condition on the prefix S3 answers "access denied", not "no such key", for an object that is not there.
  reason: "Lists of keys tell the state of a run, and so does that an object is not there",
  actions: ["s3:ListBucket"],
  resources: [bucket.bucketArn]
})

/** To read and write what belongs to runs: requests, ledger, answers, results. @internal */
export const grantRuns = (grantee: iam.IGrantable, resources: Resources): void => {
  const { bucket, keys, prefix } = resources
  add(grantee, [
    listRuns(resources),
    {
      sid: "ReadAndWriteRuns",
      reason: "The keys of a run begin with its id. Objects are written once and not deleted; large ones in parts, " +
        "which are given up when the upload fails",
      actions: ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"],
      resources: [bucket.arnForObjects(`${prefix}/*`)]
    }
  ])
  grantKeys(grantee, keys, "kms:Decrypt", "kms:GenerateDataKey")
}

/** To read what belongs to runs, results first of all. @internal */
export const grantReading = (grantee: iam.IGrantable, resources: Resources): void => {
  const { bucket, keys, prefix } = resources
  add(grantee, [
    listRuns(resources),
    {
      sid: "ReadRuns",
      reason: "The keys of a run begin with its id",
      actions: ["s3:GetObject"],
      resources: [bucket.arnForObjects(`${prefix}/*`)]
    }
  ])
  grantKeys(grantee, keys, "kms:Decrypt")
}

/** To put inputs where whoever works on runs may read them. @internal */
export const grantInputs = (grantee: iam.IGrantable, { bucket, keys }: Resources, inputs: string): void => {
  add(grantee, [
    {
      sid: "PutInputs",
      reason: "Inputs lie below a prefix of their own",
      actions: ["s3:PutObject", "s3:AbortMultipartUpload"],
      resources: [bucket.arnForObjects(`${inputs}/*`)]
    }
  ])
  grantKeys(grantee, keys, "kms:Decrypt", "kms:GenerateDataKey")
}

/** To read what runs are prepared from, of what the bucket has of it. @internal */
export const grantReadingOf = (grantee: iam.IGrantable, { bucket }: Resources, prefixes: ReadonlyArray<string>): void =>
  add(grantee, [
    {
      sid: "ReadInputs",
      reason: "Rows and prompts lie below prefixes of their own",
      actions: ["s3:GetObject"],
      resources: prefixes.map((prefix) => bucket.arnForObjects(`${prefix}/*`))
    }
  ])

/** To read rows, and prompts, from anywhere in the given buckets. @internal */
export const grantSources = (grantee: iam.IGrantable, buckets: ReadonlyArray<s3.IBucket>): void => {
  add(grantee, [
    {
      sid: "ListSources",
      reason: "A source may be all files below a prefix, and so are prompts",
      actions: ["s3:ListBucket"],
      resources: buckets.map(({ bucketArn }) => bucketArn)
    },
    {
      sid: "ReadSources",
      reason: "The input of an execution says which objects of these buckets it reads",
      actions: ["s3:GetObject"],
      resources: buckets.map((bucket) => bucket.arnForObjects("*"))
    }
  ])
  for (const { encryptionKey } of buckets) encryptionKey?.grant(grantee, "kms:Decrypt")
}

const jobs = ({ role }: Resources) => [
  Stack.of(role).formatArn({ service: "bedrock", resource: "model-invocation-job", resourceName: "*" })
]

const jobsHaveNoNames = "Bedrock gives a job its id when it is created"

/** To learn what became of jobs. @internal */
export const grantLooking = (grantee: iam.IGrantable, resources: Resources): void =>
  add(grantee, [
    {
      sid: "ReadJobs",
      reason: jobsHaveNoNames,
      actions: ["bedrock:GetModelInvocationJob"],
      resources: jobs(resources)
    }
  ])

/** To find jobs whose create call was never answered. @internal */
export const grantFinding = (grantee: iam.IGrantable): void =>
  add(grantee, [
    { sid: "ListJobs", reason: takesNoResource, actions: ["bedrock:ListModelInvocationJobs"], resources: ["*"] }
  ])

/** To stop jobs: those whose deadline has passed, and those of a cancelled run. @internal */
export const grantStopping = (grantee: iam.IGrantable, resources: Resources): void =>
  add(grantee, [
    {
      sid: "StopJobs",
      reason: jobsHaveNoNames,
      actions: ["bedrock:StopModelInvocationJob"],
      resources: jobs(resources)
    }
  ])

/** To know how many jobs may be open, and how large they may be. @internal */
export const grantQuotas = (grantee: iam.IGrantable): void =>
  add(grantee, [
    {
      sid: "ReadQuotas",
      reason: takesNoResource,
      actions: [
        "servicequotas:GetServiceQuota",
        "servicequotas:ListServiceQuotas",
        "servicequotas:ListAWSDefaultServiceQuotas"
      ],
      resources: ["*"]
    }
  ])

/** To create jobs, and to ask for records that are too few for one. @internal */
export const grantSubmission = (grantee: iam.IGrantable, resources: Resources): void => {
  const { bucket, models, prefix, role } = resources
  const whichModels = "The input of an execution chooses the model, among those that the pipeline allows; a profile " +
    "leads to its model in Regions that AWS chooses"
  const { all, anyModel, application } = models
  add(grantee, [
    ...inParts({
      sid: "CreateJobs",
      reason: `The action is checked against the model and the job. ${whichModels}. ${jobsHaveNoNames}`,
      actions: ["bedrock:CreateModelInvocationJob"],
      resources: [...all, ...anyModel, ...jobs(resources)]
    }),
    { sid: "TagJobs", reason: jobsHaveNoNames, actions: ["bedrock:TagResource"], resources: jobs(resources) },
    {
      sid: "PassRoleToBedrock",
      reason: "Bedrock reads and writes the bucket as this role, which is given to nobody else",
      actions: ["iam:PassRole"],
      resources: [role.roleArn],
      conditions: { StringEquals: { "iam:PassedToService": "bedrock.amazonaws.com" } }
    },
    ...inParts({
      sid: "InvokeOnDemand",
      reason: `Records that are too few for a job are asked for one by one. ${whichModels}`,
      actions: ["bedrock:InvokeModel"],
      resources: all
    }),
    ...(application.length === 0 ? [] : [{
      sid: "InvokeOnDemandThroughProfiles",
      reason: "An application inference profile does not say which model it leads to: all, through it alone",
      actions: ["bedrock:InvokeModel"],
      resources: anyModel,
      conditions: { ArnEquals: { "bedrock:InferenceProfileArn": application } }
    }]),
    {
      sid: "TidySlots",
      reason: "Old generations of the slots that executions share are removed. Nothing else ever is",
      actions: ["s3:DeleteObject"],
      resources: [bucket.arnForObjects(`${prefix}/capacity/*`)]
    }
  ])
  grantQuotas(grantee)
}

/** To keep the inventory and the tokens: single items, and all items of one job. @internal */
export const grantInventory = (grantee: iam.IGrantable, table: dynamodb.ITable, key: kms.IKey | undefined): void => {
  add(grantee, [
    {
      sid: "KeepInventory",
      reason: "Jobs and tokens are items of this table",
      actions: ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem", "dynamodb:Query"],
      resources: [table.tableArn]
    }
  ])
  if (key === undefined) return
  const { region, urlSuffix } = Stack.of(table)
  add(grantee, [
    {
      sid: "DecryptInventory",
      reason: "What DynamoDB does with a table's own key in the name of its caller",
      actions: ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*"],
      resources: [key.keyArn],
      conditions: { StringEquals: { "kms:ViaService": `dynamodb.${region}.${urlSuffix}` } }
    }
  ])
}

/** To find what is open: the index holds nothing else. @internal */
export const grantOpenJobs = (grantee: iam.IGrantable, table: dynamodb.ITable, index: string): void =>
  add(grantee, [
    {
      sid: "FindOpenJobs",
      reason: "The index holds jobs that are open, and tasks that wait",
      actions: ["dynamodb:Query"],
      resources: [`${table.tableArn}/index/${index}`]
    }
  ])

/** To answer the tasks that wait for jobs. @internal */
export const grantAnswering = (grantee: iam.IGrantable): void =>
  add(grantee, [
    {
      sid: "AnswerTasks",
      reason: "Sources differ on whether IAM knows a resource for these actions. A task is answered by its token alone",
      actions: ["states:SendTaskSuccess", "states:SendTaskFailure"],
      resources: ["*"]
    }
  ])

/** To join a network, which Lambda does as the function itself. @internal */
export const grantNetwork = (grantee: iam.IGrantable): void =>
  add(grantee, [
    {
      sid: "JoinNetwork",
      reason: "A function's interfaces have no names before they are made; AWS's own policy for this names none either",
      actions: [
        "ec2:CreateNetworkInterface",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSubnets",
        "ec2:DeleteNetworkInterface",
        "ec2:AssignPrivateIpAddresses",
        "ec2:UnassignPrivateIpAddresses"
      ],
      resources: ["*"]
    }
  ])
