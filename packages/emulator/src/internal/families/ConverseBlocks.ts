/**
 * Content blocks of Converse requests.
 *
 * @internal
 */
import { isObject } from "../../Json.ts"
import * as Model from "../../Model.ts"
import { bytesOf, formats, type Kind, kinds, placeProblem, problemOf, takes } from "../Media.ts"
import { type Asked, isGiven } from "./Family.ts"

/** @internal */
export const failed = (path: string, constraint: string): string =>
  `1 validation error detected: Value at '${path}' failed to satisfy constraint: ${constraint}`

/**
 * The members of the union of content blocks.
 *
 * @internal
 */
export const blockMembers: ReadonlyArray<string> = [
  "text",
  "image",
  "document",
  "video",
  "audio",
  "toolUse",
  "toolResult",
  "guardContent",
  "cachePoint",
  "reasoningContent",
  "citationsContent",
  "searchResult"
]

const sources: { readonly [K in Kind]: ReadonlyArray<string> } = {
  image: ["bytes", "s3Location"],
  document: ["bytes", "s3Location", "text", "content"],
  video: ["bytes", "s3Location"],
  audio: ["bytes", "s3Location"]
}

const largest: { readonly [K in Kind]: number } = {
  image: 3_750_000,
  document: 4_500_000,
  video: Number.POSITIVE_INFINITY,
  audio: Number.POSITIVE_INFINITY
}

const unionProblem = (path: string) => failed(path, "Member must have exactly one of its members set")

const bytesProblem = (kind: Kind, bytes: unknown, format: string, path: string): string | null => {
  const problem = problemOf(bytes, format)
  if (problem === "base64") return failed(`${path}.source.bytes`, "Member must be a base64 text")
  if (typeof bytes === "string" && bytesOf(bytes) > largest[kind]) {
    return `The ${kind} at ${path} is larger than ${largest[kind]} bytes.`
  }
  if (problem === null) return null
  return `The ${kind} at ${path} ${problem === "unreadable" ? "could not be processed" : `is not ${format}`}.`
}

/** Of a document that a model sees: letters, digits, single spaces, hyphens, parentheses and brackets. */
const documentName = /^(?!.*\s\s)[a-zA-Z0-9\s()[\]-]{1,200}$/

const mediaProblem = (kind: Kind, media: unknown, path: string, { folder, modelId }: Asked): string | null => {
  if (!takes(modelId, kind)) {
    return `This model doesn't support the ${kind} content block that you provided. Try again with a model that does.`
  }
  if (!isObject(media)) return failed(path, "Member must be a structure")
  const { format, name, source } = media
  if (typeof format !== "string" || !formats[kind].includes(format)) {
    return failed(`${path}.format`, `Member must satisfy enum value set: [${formats[kind].join(", ")}]`)
  }
  if (kind === "document") {
    if (!isGiven(name)) return failed(`${path}.name`, "Member must not be null")
    if (typeof name !== "string" || !documentName.test(name)) {
      return "The document file name can only contain alphanumeric characters, whitespace characters, hyphens, " +
        "parentheses, and square brackets. The name can't contain more than one consecutive whitespace character."
    }
  }
  if (!isObject(source)) return failed(`${path}.source`, "Member must not be null")
  const set = sources[kind].filter((member) => isGiven(source[member]))
  if (set.length !== 1) return unionProblem(`${path}.source`)
  if (set[0] === "s3Location") {
    return Model.family(modelId) === "nova" || Model.family(modelId) === "unknown"
      ? placeProblem(source["s3Location"], folder)
      : "This model doesn't support the s3Location field. Try again with the bytes field."
  }
  return set[0] === "bytes" ? bytesProblem(kind, source["bytes"], format, path) : null
}

/**
 * What is wrong with a content block of a message, or null.
 *
 * @internal
 */
export const blockProblem = (block: unknown, path: string, role: string, asked: Asked): string | null => {
  if (!isObject(block)) return failed(path, "Member must be a content block")
  if (blockMembers.filter((name) => isGiven(block[name])).length !== 1 || block["type"] !== undefined) {
    return unionProblem(path)
  }
  const { text } = block
  if (isGiven(text)) {
    if (typeof text !== "string") return failed(`${path}.text`, "Member must be a string")
    return text.trim() === ""
      ? "The text field in the ContentBlock object at messages is blank. Add text to the text field, and try again."
      : null
  }
  for (const kind of kinds) {
    if (!isGiven(block[kind])) continue
    if (role !== "user") return `The ${kind} content block is for messages of the user alone.`
    return mediaProblem(kind, block[kind], `${path}.${kind}`, asked)
  }
  return null
}
