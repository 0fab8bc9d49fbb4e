/**
 * The parameter checks of the service, with every pattern in a form that takes linear time.
 *
 * @since 0.1.0
 */
import type { JsonObject } from "./Json.ts"
import { isObject, member } from "./Json.ts"

/**
 * A constraint on a string: its length, and the pattern that it must match as a whole. `shown` is the pattern as the
 * service writes it in messages.
 *
 * @since 0.1.0
 * @category models
 */
export interface Constraint {
  readonly min: number
  readonly max: number
  readonly pattern?: { readonly test: (text: string) => boolean; readonly shown: string }
}

const like = (safe: RegExp, shown: string) => ({ test: (text: string) => safe.test(text), shown })
const s3Segment = "[-!_*'().a-z0-9A-Z]+"
const modelName = "[a-z0-9-]{1,63}[.]{1}[a-z0-9-]{1,63}([.]?[a-z0-9-]{1,63})([:][a-z0-9-]{1,63}){0,2}"
const plainName = "([0-9a-zA-Z][_-]?)+"
const bedrockArn = "arn:aws(-[^:]+)?:bedrock:[a-z0-9-]{1,20}:"
const modelIdShown = `(${bedrockArn}(([0-9]{12}:custom-model/[a-z0-9-]{1,63}[.]{1}[a-z0-9-:]{1,63}/[a-z0-9]{12}$)|` +
  `(:foundation-model/(${modelName})|(${plainName})$)|` +
  `([0-9]{12}:(inference-profile|application-inference-profile)/[a-zA-Z0-9-:.]+$)))|(${modelName})|(${plainName})`
const modelIdForms = [
  new RegExp(`^${modelName}$`),
  new RegExp(`^${plainName}$`),
  new RegExp(`^${bedrockArn}:foundation-model/${modelName}$`),
  new RegExp(`^${bedrockArn}${plainName}$`),
  new RegExp(`^${bedrockArn}[0-9]{12}:(inference-profile|application-inference-profile)/[a-zA-Z0-9-:.]+$`),
  new RegExp(`^${bedrockArn}[0-9]{12}:custom-model/[a-z0-9-]{1,63}[.][a-z0-9-:]{1,63}/[a-z0-9]{12}$`)
]
const kmsKey = "(arn:aws(-[^:]+)?:kms:[a-zA-Z0-9-]*:[0-9]{12}:((key/[a-zA-Z0-9-]{36})|(alias/[a-zA-Z0-9-_/]+)))|" +
  "([a-zA-Z0-9-]{36})|(alias/[a-zA-Z0-9-_/]+)"
const tagPattern = like(/^[a-zA-Z0-9\s._:/=+@-]*$/, "[a-zA-Z0-9\\s._:/=+@-]*")
const vpcId: Constraint = { min: 0, max: 32, pattern: like(/^[-0-9a-zA-Z]+$/, "[-0-9a-zA-Z]+") }

/**
 * The constraints of the service's model, by the name of the member they hold for. The service's own pattern of
 * `jobName` takes exponential time in JavaScript on a run of hyphens; the form here accepts the same strings.
 *
 * @since 0.1.0
 * @category constraints
 */
export const constraints = {
  jobName: {
    min: 1,
    max: 63,
    pattern: like(/^[A-Za-z0-9][A-Za-z0-9+\-.]*$/, "[a-zA-Z0-9]{1,63}(-*[a-zA-Z0-9\\+\\-\\.]){0,63}")
  },
  clientRequestToken: {
    min: 1,
    max: 256,
    pattern: like(/^[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?$/, "[a-zA-Z0-9]{1,256}(-*[a-zA-Z0-9]){0,256}")
  },
  roleArn: {
    min: 0,
    max: 2048,
    pattern: like(/^arn:aws(-[^:]+)?:iam::([0-9]{12})?:role\/.+$/, "arn:aws(-[^:]+)?:iam::([0-9]{12})?:role/.+")
  },
  modelId: {
    min: 1,
    max: 2048,
    pattern: { test: (text: string) => modelIdForms.some((form) => form.test(text)), shown: modelIdShown }
  },
  s3Uri: {
    min: 1,
    max: 1024,
    pattern: like(
      new RegExp(`^s3://[a-z0-9][-.a-z0-9]{1,61}[a-z0-9](?:/${s3Segment})*/?$`),
      `s3://[a-z0-9][-.a-z0-9]{1,61}[a-z0-9](?:/${s3Segment}(?:/${s3Segment})*)?/?`
    )
  },
  accountId: { min: 0, max: 12, pattern: like(/^[0-9]{12}$/, "[0-9]{12}") },
  kmsKeyId: {
    min: 1,
    max: 2048,
    pattern: like(new RegExp(`^(?:${kmsKey})$`), kmsKey)
  },
  jobIdentifier: {
    min: 0,
    max: 1011,
    pattern: like(
      /^(?:arn:aws(-[^:]+)?:bedrock:[a-z0-9-]{1,20}:[0-9]{12}:model-invocation-job\/)?[a-z0-9]{12}$/,
      "((arn:aws(-[^:]+)?:bedrock:[a-z0-9-]{1,20}:[0-9]{12}:model-invocation-job/)?[a-z0-9]{12})"
    )
  },
  subnetId: vpcId,
  securityGroupId: vpcId,
  tagKey: { min: 1, max: 128, pattern: tagPattern },
  tagValue: { min: 0, max: 256, pattern: tagPattern },
  nextToken: { min: 1, max: 2048, pattern: like(/^\S*$/, "\\S*") }
} as const satisfies { readonly [name: string]: Constraint }

/**
 * What is wrong with a request: constraints that values fail, or a value of the wrong JSON type, which the service
 * refuses before it looks at constraints.
 *
 * @since 0.1.0
 * @category models
 */
export class Findings {
  readonly #failures: Array<string> = []
  #mistyped: string | null = null

  /** Notes that the value at `path` fails a constraint. */
  fail(path: string, value: unknown, constraint: string): void {
    const shown = value === undefined || value === null
      ? "null"
      : `'${typeof value === "object" ? JSON.stringify(value) : String(value)}'`
    this.#failures.push(`Value ${shown} at '${path}' failed to satisfy constraint: ${constraint}`)
  }

  /** Notes a value of the wrong JSON type. */
  mistyped(path: string, expected: string): void {
    this.#mistyped ??= `Value at '${path}' cannot be converted to ${expected}`
  }

  /** A member that must be a string; undefined where it is absent or wrong. */
  text(path: string, value: unknown, constraint: Constraint, required = false): string | undefined {
    if (value === undefined || value === null) {
      if (required) this.fail(path, value, "Member must not be null")
      return undefined
    }
    if (typeof value !== "string") {
      this.mistyped(path, "String")
      return undefined
    }
    if (value.length < constraint.min) {
      this.fail(path, value, `Member must have length greater than or equal to ${constraint.min}`)
    } else if (value.length > constraint.max) {
      this.fail(path, value, `Member must have length less than or equal to ${constraint.max}`)
    } else if (constraint.pattern !== undefined && !constraint.pattern.test(value)) {
      this.fail(path, value, `Member must satisfy regular expression pattern: ${constraint.pattern.shown}`)
    }
    return value
  }

  /** A member out of an enumeration. */
  oneOf<const A extends string>(path: string, value: unknown, allowed: ReadonlyArray<A>): A | undefined {
    if (value === undefined || value === null) return undefined
    const found = allowed.find((one) => one === value)
    if (found === undefined) this.fail(path, value, `Member must satisfy enum value set: [${allowed.join(", ")}]`)
    return found
  }

  /** An integer within a range. */
  integer(path: string, value: unknown, min: number, max: number): number | undefined {
    if (value === undefined || value === null) return undefined
    if (typeof value !== "number" || !Number.isInteger(value)) {
      this.mistyped(path, "Integer")
      return undefined
    }
    if (value < min) this.fail(path, value, `Member must have value greater than or equal to ${min}`)
    if (value > max) this.fail(path, value, `Member must have value less than or equal to ${max}`)
    return value
  }

  /** A structure; undefined where it is absent. */
  structure(path: string, value: unknown, required = false): JsonObject | undefined {
    if (value === undefined || value === null) {
      if (required) this.fail(path, value, "Member must not be null")
      return undefined
    }
    if (isObject(value)) return value
    this.mistyped(path, "Structure")
    return undefined
  }

  /** A list whose length is within a range. */
  list(path: string, value: unknown, min: number, max: number, required = false): ReadonlyArray<unknown> | undefined {
    if (value === undefined || value === null) {
      if (required) this.fail(path, value, "Member must not be null")
      return undefined
    }
    if (!Array.isArray(value)) {
      this.mistyped(path, "List")
      return undefined
    }
    if (value.length < min) this.fail(path, value, `Member must have length greater than or equal to ${min}`)
    if (value.length > max) this.fail(path, value, `Member must have length less than or equal to ${max}`)
    return value
  }

  /** A union of which exactly one member must be set. */
  union(path: string, value: unknown, name: string): JsonObject | undefined {
    const outer = this.structure(path, value, true)
    if (outer === undefined) return undefined
    const inner = member(outer, name)
    if (inner === undefined || inner === null) {
      this.fail(path, {}, "Member must have exactly one of its members set")
      return undefined
    }
    return this.structure(`${path}.${name}`, inner)
  }

  /** What to answer; null where nothing is wrong. */
  get problem(): { readonly name: "ValidationException" | "SerializationException"; readonly message: string } | null {
    if (this.#mistyped !== null) return { name: "SerializationException", message: this.#mistyped }
    const count = this.#failures.length
    if (count === 0) return null
    const head = `${count} validation error${count === 1 ? "" : "s"} detected: `
    return { name: "ValidationException", message: head + this.#failures.join("; ") }
  }
}
