/** Stacks with a pipeline, and what is in their templates. */
import { App, Stack } from "aws-cdk-lib"
import { Template } from "aws-cdk-lib/assertions"
import { BedrockBatchPipeline, type BedrockBatchPipelineProps } from "../../src/index.ts"

export type Json = null | boolean | number | string | ReadonlyArray<Json> | { readonly [key: string]: Json }

export interface Resource {
  readonly Type: string
  readonly Properties: { readonly [key: string]: Json }
}

/** A stack with a pipeline; `props` may make resources of its own in the stack. */
export const makeStack = (
  props: BedrockBatchPipelineProps | ((stack: Stack) => BedrockBatchPipelineProps) = {},
  app: App = new App({ analyticsReporting: false })
) => {
  const stack = new Stack(app, "Test")
  const pipeline = new BedrockBatchPipeline(stack, "Pipeline", typeof props === "function" ? props(stack) : props)
  return { app, stack, pipeline }
}

let plain: Template | undefined

/** The template of a stack with a pipeline; that of one without properties is made once. */
export const synth = (props?: BedrockBatchPipelineProps | ((stack: Stack) => BedrockBatchPipelineProps)): Template => {
  if (props === undefined) return plain ??= Template.fromStack(makeStack().stack)
  return Template.fromStack(makeStack(props).stack)
}

export const resourcesOf = (template: Template): Record<string, Resource> => template.toJSON()["Resources"]

/** Values for what is known only after deployment: names that tell what they stand for. */
export const resolve = (value: Json): Json => {
  if (Array.isArray(value)) return value.map(resolve)
  if (value === null || typeof value !== "object") return value
  const [key = "", ...others] = Object.keys(value)
  const of = (value as { readonly [key: string]: Json })[key]
  if (others.length === 0 && key === "Ref") return pseudo[String(of)] ?? String(of)
  if (others.length === 0 && key === "Fn::GetAtt" && Array.isArray(of)) return of.join(".")
  if (others.length === 0 && key === "Fn::Join" && Array.isArray(of)) {
    const [separator, parts] = of
    return (resolve(parts ?? []) as ReadonlyArray<Json>).map(String).join(String(separator))
  }
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, resolve(one)]))
}

const pseudo: Record<string, string> = {
  "AWS::Partition": "aws",
  "AWS::Region": "us-east-1",
  "AWS::AccountId": "123456789012",
  "AWS::URLSuffix": "amazonaws.com",
  "AWS::StackName": "Test"
}

/** A statement of a policy in a template. */
export interface Grant {
  readonly policy: string
  readonly sid: string | undefined
  readonly actions: ReadonlyArray<string>
  readonly resources: ReadonlyArray<string>
  readonly conditions: Json
}

const listOf = (value: Json | undefined): ReadonlyArray<string> =>
  value === undefined ? [] : (Array.isArray(value) ? value : [value]).map(String)

/** All that the policies of a template allow. */
export const grantsOf = (template: Template): ReadonlyArray<Grant> =>
  Object.entries(resourcesOf(template)).filter(([, { Type }]) => Type === "AWS::IAM::Policy").flatMap(
    ([policy, { Properties }]) => {
      const { Statement } = resolve(Properties["PolicyDocument"] ?? {}) as {
        readonly Statement: ReadonlyArray<Record<string, Json>>
      }
      return Statement.map(({ Action, Condition, Resource, Sid }) => ({
        policy,
        sid: Sid === undefined ? undefined : String(Sid),
        actions: listOf(Action),
        resources: listOf(Resource),
        conditions: Condition ?? null
      }))
    }
  )
