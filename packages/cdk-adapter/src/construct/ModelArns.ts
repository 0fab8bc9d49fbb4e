/**
 * The ARNs by which policies name models.
 *
 * @internal
 */
import * as ModelId from "@bedrock-batch/processors/ModelId"
import { ArnFormat, Stack } from "aws-cdk-lib"
import type { Construct } from "constructs"
import * as Result from "effect/Result"

/** What may be invoked, and of it what is reached by inference profiles. @internal */
export interface ModelArns {
  /** Everything that a create call or a call on demand may name or lead to, but for `anyModel`. */
  readonly all: ReadonlyArray<string>
  /** Profiles and what they lead to: what Bedrock's own role must be allowed to invoke. */
  readonly profiled: ReadonlyArray<string>
  /** Application inference profiles that are allowed by name. */
  readonly application: ReadonlyArray<string>
  /** Foundation models that `application` may lead to, which are all: nothing where it is empty. */
  readonly anyModel: ReadonlyArray<string>
}

/**
 * The ARNs of the models that are allowed, by their ids or ARNs; of all models where nothing is said. The id of a model
 * stands for its inference profiles, too.
 *
 * A profile leads to the model in other Regions, which ones being AWS's to change, and for `global` ones in none: the
 * Region of such a model is left open, its name is not. The name of an application inference profile does not say which
 * model it leads to.
 *
 * @internal
 */
export const modelArns = (scope: Construct, allowed: ReadonlyArray<string> | undefined): ModelArns => {
  const stack = Stack.of(scope)
  const foundation = (model: string, region: string) =>
    stack.formatArn({ service: "bedrock", resource: "foundation-model", resourceName: model, region, account: "" })
  const own = (resource: string, resourceName: string) =>
    stack.formatArn({ service: "bedrock", resource, resourceName, arnFormat: ArnFormat.SLASH_RESOURCE_NAME })
  if (allowed === undefined) {
    const profiled = [own("inference-profile", "*"), own("application-inference-profile", "*"), foundation("*", "*")]
    return { all: [...profiled, own("custom-model", "*")], profiled, application: [], anyModel: [] }
  }
  const all = new Set<string>()
  const profiled = new Set<string>()
  const application = new Set<string>()
  const viaProfile = (...arns: ReadonlyArray<string>) => {
    for (const arn of arns) {
      all.add(arn)
      profiled.add(arn)
    }
  }
  for (const model of allowed) {
    if (!ModelId.isModelId(model)) {
      throw new Error(`allowedModels: Bedrock takes ${JSON.stringify(model)} neither as a model's id nor as an ARN`)
    }
    const isArn = model.startsWith("arn:")
    const parsed = ModelId.parse(model)
    if (Result.isSuccess(parsed)) {
      const { baseModel, profile } = parsed.success
      if (profile !== null) viaProfile(isArn ? model : own("inference-profile", model), foundation(baseModel, "*"))
      else if (isArn) all.add(model)
      else viaProfile(own("inference-profile", `*.${baseModel}`), foundation(baseModel, "*"))
    } else if (isArn && model.includes(":application-inference-profile/")) {
      viaProfile(model)
      application.add(model)
    } else if (isArn) {
      all.add(model)
    } else {
      throw new Error(`allowedModels: ${JSON.stringify(model)}: ${parsed.failure.message}`)
    }
  }
  const anyModel = application.size === 0 ? [] : [foundation("*", "*")]
  return { all: [...all], profiled: [...profiled], application: [...application], anyModel }
}
