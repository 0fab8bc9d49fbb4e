/**
 * Where the code of the Lambda functions lies: bundled when this package is built, beside the compiled modules.
 *
 * @internal
 */
import type * as lambda from "aws-cdk-lib/aws-lambda"
import { existsSync } from "node:fs"
import { fileURLToPath } from "node:url"

/** The functions. @internal */
export const functionNames: ReadonlyArray<FunctionName> = [
  "prepare",
  "submit",
  "collect",
  "finish",
  "retry",
  "event",
  "sweep"
]

/**
 * The Lambda functions of a pipeline: `prepare`, `submit`, `collect`, `finish` and `retry` are called by the state
 * machine, `event` by Bedrock's events, `sweep` by the clock.
 *
 * @since 0.2.0
 * @category models
 */
export type FunctionName = "prepare" | "submit" | "collect" | "finish" | "retry" | "event" | "sweep"

/**
 * The Lambda functions of a pipeline by their names.
 *
 * @since 0.2.0
 * @category models
 */
export type PipelineFunctions = Readonly<Record<FunctionName, lambda.Function>>

// Of sources the built package is looked at, too.
const root = new URL(import.meta.url.endsWith(".ts") ? "../../dist/lambda/" : "../lambda/", import.meta.url)

/** The folder of a function's code. @internal */
export const codeOf = (name: FunctionName): string => {
  const folder = fileURLToPath(new URL(`${name}/`, root))
  if (!existsSync(`${folder}index.mjs`)) {
    throw new Error(`${folder} has no index.mjs: build @bedrock-batch/cdk-adapter first (npm run build)`)
  }
  return folder
}
