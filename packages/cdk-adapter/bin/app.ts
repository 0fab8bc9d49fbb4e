// The app that is ready to deploy: `npm run cdk -- synth | bootstrap | deploy` in the repository's root.
import { PipelineStack } from "@bedrock-batch/cdk-adapter"
import { App } from "aws-cdk-lib"

const app = new App()
const id: unknown = app.node.tryGetContext("stackName")
new PipelineStack(app, typeof id === "string" ? id : "BedrockBatch")
