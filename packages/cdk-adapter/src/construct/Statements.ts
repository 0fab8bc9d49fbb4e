/**
 * Statements of policies, each with its reason. Where one has a wildcard in it, the reason is also the answer to
 * AWS's rule against wildcards, so that an app that runs `cdk-nag` need not give it.
 *
 * @internal
 */
import { Stack, Validations } from "aws-cdk-lib"
import * as iam from "aws-cdk-lib/aws-iam"
import { Construct, type IConstruct } from "constructs"

/** @internal */
export interface Statement {
  /** What it is for, in a word that is seen in the policy. */
  readonly sid: string
  readonly reason: string
  readonly actions: ReadonlyArray<string>
  readonly resources: ReadonlyArray<string>
  readonly conditions?: { readonly [operator: string]: { readonly [key: string]: unknown } }
}

/** Answers findings of `cdk-nag`'s AwsSolutions, by what stands behind `AwsSolutions-` in their names. @internal */
export const acknowledge = (scope: IConstruct, findings: Readonly<Record<string, string>>): void => {
  for (const [finding, reason] of Object.entries(findings)) {
    Validations.of(scope).acknowledge({ id: `AwsSolutions::AwsSolutions-${finding}`, reason })
  }
}

interface Intrinsic {
  readonly Ref?: unknown
  readonly "Fn::GetAtt"?: ReadonlyArray<unknown>
  readonly "Fn::Join"?: readonly [string, ReadonlyArray<unknown>]
}

const isIntrinsic = (value: unknown): value is Intrinsic => typeof value === "object" && value !== null

/** A resource as findings name it. */
const nameOf = (value: unknown): string => {
  if (!isIntrinsic(value)) return String(value)
  if (value["Fn::Join"] !== undefined) return value["Fn::Join"][1].map(nameOf).join(value["Fn::Join"][0])
  if (value["Fn::GetAtt"] !== undefined) return `<${value["Fn::GetAtt"].map(nameOf).join(".")}>`
  return value.Ref === undefined ? JSON.stringify(value) : `<${nameOf(value.Ref)}>`
}

/** Answers the rule against wildcards for a statement below the construct. @internal */
export const explain = (scope: IConstruct, { actions, reason, resources }: Statement): void => {
  const stack = Stack.of(scope)
  const names = [
    ...actions.map((action) => `Action::${action}`),
    ...resources.map((resource) => `Resource::${nameOf(stack.resolve(resource))}`)
  ]
  for (const name of names) {
    if (name.includes("*")) acknowledge(scope, { [`IAM5[${name}]`]: reason })
  }
}

/** Characters of resources in a statement: a managed policy, into which the CDK puts what is too much, has 6144. */
const mostCharacters = 4000

/** A statement on so many resources that a policy may not have room for it, as several. @internal */
export const inParts = (statement: Statement): ReadonlyArray<Statement> => {
  const parts: Array<Array<string>> = []
  let room = 0
  for (const resource of statement.resources) {
    room -= resource.length
    const part = parts.at(-1)
    if (part !== undefined && room >= 0) part.push(resource)
    else {
      parts.push([resource])
      room = mostCharacters - resource.length
    }
  }
  return parts.map((resources, i) => ({ ...statement, sid: `${statement.sid}${i === 0 ? "" : i + 1}`, resources }))
}

/** @internal */
export const statementOf = ({ actions, conditions, resources, sid }: Statement): iam.PolicyStatement =>
  new iam.PolicyStatement({ sid, actions: [...actions], resources: [...resources], conditions: conditions ?? {} })

/** Adds statements to whoever is granted. @internal */
export const add = (grantee: iam.IGrantable, statements: ReadonlyArray<Statement>): void => {
  const principal = grantee.grantPrincipal
  for (const statement of statements) {
    principal.addToPrincipalPolicy(statementOf(statement))
    if (Construct.isConstruct(principal)) explain(principal, statement)
  }
}

/** A policy of its own, for what depends on what its role is needed for. @internal */
export const attach = (role: iam.Role, scope: Construct, id: string, statements: ReadonlyArray<Statement>): void => {
  const policy = new iam.Policy(scope, id, { statements: statements.map(statementOf) })
  for (const statement of statements) explain(policy, statement)
  role.attachInlinePolicy(policy)
}
