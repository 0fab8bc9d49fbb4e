/**
 * `@bedrock-batch/sdk`: the verbs by name, everything else by module.
 *
 * @since 0.1.0
 */

/** Which models batch inference takes, what they cost, prompts by id, and how many tokens a text has, about. */
export { Catalogue, Prices, PromptLibrary, Tokens } from "@bedrock-batch/processors"

/** Model families, to ask a model in another way than the default. */
export {
  AnthropicMessages,
  Converse,
  Families,
  Llama,
  MistralChat,
  MistralText,
  Nova,
  NovaMultimodalEmbeddings,
  OpenAiChat,
  Processor,
  Prompt,
  Raw,
  Reasoning,
  StructuredOutput,
  TitanMultimodalEmbeddings,
  TitanTextEmbeddings
} from "@bedrock-batch/processors"

/** The services on AWS. */
export * as Aws from "./Aws.ts"

/** The one error of the sdk. */
export * as BatchError from "./BatchError.ts"

/** Bedrock's batch service in our words. */
export * as BatchJobs from "./bedrock/BatchJobs.ts"

/** How many jobs may be open now. */
export * as Capacity from "./schedule/Capacity.ts"

/** Columns and the types of their values. */
export * as Column from "./Column.ts"

/** Calls on demand, one request at a time. */
export * as OnDemand from "./bedrock/OnDemand.ts"

/** The models that an account sees. */
export * as FoundationModels from "./bedrock/FoundationModels.ts"

/** A folder as the store. */
export * as FileSystem from "./store/FileSystem.ts"

/** A job and its states. */
export * as Job from "./Job.ts"

/** The durable record of every job. */
export * as Ledger from "./Ledger.ts"

/** The quotas that shape a job. */
export * as Limits from "./Limits.ts"

/** Slots by what the account has open. */
export * as LiveCapacity from "./schedule/LiveCapacity.ts"

/** The models of an account through the AWS SDK. */
export * as ModelsApi from "./bedrock/ModelsApi.ts"

/** Where the files of a run live. */
export * as ObjectStore from "./store/ObjectStore.ts"

/** What became of each record. */
export * as Outcome from "./Outcome.ts"

/** How many records go into which job. */
export * as Planner from "./Planner.ts"

/** What a run is doing, as data. */
export * as Progress from "./Progress.ts"

/** Writes what a run is doing as JSON, one event a line. */
export * as ProgressJson from "./ProgressJson.ts"

/** Draws what a run is doing in a terminal. */
export * as ProgressLine from "./ProgressLine.ts"

/** Where runs stand, folded from their events. */
export * as ProgressSummary from "./ProgressSummary.ts"

/** Prompts from files. */
export * as Prompts from "./Prompts.ts"

/** The quotas of batch inference, by their codes and names. */
export * as Quotas from "./schedule/Quotas.ts"

/** A run: its manifest, its jobs, where it stands. */
export * as Run from "./Run.ts"

/** S3 as the store. */
export * as S3 from "./store/S3.ts"

/** The quotas of an account through the AWS SDK. */
export * as ServiceQuotasApi from "./bedrock/ServiceQuotasApi.ts"

/** Slots that processes share by objects in the store. */
export * as SharedCapacity from "./schedule/SharedCapacity.ts"

/** Result formats. */
export * as Sink from "./sink/Sink.ts"

/** Where rows come from. */
export * as Source from "./source/Source.ts"

/** How we learn that a job ended. */
export * as Wait from "./wait/Wait.ts"

export * from "./awaitAll.ts"
export * from "./collect.ts"
export * from "./estimate.ts"
export * from "./models.ts"
export * from "./prepare.ts"
export * from "./prepareStep.ts"
export * from "./probe.ts"
export * from "./receipt.ts"
export * from "./retry.ts"
export * from "./runToEnd.ts"
export * from "./submit.ts"
