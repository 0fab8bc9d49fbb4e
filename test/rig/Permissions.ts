/**
 * What the functions' calls need, and what the template's roles allow: IAM as far as it can be told from the two.
 * Conditions are not looked at.
 */
import type { TappedCall } from "./Tap.ts"
import type { Resolved } from "./Template.ts"

/** A permission that a call needs. */
export interface Need {
  readonly action: string
  readonly resource: string
}

/** Where the calls go. */
export interface Account {
  readonly region: string
  readonly accountId: string
}

const s3Needs = ({ body, method, url }: TappedCall): ReadonlyArray<Need> => {
  const { pathname, searchParams } = new URL(url, "http://s3")
  const [, bucket = "", ...rest] = pathname.split("/").map(decodeURIComponent)
  const key = rest.join("/")
  const object = (action: string, name = key) => [
    { action: `s3:${action}`, resource: `arn:aws:s3:::${bucket}/${name}` }
  ]
  if (key === "") {
    if (method !== "POST") return [{ action: "s3:ListBucket", resource: `arn:aws:s3:::${bucket}` }]
    const names = [...body.toString("utf8").matchAll(/<Key>([^<]+)<\/Key>/g)]
    return names.flatMap(([, name]) => object("DeleteObject", name))
  }
  switch (method) {
    case "GET":
    case "HEAD":
      return object("GetObject")
    case "DELETE":
      return object(searchParams.has("uploadId") ? "AbortMultipartUpload" : "DeleteObject")
    default:
      return object("PutObject")
  }
}

const modelArn = (id: string, { accountId, region }: Account): string =>
  id.startsWith("arn:")
    ? id
    : /^[a-z]{2,6}\.[a-z0-9]+\./.test(id)
    ? `arn:aws:bedrock:${region}:${accountId}:inference-profile/${id}`
    : `arn:aws:bedrock:${region}::foundation-model/${id}`

const bedrockNeeds = ({ body, method, url }: TappedCall, account: Account): ReadonlyArray<Need> => {
  const [, root = "", id, action] = (url.split("?")[0] ?? "").split("/").map(decodeURIComponent)
  const { accountId, region } = account
  const job = `arn:aws:bedrock:${region}:${accountId}:model-invocation-job/${id?.split("/").at(-1)}`
  if (root === "model-invocation-jobs") return [{ action: "bedrock:ListModelInvocationJobs", resource: "*" }]
  if (root !== "model-invocation-job") return [{ action: `bedrock:${root}`, resource: "*" }]
  if (id === undefined) {
    const { modelId, roleArn, tags } = JSON.parse(body.toString("utf8"))
    const made = `arn:aws:bedrock:${region}:${accountId}:model-invocation-job/new`
    return [
      { action: "bedrock:CreateModelInvocationJob", resource: modelArn(modelId, account) },
      { action: "bedrock:CreateModelInvocationJob", resource: made },
      { action: "iam:PassRole", resource: roleArn },
      ...(tags === undefined ? [] : [{ action: "bedrock:TagResource", resource: made }])
    ]
  }
  const name = method === "GET" ? "GetModelInvocationJob" : action === "stop" ? "StopModelInvocationJob" : `${action}`
  return [{ action: `bedrock:${name}`, resource: job }]
}

const dynamoNeeds = ({ body, operation }: TappedCall, { accountId, region }: Account): ReadonlyArray<Need> => {
  const { IndexName, TableName } = JSON.parse(body.toString("utf8"))
  const table = `arn:aws:dynamodb:${region}:${accountId}:table/${TableName}`
  const resource = IndexName === undefined ? table : `${table}/index/${IndexName}`
  return [{ action: `dynamodb:${operation}`, resource }]
}

/** What a call needs. */
export const needsOf = (call: TappedCall, account: Account): ReadonlyArray<Need> => {
  switch (call.server) {
    case "S3":
      return s3Needs(call)
    case "BEDROCK":
      return bedrockNeeds(call, account)
    case "DYNAMODB":
      return dynamoNeeds(call, account)
    case "SFN":
      return [{ action: `states:${call.operation}`, resource: "*" }]
    case "SERVICE_QUOTAS":
      return [{ action: `servicequotas:${call.operation}`, resource: "*" }]
    default:
      throw new Error(`the rig knows no permissions of ${call.server}`)
  }
}

const listOf = (value: unknown): ReadonlyArray<string> =>
  Array.isArray(value) ? value : value === undefined ? [] : [String(value)]

const isLike = (pattern: string, text: string): boolean => {
  const parts = pattern.split(/([*?])/).map((part) =>
    part === "*" ? ".*" : part === "?" ? "." : part.replace(/[.+^${}()|[\]\\]/g, "\\$&")
  )
  return new RegExp(`^${parts.join("")}$`, "s").test(text)
}

/** What a role of the template may do. */
export class Role {
  readonly #statements: ReadonlyArray<any>

  constructor(template: Resolved, arn: string) {
    const role = template.of("AWS::IAM::Role").find((one) => one.arn === arn)
    if (role === undefined) throw new Error(`the template has no role ${arn}`)
    const policies = template.of("AWS::IAM::Policy")
    const attached = policies.filter(({ properties }) => listOf(properties.Roles).includes(role.name))
    const documents = [
      ...(role.properties.Policies ?? []).map(({ PolicyDocument }: any) => PolicyDocument),
      ...attached.map(({ properties }) => properties.PolicyDocument)
    ]
    this.#statements = documents.flatMap(({ Statement }) => Statement)
  }

  allows({ action, resource }: Need): boolean {
    const about = (effect: string) =>
      this.#statements.some(({ Action, Effect, Resource }) =>
        Effect === effect &&
        listOf(Action).some((pattern) => isLike(pattern.toLowerCase(), action.toLowerCase())) &&
        listOf(Resource).some((pattern) => isLike(pattern, resource))
      )
    return about("Allow") && !about("Deny")
  }
}

/** The roles of the functions and of the state machine, by their ARNs or those of the functions. */
export const rolesOf = (template: Resolved): ReadonlyMap<string, Role> =>
  new Map([
    ...template.of("AWS::Lambda::Function").map(({ arn, properties }) =>
      [arn, new Role(template, properties.Role)] as const
    ),
    ...template.of("AWS::StepFunctions::StateMachine").map(({ arn, properties }) =>
      [arn, new Role(template, properties.RoleArn)] as const
    )
  ])
