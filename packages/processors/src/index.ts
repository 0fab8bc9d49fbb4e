/** Claude models in Anthropic's own Messages format. */
export * as AnthropicMessages from "./AnthropicMessages.ts"

/** The models that batch inference takes, and early advice. */
export * as Catalogue from "./Catalogue.ts"

/** Text models through Converse: the default. */
export * as Converse from "./Converse.ts"

/** The built-in processor of a model. */
export * as Families from "./Families.ts"

/** Meta Llama's own format. */
export * as Llama from "./Llama.ts"

/** Images, documents, sounds and videos of a column. */
export * as Media from "./Media.ts"

/** Mistral AI's own chat format. */
export * as MistralChat from "./MistralChat.ts"

/** Mistral AI's own text format. */
export * as MistralText from "./MistralText.ts"

/** The names by which Bedrock knows a model. */
export * as ModelId from "./ModelId.ts"

/** What is known of Bedrock's models. */
export * as Models from "./Models.ts"

/** Amazon Nova's own format. */
export * as Nova from "./Nova.ts"

/** Amazon Nova Multimodal Embeddings. */
export * as NovaMultimodalEmbeddings from "./NovaMultimodalEmbeddings.ts"

/** OpenAI's chat completions, for gpt-oss and most open models. */
export * as OpenAiChat from "./OpenAiChat.ts"

/** What models cost. */
export * as Prices from "./Prices.ts"

/** How one model family is asked and read. */
export * as Processor from "./Processor.ts"

/** What a model is told. */
export * as Prompt from "./Prompt.ts"

/** Prompts by id. */
export * as PromptLibrary from "./PromptLibrary.ts"

/** Any model, by request bodies of one's own. */
export * as Raw from "./Raw.ts"

/** What a model thought, as a column. */
export * as Reasoning from "./Reasoning.ts"

/** Answers of a shape. */
export * as StructuredOutput from "./StructuredOutput.ts"

/** Amazon Titan Multimodal Embeddings G1. */
export * as TitanMultimodalEmbeddings from "./TitanMultimodalEmbeddings.ts"

/** Amazon Titan Text Embeddings V2. */
export * as TitanTextEmbeddings from "./TitanTextEmbeddings.ts"

/** How many tokens a text has, about. */
export * as Tokens from "./Tokens.ts"
