// The app that is ready to deploy: `npm run cdk -- synth | bootstrap | deploy` in the repository's root.
import { PipelineStack } from "@bedrock-batch/cdk-adapter"
import { App } from "aws-cdk-lib"
import { resolve } from "node:path"

const app = new App()
const text = (key: string): string | undefined => {
  const value: unknown = app.node.tryGetContext(key)
  return typeof value === "string" && value !== "" ? value : undefined
}
// As seen from where npm was called, not from here.
const folder = text("promptsFolder")
if (folder !== undefined) app.node.setContext("promptsFolder", resolve(process.env["INIT_CWD"] ?? ".", folder))

new PipelineStack(app, text("stackName") ?? "BedrockBatch")
