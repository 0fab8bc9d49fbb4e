/**
 * A synthesized CloudFormation template as the rig reads it: references resolved to names of local things.
 */
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import { isAbsolute, join } from "node:path"

/** A resource of a template. */
export interface Resource {
  readonly Type: string
  readonly Properties?: { readonly [name: string]: any }
}

/** The parts of a template that the rig looks at. */
export interface Template {
  readonly Resources: { readonly [id: string]: Resource }
  readonly Parameters?: { readonly [id: string]: { readonly Default?: unknown } }
  readonly Conditions?: { readonly [id: string]: unknown }
  readonly Mappings?: { readonly [id: string]: any }
  readonly Outputs?: { readonly [id: string]: { readonly Value: unknown } }
}

/** A stack as it was synthesized. */
export interface Assembly {
  readonly template: Template
  /** The folders of assets, by the names of their objects. */
  readonly assets: ReadonlyMap<string, string>
}

/** Reads the one stack of a cloud assembly (`cdk.out`). */
export const readAssembly = (directory: string): Assembly => {
  const json = (file: string) => JSON.parse(fs.readFileSync(join(directory, file), "utf8"))
  const artifacts: ReadonlyArray<any> = Object.values(json("manifest.json").artifacts)
  const stacks = artifacts.filter(({ type }) => type === "aws:cloudformation:stack")
  if (stacks.length !== 1) throw new Error(`${directory} has ${stacks.length} stacks, and the rig runs one`)
  const assets = new Map<string, string>()
  for (const { properties, type } of artifacts) {
    if (type !== "cdk:asset-manifest") continue
    for (const { destinations, source } of Object.values<any>(json(properties.file).files)) {
      const folder = isAbsolute(source.path) ? source.path : join(directory, source.path)
      for (const { objectKey } of Object.values<any>(destinations)) assets.set(objectKey, folder)
    }
  }
  return { template: json(stacks[0].properties.templateFile), assets }
}

/** Synthesizes the app of a folder that has a `cdk.json`, without the `cdk` command, into another folder. */
export const synthesize = (
  folder: string,
  out: string,
  context: { readonly [name: string]: unknown } = {}
): Assembly => {
  const { app, context: own = {} } = JSON.parse(fs.readFileSync(join(folder, "cdk.json"), "utf8"))
  const { status, stderr, stdout } = spawnSync(app, {
    cwd: folder,
    shell: true,
    encoding: "utf8",
    env: {
      ...process.env,
      PATH: `${join(process.execPath, "..")}:${process.env["PATH"]}`,
      CDK_OUTDIR: out,
      CDK_CONTEXT_JSON: JSON.stringify({ ...own, ...context })
    }
  })
  if (status !== 0) throw new Error(`${app} failed in ${folder}:\n${stdout}${stderr}`)
  return readAssembly(out)
}

/** What references are resolved to. */
export interface Locals {
  readonly region: string
  readonly accountId: string
  /** The URL of a queue. */
  readonly queueUrl: (name: string) => string
}

/** The property that names a resource, and what its ARN looks like. */
interface Kind {
  readonly name: string
  readonly arn: (name: string, locals: Locals) => string
}

/** ARNs of a service, with what comes before the name. */
const regional = (name: string, service: string, before: string): Kind => ({
  name,
  arn: (resource, { accountId, region }) => `arn:aws:${service}:${region}:${accountId}:${before}${resource}`
})

const kinds: { readonly [type: string]: Kind } = {
  "AWS::S3::Bucket": { name: "BucketName", arn: (name) => `arn:aws:s3:::${name}` },
  "AWS::IAM::Role": { name: "RoleName", arn: (name, { accountId }) => `arn:aws:iam::${accountId}:role/${name}` },
  "AWS::DynamoDB::Table": regional("TableName", "dynamodb", "table/"),
  "AWS::DynamoDB::GlobalTable": regional("TableName", "dynamodb", "table/"),
  "AWS::Lambda::Function": regional("FunctionName", "lambda", "function:"),
  "AWS::SQS::Queue": regional("QueueName", "sqs", ""),
  "AWS::StepFunctions::StateMachine": regional("StateMachineName", "states", "stateMachine:")
}

/** A resource whose properties are resolved. */
export interface Made {
  readonly id: string
  readonly name: string
  readonly arn: string
  readonly properties: any
}

/** A template whose references are resolved. */
export class Resolved {
  readonly template: Template
  readonly #locals: Locals

  constructor(template: Template, locals: Locals) {
    this.template = template
    this.#locals = locals
  }

  /** Resources of a type with their resolved properties. */
  of(type: string): ReadonlyArray<Made> {
    const resources = Object.entries(this.template.Resources).filter(([, { Type }]) => Type === type)
    return resources.map(([id, { Properties = {} }]) => ({
      id,
      name: this.#name(id),
      arn: this.#arn(id),
      properties: this.resolve(Properties)
    }))
  }

  /** The outputs of the stack. */
  get outputs(): { readonly [name: string]: string } {
    return Object.fromEntries(
      Object.entries(this.template.Outputs ?? {}).map(([name, { Value }]) => [name, String(this.resolve(Value))])
    )
  }

  #resource(id: string): Resource {
    const resource = this.template.Resources[id]
    if (resource === undefined) throw new Error(`the template has no resource ${id}`)
    return resource
  }

  /** The name that the template gives a resource, or one after its logical id. */
  #name(id: string): string {
    const { Properties, Type } = this.#resource(id)
    const property = kinds[Type]?.name
    const given = property === undefined ? undefined : Properties?.[property]
    if (given !== undefined) return String(this.resolve(given))
    return Type === "AWS::S3::Bucket" ? id.toLowerCase().slice(0, 63) : id
  }

  #arn(id: string): string {
    const { Type } = this.#resource(id)
    const [, service = "", kind = ""] = Type.split("::")
    const { accountId, region } = this.#locals
    const name = this.#name(id)
    return kinds[Type]?.arn(name, this.#locals) ??
      `arn:aws:${service.toLowerCase()}:${region}:${accountId}:${kind.toLowerCase()}/${name}`
  }

  #ref(id: string): unknown {
    const { accountId, region } = this.#locals
    const pseudo: { readonly [name: string]: string } = {
      "AWS::Region": region,
      "AWS::AccountId": accountId,
      "AWS::Partition": "aws",
      "AWS::URLSuffix": "amazonaws.com",
      "AWS::StackName": "local",
      "AWS::StackId": `arn:aws:cloudformation:${region}:${accountId}:stack/local/1`
    }
    if (id === "AWS::NoValue") return undefined
    if (pseudo[id] !== undefined) return pseudo[id]
    const parameter = this.template.Parameters?.[id]
    if (parameter !== undefined) return parameter.Default ?? id
    switch (this.#resource(id).Type) {
      case "AWS::SQS::Queue":
        return this.#locals.queueUrl(this.#name(id))
      case "AWS::StepFunctions::StateMachine":
      case "AWS::SNS::Topic":
        return this.#arn(id)
      default:
        return this.#name(id)
    }
  }

  #attribute(id: string, name: string): unknown {
    switch (name) {
      case "Arn":
        return this.#arn(id)
      case "QueueName":
      case "Name":
        return this.#name(id)
      case "QueueUrl":
        return this.#locals.queueUrl(this.#name(id))
      default:
        return `${id}.${name}`
    }
  }

  #condition(condition: any): boolean {
    if (typeof condition === "string") return this.#condition(this.template.Conditions?.[condition])
    const [[operator, operands]] = Object.entries<any>(condition) as [[string, any]]
    switch (operator) {
      case "Fn::Equals":
        return JSON.stringify(this.resolve(operands[0])) === JSON.stringify(this.resolve(operands[1]))
      case "Fn::And":
        return operands.every((one: unknown) => this.#condition(one))
      case "Fn::Or":
        return operands.some((one: unknown) => this.#condition(one))
      case "Fn::Not":
        return !this.#condition(operands[0])
      case "Condition":
        return this.#condition(operands)
      default:
        throw new Error(`the rig knows no condition ${operator}`)
    }
  }

  /** A value without references. What is `AWS::NoValue` is left out. */
  resolve(value: any): any {
    if (Array.isArray(value)) return value.map((one) => this.resolve(one)).filter((one) => one !== undefined)
    if (typeof value !== "object" || value === null) return value
    const entries = Object.entries<any>(value)
    const [first] = entries
    if (entries.length === 1 && first !== undefined && (first[0] === "Ref" || first[0].startsWith("Fn::"))) {
      return this.#intrinsic(first[0], first[1])
    }
    return Object.fromEntries(
      entries.map(([key, one]) => [key, this.resolve(one)]).filter(([, one]) => one !== undefined)
    )
  }

  #intrinsic(name: string, operand: any): unknown {
    switch (name) {
      case "Ref":
        return this.#ref(operand)
      case "Fn::GetAtt": {
        const [id, attribute] = Array.isArray(operand) ? operand : String(operand).split(".", 2)
        return this.#attribute(id, attribute)
      }
      case "Fn::Join":
        return this.resolve(operand[1]).join(operand[0])
      case "Fn::Sub": {
        const [text, values] = Array.isArray(operand) ? operand : [operand, {}]
        return String(text).replace(/\$\{([^!][^}]*)\}/g, (_, path: string) => {
          if (path in values) return String(this.resolve(values[path]))
          const dot = path.indexOf(".")
          return String(dot < 0 ? this.#ref(path) : this.#attribute(path.slice(0, dot), path.slice(dot + 1)))
        })
      }
      case "Fn::Select":
        return this.resolve(operand[1])[Number(this.resolve(operand[0]))]
      case "Fn::Split":
        return String(this.resolve(operand[1])).split(operand[0])
      case "Fn::If":
        return this.resolve(operand[this.#condition(operand[0]) ? 1 : 2])
      case "Fn::FindInMap":
        return this.resolve(operand).reduce((map: any, key: string) => map[key], this.template.Mappings)
      default:
        throw new Error(`the rig knows no ${name}`)
    }
  }
}
