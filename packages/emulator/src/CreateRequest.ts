/**
 * The body of a create call: checked as the service checks it, with its defaults filled in.
 *
 * @since 0.1.0
 */
import type { JsonObject } from "./Json.ts"
import { constraints, Findings } from "./Validation.ts"

/**
 * A tag of a job.
 *
 * @since 0.1.0
 * @category models
 */
export interface Tag {
  readonly key: string
  readonly value: string
}

/**
 * A create request that passed the parameter checks; members that the service does not know are gone.
 *
 * @since 0.1.0
 * @category models
 */
export interface CreateRequest {
  readonly jobName: string
  readonly roleArn: string
  readonly clientRequestToken: string | null
  readonly modelId: string
  readonly modelInvocationType: "InvokeModel" | "Converse"
  readonly inputUri: string
  readonly inputFormat: "JSONL" | null
  readonly inputBucketOwner: string | null
  readonly outputUri: string
  readonly outputKmsKeyId: string | null
  readonly outputBucketOwner: string | null
  readonly vpcConfig: {
    readonly subnetIds: ReadonlyArray<string>
    readonly securityGroupIds: ReadonlyArray<string>
  } | null
  readonly timeoutDurationInHours: number
  readonly tags: ReadonlyArray<Tag>
}

/**
 * Reads tags as the service does.
 *
 * @since 0.1.0
 * @category parsing
 */
export const readTags = (findings: Findings, value: unknown, required = false): ReadonlyArray<Tag> =>
  (findings.list("tags", value, 0, 200, required) ?? []).map((tag, index) => {
    const path = `tags.${index + 1}.member`
    const fields = findings.structure(path, tag, true)
    return {
      key: findings.text(`${path}.key`, fields?.["key"], constraints.tagKey, true) ?? "",
      value: findings.text(`${path}.value`, fields?.["value"], constraints.tagValue, true) ?? ""
    }
  })

/**
 * Leaves one tag of each key: the last.
 *
 * @since 0.1.0
 * @category parsing
 */
export const lastOfEachKey = (tags: ReadonlyArray<Tag>): ReadonlyArray<Tag> =>
  [...new Map(tags.map((tag) => [tag.key, tag])).values()]

const readVpc = (findings: Findings, value: unknown): CreateRequest["vpcConfig"] => {
  const vpc = findings.structure("vpcConfig", value)
  if (vpc === undefined) return null
  const ids = (name: "subnetIds" | "securityGroupIds", max: number) =>
    (findings.list(`vpcConfig.${name}`, vpc[name], 1, max, true) ?? []).map((id, index) =>
      findings.text(`vpcConfig.${name}.${index + 1}.member`, id, constraints.subnetId, true) ?? ""
    )
  return { subnetIds: ids("subnetIds", 16), securityGroupIds: ids("securityGroupIds", 5) }
}

/**
 * Reads the body of a create call. What is wrong with it is noted in `findings`; the request is only to be used when
 * nothing is.
 *
 * @since 0.1.0
 * @category parsing
 */
export const read = (findings: Findings, body: JsonObject): CreateRequest => {
  const input = findings.union("inputDataConfig", body["inputDataConfig"], "s3InputDataConfig")
  const output = findings.union("outputDataConfig", body["outputDataConfig"], "s3OutputDataConfig")
  const inputPath = "inputDataConfig.s3InputDataConfig"
  const outputPath = "outputDataConfig.s3OutputDataConfig"
  const { accountId, s3Uri } = constraints
  return {
    jobName: findings.text("jobName", body["jobName"], constraints.jobName, true) ?? "",
    roleArn: findings.text("roleArn", body["roleArn"], constraints.roleArn, true) ?? "",
    clientRequestToken:
      findings.text("clientRequestToken", body["clientRequestToken"], constraints.clientRequestToken) ?? null,
    modelId: findings.text("modelId", body["modelId"], constraints.modelId, true) ?? "",
    modelInvocationType:
      findings.oneOf("modelInvocationType", body["modelInvocationType"], ["InvokeModel", "Converse"]) ?? "InvokeModel",
    inputUri: input === undefined ? "" : findings.text(`${inputPath}.s3Uri`, input["s3Uri"], s3Uri, true) ?? "",
    inputFormat: findings.oneOf(`${inputPath}.s3InputFormat`, input?.["s3InputFormat"], ["JSONL"]) ?? null,
    inputBucketOwner: findings.text(`${inputPath}.s3BucketOwner`, input?.["s3BucketOwner"], accountId) ?? null,
    outputUri: output === undefined ? "" : findings.text(`${outputPath}.s3Uri`, output["s3Uri"], s3Uri, true) ?? "",
    outputKmsKeyId:
      findings.text(`${outputPath}.s3EncryptionKeyId`, output?.["s3EncryptionKeyId"], constraints.kmsKeyId) ?? null,
    outputBucketOwner: findings.text(`${outputPath}.s3BucketOwner`, output?.["s3BucketOwner"], accountId) ?? null,
    vpcConfig: readVpc(findings, body["vpcConfig"]),
    timeoutDurationInHours: findings.integer("timeoutDurationInHours", body["timeoutDurationInHours"], 24, 168) ?? 24,
    tags: lastOfEachKey(readTags(findings, body["tags"]))
  }
}
