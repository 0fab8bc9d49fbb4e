/**
 * What cannot be deployed, or would fail each call of a function, is refused when the stack is made.
 *
 * @internal
 */
import { Token } from "aws-cdk-lib"
import type * as kms from "aws-cdk-lib/aws-kms"
import * as lambda from "aws-cdk-lib/aws-lambda"
import type { BedrockBatchPipelineProps } from "../BedrockBatchPipeline.ts"

/** The least and the most of numbers that AWS or the state machine bounds. @internal */
export const bounds = {
  maxConcurrency: [1, 1000],
  /** MiB of a function. */
  memory: [512, 10_240],
  /** Hours until Bedrock gives a job up. */
  jobTimeout: [24, 168]
} as const

const refuse = (name: keyof BedrockBatchPipelineProps, problem: string): never => {
  throw new Error(`BedrockBatchPipeline: ${name} ${problem}`)
}

const checkCount = (name: keyof BedrockBatchPipelineProps, value: number | undefined, least: number, most: number) => {
  if (value !== undefined && !(Number.isInteger(value) && value >= least && value <= most)) {
    refuse(name, `is ${value}, and must be an integer from ${least} to ${most}`)
  }
}

const checkPrefix = (prefix: string, taken: ReadonlyArray<string>): void => {
  const shown = JSON.stringify(prefix)
  if (prefix.length > 400 || !/^[A-Za-z0-9._-]+(\/[A-Za-z0-9._-]+)*$/.test(prefix)) {
    refuse("prefix", `is ${shown}, and must be letters, digits, ".", "_", "-", and slashes between`)
  }
  if (prefix.split("/").some((part) => part === "." || part === "..")) {
    refuse("prefix", `is ${shown}, and may have no part "." or ".."`)
  }
  if (taken.some((one) => `${prefix}/`.startsWith(`${one}/`))) {
    refuse("prefix", `is ${shown}, which is taken: choose another`)
  }
}

const tagText = /^[a-zA-Z0-9\s._:/=+@-]*$/

/** What is known only after deployment is let pass. */
const isTag = (key: string, value: string): boolean =>
  Token.isUnresolved(key) || Token.isUnresolved(value) ||
  (key.length >= 1 && key.length <= 128 && value.length <= 256 && !/^aws:/i.test(key) && tagText.test(key) &&
    tagText.test(value))

const checkTags = (tags: { readonly [key: string]: string }): void => {
  if (Object.keys(tags).length > 50) refuse("tags", "are more than the 50 that a job may have")
  for (const [key, value] of Object.entries(tags)) {
    if (isTag(key, value)) continue
    refuse(
      "tags",
      `have ${JSON.stringify(key)}, and must be 1 to 128 characters, not "aws:" first, with values of at most 256, ` +
        "of letters, digits, spaces and . _ : / = + @ -, as Bedrock takes for its jobs"
    )
  }
}

const checkRuntime = ({ family, name }: lambda.Runtime): void => {
  const version = Number(/^nodejs(\d+)\.x$/.exec(name)?.[1])
  if (family !== lambda.RuntimeFamily.NODEJS || !(version >= 22)) {
    refuse("runtime", `is ${name}, and must be Node.js 22 or newer`)
  }
}

/** Throws where a property cannot be; `taken` are prefixes that are used for other things. @internal */
export const checkProps = (props: BedrockBatchPipelineProps, taken: ReadonlyArray<string>): void => {
  const { jobTimeout, name, network, sweepInterval } = props
  if (name !== undefined && !/^[A-Za-z0-9-]{1,60}$/.test(name)) {
    refuse("name", `is ${JSON.stringify(name)}, and must be 1 to 60 letters, digits and hyphens`)
  }
  if (props.prefix !== undefined) checkPrefix(props.prefix, taken)
  checkCount("maxConcurrency", props.maxConcurrency, ...bounds.maxConcurrency)
  checkCount("maxOpenJobs", props.maxOpenJobs, 1, 1_000_000)
  checkCount("prepareMemory", props.prepareMemory, ...bounds.memory)
  checkCount("collectMemory", props.collectMemory, ...bounds.memory)
  checkCount("maxRecordsTotal", props.maxRecordsTotal, 1, Number.MAX_SAFE_INTEGER)
  checkCount("maxRecordsPerJob", props.maxRecordsPerJob, 1, Number.MAX_SAFE_INTEGER)
  if (jobTimeout !== undefined) {
    const hours = jobTimeout.toHours({ integral: false })
    const [least, most] = bounds.jobTimeout
    if (!Number.isInteger(hours) || hours < least || hours > most) {
      refuse("jobTimeout", `is ${hours} hours, and must be ${least} to ${most}, whole ones`)
    }
  }
  if (sweepInterval !== undefined) {
    const minutes = sweepInterval.toMinutes({ integral: false })
    if (!Number.isInteger(minutes) || minutes < 5 || minutes > 1440) {
      refuse("sweepInterval", `is ${minutes} minutes, and must be 5 minutes or more, whole ones, and at most a day`)
    }
  }
  if (props.allowedModels?.length === 0) refuse("allowedModels", "is empty: leave it out to allow all models")
  checkTags(props.tags ?? {})
  if (props.runtime !== undefined) checkRuntime(props.runtime)
  if ((network?.securityGroups?.length ?? 1) > 5 || network?.securityGroups?.length === 0) {
    refuse("network", "must have 1 to 5 security groups")
  }
}

const isAlias = (key: kms.IKey): key is kms.IAlias => "aliasTargetKey" in key

/** The key itself where an alias is given: policies that name an alias allow nothing. @internal */
export const keyOf = (key: kms.IKey | undefined): kms.IKey | undefined => {
  if (key === undefined || !isAlias(key)) return key
  try {
    return key.aliasTargetKey
  } catch {
    return refuse("encryptionKey", "is an alias without its key: give the key, by kms.Key.fromKeyArn or fromLookup")
  }
}

/** Bytes of all environment variables that Lambda takes, less those that every function has. */
const mostBytes = 4096 - 64

/** Bytes of what is known only after deployment: an ARN. */
const unknownBytes = 140

/** Throws where the variables of a function are more than Lambda takes. @internal */
export const checkEnvironment = (environment: { readonly [name: string]: string }): void => {
  const sizes = Object.entries(environment).map(([name, value]) =>
    Buffer.byteLength(name) + Math.max(Buffer.byteLength(value), Token.isUnresolved(value) ? unknownBytes : 0)
  )
  const bytes = sizes.reduce((sum, size) => sum + size, 0)
  if (bytes > mostBytes) {
    throw new Error(
      `BedrockBatchPipeline: allowedModels and tags make ${bytes} bytes of environment variables, and a function may ` +
        `have ${mostBytes}: give fewer models, or fewer and shorter tags`
    )
  }
}
