/**
 * Images, documents, sounds and films inside requests: whether they are what they say, and which models take them.
 *
 * @internal
 */
import { isObject, member } from "../Json.ts"
import * as Model from "../Model.ts"

/** @internal */
export type Kind = "image" | "document" | "video" | "audio"

/**
 * The formats of each kind, by the API model of Converse.
 *
 * @internal
 */
export const formats: { readonly [K in Kind]: ReadonlyArray<string> } = {
  image: ["png", "jpeg", "gif", "webp"],
  document: ["pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md"],
  video: ["mkv", "mov", "mp4", "webm", "flv", "mpeg", "mpg", "wmv", "three_gp"],
  audio: [
    ...["mp3", "opus", "wav", "aac", "flac", "mp4", "ogg", "mkv"],
    ...["mka", "x-aac", "m4a", "mpeg", "mpga", "pcm", "webm"]
  ]
}

/** @internal */
export const kinds: ReadonlyArray<Kind> = ["image", "document", "video", "audio"]

/** @internal */
export const isBase64 = (value: unknown): value is string =>
  typeof value === "string" && value.length > 0 && value.length % 4 === 0 && /^[A-Za-z0-9+/]+={0,2}$/.test(value)

/**
 * The number of bytes that a base64 text stands for.
 *
 * @internal
 */
export const bytesOf = (base64: string): number =>
  base64.length / 4 * 3 - (base64.endsWith("==") ? 2 : base64.endsWith("=") ? 1 : 0)

/** The format of a file that begins with these bytes, null where it is none that is known. */
const formatOf = (base64: string): string | null => {
  const bytes = Buffer.from(base64.slice(0, 32), "base64").toString("latin1")
  if (bytes.startsWith("\x89PNG\r\n\x1a\n")) return "png"
  if (bytes.startsWith("\xff\xd8\xff")) return "jpeg"
  if (/^GIF8[79]a/.test(bytes)) return "gif"
  if (/^RIFF[^]{4}WEBP/.test(bytes)) return "webp"
  return bytes.startsWith("%PDF-") ? "pdf" : null
}

/**
 * What is wrong with the bytes of an image or document in a format: no base64; nothing that can be read; or another
 * format. Sounds and films are not looked into.
 *
 * @internal
 */
export const problemOf = (
  base64: unknown,
  format: string
): "base64" | "unreadable" | { readonly is: string } | null => {
  if (!isBase64(base64)) return "base64"
  if (format !== "pdf" && !formats.image.includes(format)) return null
  const actual = formatOf(base64)
  return actual === format ? null : actual === null ? "unreadable" : { is: actual }
}

const withoutSight: ReadonlyArray<RegExp> = [
  /^amazon\.nova-micro/,
  /^openai\.gpt-oss/,
  /^meta\.llama3-(?:1|2-[13]b|3)-/,
  /^mistral\.(?:mistral-small-2402|mistral-large-2407|voxtral|devstral)/,
  /^(?:deepseek|minimax)\./,
  /^qwen\.qwen3-(?!vl)/,
  /^nvidia\.nemotron-nano-(?:9b|3-)/,
  /^moonshot\.kimi-k2-thinking/,
  /^zai\.glm-4/
]

/**
 * Whether a model takes media of a kind, by the tables of the documentation; a model that is not known takes all.
 *
 * @internal
 */
export const takes = (modelId: string, kind: Kind): boolean => {
  const id = Model.base(modelId)
  if (Model.family(modelId) === "unknown") return true
  switch (kind) {
    case "image":
      return !withoutSight.some((pattern) => pattern.test(id))
    case "document":
      return !id.startsWith("amazon.nova-micro")
    case "video":
      return /^amazon\.nova-(?!micro)|^qwen\.qwen3-vl|^moonshotai\./.test(id)
    case "audio":
      return /^mistral\.voxtral|^amazon\.nova-2/.test(id)
  }
}

const objectUri = /^s3:\/\/[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]\/[^]{1,1024}$/

/**
 * What is wrong with the place of media in S3: it must be an object of the folder that is the job's input. On demand
 * there is no such folder, `undefined`, and any object will do.
 *
 * @internal
 */
export const placeProblem = (s3Location: unknown, folder: string | undefined): string | null => {
  const uri = member(s3Location, "uri")
  if (!isObject(s3Location) || typeof uri !== "string" || !objectUri.test(uri)) {
    return "The s3Location has no uri of the form s3://bucket/key."
  }
  const owner = s3Location["bucketOwner"]
  if (owner !== undefined && owner !== null && !/^\d{12}$/.test(String(owner))) {
    return "The bucketOwner of an s3Location must be an account id of 12 digits."
  }
  if (folder === undefined) return null
  if (folder.endsWith(".jsonl")) {
    return "The input of a job whose records refer to objects in S3 must be their folder, not a single JSONL file."
  }
  return uri.startsWith(folder.endsWith("/") ? folder : `${folder}/`)
    ? null
    : "An object that a record refers to must be in the folder that is the input of the job."
}
