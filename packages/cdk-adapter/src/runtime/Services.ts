/**
 * The services of all functions, made once in each process.
 *
 * @internal
 */
import * as Aws from "@bedrock-batch/sdk/Aws"
import type { BatchError } from "@bedrock-batch/sdk/BatchError"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Inventory from "../Inventory.ts"
import { InvalidInput } from "../Input.ts"
import * as EnvironmentModule from "./Environment.ts"
import { Environment } from "./Environment.ts"
import * as Tasks from "./Tasks.ts"

/** @internal */
export type Services = Aws.Services | Inventory.Inventory | Tasks.Tasks | Environment

/** A deployment whose variables are wrong fails each call, by this name. */
const environment = EnvironmentModule.layer.pipe(
  Layer.catch((error) =>
    Layer.effect(
      Environment,
      Effect.fail(new InvalidInput({ problems: [{ field: "environment", message: error.message }] }))
    )
  )
)

const aws = Layer.unwrap(Effect.map(Environment, (settings) =>
  Aws.layer({
    bucket: settings.bucket,
    prefix: settings.prefix,
    roleArn: settings.roleArn,
    capacity: "shared",
    outputKmsKeyId: settings.outputKmsKeyId ?? undefined,
    vpc: settings.vpc ?? undefined,
    tags: settings.tags,
    limits: settings.maxOpenJobs === null ? undefined : { maxOpenJobs: settings.maxOpenJobs },
    settleAfter: settings.settleAfter ?? undefined,
    quotaPause: settings.quotaPause ?? undefined
  })))

const inventory = Layer.unwrap(Effect.map(Environment, ({ table }) => Inventory.layer({ table })))

/** @internal */
export const layer: Layer.Layer<Services, BatchError | InvalidInput> = Layer.mergeAll(aws, inventory, Tasks.layer).pipe(
  Layer.provideMerge(environment)
)
