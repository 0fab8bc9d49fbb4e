/**
 * Titan Text Embeddings V2 and Titan Multimodal Embeddings G1.
 *
 * @internal
 */
import { embed } from "../../Embeddings.ts"
import { elements, isObject } from "../../Json.ts"
import { tokens } from "../../Text.ts"
import { isBase64 } from "../Media.ts"
import { extraneous, type Family, isGiven, malformed, missing, notAllowed, unknownKey, wrongType } from "./Family.ts"

const mostCharacters = 50_000
const textKeys = new Set(["inputText", "dimensions", "normalize", "embeddingTypes"])

const tooManyTokens = (text: string, most: number): string | null => {
  const count = tokens(text)
  return count > most
    ? `400 Bad Request: Too many input tokens. Max input tokens: ${most}, request input token count: ${count} `
    : null
}

const textProblem = (inputText: unknown, mostTokens: number): string | null => {
  if (typeof inputText !== "string") return wrongType("#/inputText", "String", inputText)
  if (inputText === "") return malformed("expected minLength: 1, actual: 0")
  if (inputText.length > mostCharacters) {
    return malformed(`expected maxLength: ${mostCharacters}, actual: ${inputText.length}`)
  }
  return tooManyTokens(inputText, mostTokens)
}

/** @internal */
export const titanText: Family = ({ body }) => {
  const { dimensions = 1024, embeddingTypes, inputText, normalize } = body
  if (inputText === undefined) return missing("inputText")
  const unknown = unknownKey(body, textKeys)
  if (unknown !== undefined) return extraneous(unknown)
  const problem = textProblem(inputText, 8192)
  if (problem !== null) return problem
  if (dimensions !== 256 && dimensions !== 512 && dimensions !== 1024) return notAllowed("#/dimensions", dimensions)
  if (normalize !== undefined && typeof normalize !== "boolean") return wrongType("#/normalize", "Boolean", normalize)
  if (embeddingTypes !== undefined && !Array.isArray(embeddingTypes)) {
    return wrongType("#/embeddingTypes", "JSONArray", embeddingTypes)
  }
  const types = embeddingTypes === undefined ? ["float"] : elements(embeddingTypes)
  if (types.length === 0) return malformed("#/embeddingTypes: expected minimum item count: 1, found: 0")
  const wrong = types.findIndex((type) => type !== "float" && type !== "binary")
  if (wrong >= 0) return notAllowed(`#/embeddingTypes/${wrong}`, types[wrong])
  const float = embed(String(inputText), dimensions, normalize !== false)
  return {
    ...(types.includes("float") ? { embedding: float } : {}),
    embeddingsByType: {
      ...(types.includes("float") ? { float } : {}),
      ...(types.includes("binary") ? { binary: float.map((value) => value > 0 ? 1 : 0) } : {})
    },
    inputTextTokenCount: tokens(inputText)
  }
}

const imageKeys = new Set(["inputText", "inputImage", "embeddingConfig"])

/** @internal */
export const titanImage: Family = ({ body, conduct }) => {
  const { embeddingConfig = {}, inputImage, inputText } = body
  if (!isGiven(inputText) && !isGiven(inputImage)) return missing("inputText")
  const unknown = unknownKey(body, imageKeys)
  if (unknown !== undefined) return extraneous(unknown)
  if (isGiven(inputText)) {
    const problem = textProblem(inputText, 256)
    if (problem !== null) return problem
  }
  if (isGiven(inputImage) && !isBase64(inputImage)) return malformed("#/inputImage: not a base64 text")
  if (!isObject(embeddingConfig)) return wrongType("#/embeddingConfig", "JSONObject", embeddingConfig)
  const unknownOption = unknownKey(embeddingConfig, new Set(["outputEmbeddingLength"]))
  if (unknownOption !== undefined) return extraneous(unknownOption, "#/embeddingConfig")
  const { outputEmbeddingLength: length = 1024 } = embeddingConfig
  if (length !== 256 && length !== 384 && length !== 1024) {
    return notAllowed("#/embeddingConfig/outputEmbeddingLength", length)
  }
  const inputTextTokenCount = isGiven(inputText) ? tokens(inputText) : 0
  return conduct.hiddenError
    ? { embedding: null, inputTextTokenCount, message: "The model could not embed the input." }
    : {
      embedding: embed(`${String(inputText ?? "")}${String(inputImage ?? "")}`, length, true),
      inputTextTokenCount,
      message: null
    }
}
