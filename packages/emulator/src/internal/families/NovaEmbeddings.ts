/**
 * Nova 2 Multimodal Embeddings.
 *
 * @internal
 */
import { embed } from "../../Embeddings.ts"
import { isObject } from "../../Json.ts"
import { isBase64, placeProblem } from "../Media.ts"
import {
  type Asked,
  extraneous,
  type Family,
  isGiven,
  malformed,
  missing,
  notAllowed,
  unknownKey,
  wrongType
} from "./Family.ts"

const purposes = new Set<unknown>([
  "GENERIC_INDEX",
  "GENERIC_RETRIEVAL",
  "TEXT_RETRIEVAL",
  "IMAGE_RETRIEVAL",
  "VIDEO_RETRIEVAL",
  "DOCUMENT_RETRIEVAL",
  "AUDIO_RETRIEVAL",
  "CLASSIFICATION",
  "CLUSTERING"
])
const bodyKeys = new Set(["schemaVersion", "taskType", "singleEmbeddingParams"])
const kinds = ["text", "image", "audio", "video"] as const
const paramKeys = new Set<string>(["embeddingPurpose", "embeddingDimension", ...kinds])
const formats = {
  image: ["png", "jpeg", "gif", "webp"],
  audio: ["mp3", "wav", "ogg"],
  video: ["mp4", "mov", "mkv", "webm", "flv", "mpeg", "mpg", "wmv", "3gp"]
}
const mostCharacters = 8192
const mediaOptions = {
  image: { name: "detailLevel", values: ["STANDARD_IMAGE", "DOCUMENT_IMAGE"], required: false },
  audio: null,
  video: { name: "embeddingMode", values: ["AUDIO_VIDEO_COMBINED", "AUDIO_VIDEO_SEPARATE"], required: true }
}

const at = (path: string) => `#/singleEmbeddingParams/${path}`

const sourceProblem = (source: unknown, path: string, folder: string | undefined): string | null => {
  if (!isObject(source)) return source === undefined ? missing("source") : wrongType(path, "JSONObject", source)
  const isBytes = isGiven(source["bytes"])
  if (isBytes === isGiven(source["s3Location"])) {
    return malformed(`${path}: exactly one of bytes, s3Location is required`)
  }
  if (isBytes) return isBase64(source["bytes"]) ? null : malformed(`${path}/bytes: not a base64 text`)
  return placeProblem(source["s3Location"], folder)
}

const textProblem = (text: unknown, folder: string | undefined): string | null => {
  if (!isObject(text)) return wrongType(at("text"), "JSONObject", text)
  const { source, truncationMode, value } = text
  if (truncationMode === undefined) return missing("truncationMode")
  if (truncationMode !== "START" && truncationMode !== "END" && truncationMode !== "NONE") {
    return notAllowed(at("text/truncationMode"), truncationMode)
  }
  if (isGiven(value) === isGiven(source)) return malformed(`${at("text")}: exactly one of value, source is required`)
  if (isGiven(source)) return sourceProblem(source, at("text/source"), folder)
  if (typeof value !== "string") return wrongType(at("text/value"), "String", value)
  if (value === "") return malformed(`${at("text/value")}: expected minLength: 1, actual: 0`)
  return value.length > mostCharacters && truncationMode === "NONE"
    ? malformed(`${at("text/value")}: expected maxLength: ${mostCharacters}, actual: ${value.length}`)
    : null
}

const mediaProblem = (kind: "image" | "audio" | "video", media: unknown, folder: string | undefined): string | null => {
  if (!isObject(media)) return wrongType(at(kind), "JSONObject", media)
  if (media["format"] === undefined) return missing("format")
  if (typeof media["format"] !== "string" || !formats[kind].includes(media["format"])) {
    return notAllowed(at(`${kind}/format`), media["format"])
  }
  const option = mediaOptions[kind]
  if (option !== null) {
    const value = media[option.name]
    if (value === undefined && option.required) return missing(option.name)
    if (value !== undefined && !(typeof value === "string" && option.values.includes(value))) {
      return notAllowed(at(`${kind}/${option.name}`), value)
    }
  }
  return sourceProblem(media["source"], at(`${kind}/source`), folder)
}

const problemOf = ({ body, folder }: Asked): string | null => {
  const unknown = unknownKey(body, bodyKeys)
  if (body["taskType"] === undefined) return missing("taskType")
  if (unknown !== undefined) return extraneous(unknown)
  if (body["taskType"] !== "SINGLE_EMBEDDING") return notAllowed("#/taskType", body["taskType"])
  if (body["schemaVersion"] !== undefined && body["schemaVersion"] !== "nova-multimodal-embed-v1") {
    return notAllowed("#/schemaVersion", body["schemaVersion"])
  }
  const params = body["singleEmbeddingParams"]
  if (!isObject(params)) return missing("singleEmbeddingParams")
  const unknownParam = unknownKey(params, paramKeys)
  if (unknownParam !== undefined) return extraneous(unknownParam, "#/singleEmbeddingParams")
  const { embeddingDimension = 3072, embeddingPurpose } = params
  if (embeddingPurpose === undefined) return missing("embeddingPurpose")
  if (!purposes.has(embeddingPurpose)) return notAllowed(at("embeddingPurpose"), embeddingPurpose)
  if (![256, 384, 1024, 3072].some((dimension) => dimension === embeddingDimension)) {
    return notAllowed(at("embeddingDimension"), embeddingDimension)
  }
  const given = kinds.filter((kind) => params[kind] !== undefined)
  const [kind] = given
  if (kind === undefined || given.length !== 1) {
    return malformed("#/singleEmbeddingParams: exactly one of text, image, audio, video is required")
  }
  return kind === "text" ? textProblem(params["text"], folder) : mediaProblem(kind, params[kind], folder)
}

const typesOf = (kind: typeof kinds[number], mode: unknown): ReadonlyArray<string> =>
  kind !== "video"
    ? [kind.toUpperCase()]
    : mode === "AUDIO_VIDEO_SEPARATE"
    ? ["VIDEO", "AUDIO"]
    : ["AUDIO_VIDEO_COMBINED"]

/** @internal */
export const novaEmbeddings: Family = (asked) => {
  const problem = problemOf(asked)
  const params = asked.body["singleEmbeddingParams"]
  if (problem !== null || !isObject(params)) return problem ?? missing("singleEmbeddingParams")
  const kind = kinds.find((one) => params[one] !== undefined) ?? "text"
  const content = isObject(params[kind]) ? params[kind] : {}
  const dimension = Number(params["embeddingDimension"] ?? 3072)
  const { truncationMode, value } = content
  const isCut = kind === "text" && typeof value === "string" && value.length > mostCharacters
  const kept = typeof value !== "string"
    ? ""
    : truncationMode === "START"
    ? value.slice(-mostCharacters)
    : value.slice(0, mostCharacters)
  const seen = isCut ? kept : content
  return {
    embeddings: typesOf(kind, content["embeddingMode"]).map((embeddingType, index) => ({
      embeddingType,
      embedding: embed(`${index}/${JSON.stringify(seen)}`, dimension, true),
      ...(isCut ? { truncatedCharLength: mostCharacters } : {})
    }))
  }
}
