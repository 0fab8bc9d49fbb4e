/** Claude models in Anthropic's own Messages format. */
export * as AnthropicMessages from "./AnthropicMessages.ts"

/** The models that batch inference takes, and early advice. */
export * as Catalogue from "./Catalogue.ts"

/** Text models through Converse: the default. */
export * as Converse from "./Converse.ts"

/** The built-in processor of a model. */
export * as Families from "./Families.ts"

/** The names by which Bedrock knows a model. */
export * as ModelId from "./ModelId.ts"

/** What is known of Bedrock's models. */
export * as Models from "./Models.ts"

/** What models cost. */
export * as Prices from "./Prices.ts"

/** How one model family is asked and read. */
export * as Processor from "./Processor.ts"

/** What a model is told. */
export * as Prompt from "./Prompt.ts"

/** Prompts by id. */
export * as PromptLibrary from "./PromptLibrary.ts"

/** Amazon Titan Text Embeddings V2. */
export * as TitanTextEmbeddings from "./TitanTextEmbeddings.ts"
