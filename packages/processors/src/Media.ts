/**
 * Images, documents, sounds and videos of a column: what a cell holds, which format it has, and the media of a request.
 * Nothing is read here but the cell itself.
 *
 * @since 0.2.0
 */
import * as Result from "effect/Result"
import type { Attachment, Media, MediaKind } from "./Prompt.ts"

/**
 * What a cell holds: nothing (null); bytes, with the format that a `data:` URL names and the name of the file that they
 * are of, where it is known; the URI of an object; or a path below the attachment's directory.
 *
 * @since 0.2.0
 * @category models
 */
export type Content =
  | null
  | {
    readonly type: "bytes"
    readonly bytes: Uint8Array
    /** The MIME type of a `data:` URL. */
    readonly mimeType: string | null
    readonly name: string | null
  }
  | { readonly type: "s3"; readonly uri: string }
  | { readonly type: "path"; readonly path: string }

/**
 * The formats that Bedrock knows of each kind, in its words: the enumerations `ImageFormat`, `DocumentFormat`,
 * `AudioFormat` and `VideoFormat` of the Bedrock runtime API (AWS SDK 3.1164, autumn 2026). A model takes some of them.
 *
 * @since 0.2.0
 * @category constants
 */
export const formats: { readonly [K in MediaKind]: ReadonlyArray<string> } = {
  image: ["png", "jpeg", "gif", "webp"],
  document: ["pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md"],
  audio: [
    "mp3",
    "opus",
    "wav",
    "aac",
    "flac",
    "mp4",
    "ogg",
    "mkv",
    "mka",
    "x-aac",
    "m4a",
    "mpeg",
    "mpga",
    "pcm",
    "webm"
  ],
  video: ["mkv", "mov", "mp4", "webm", "flv", "mpeg", "mpg", "wmv", "three_gp"]
}

/**
 * The most bytes that Converse documents for one image and one document (API reference of `Message.content`, autumn
 * 2026: 3.75 MB and 4.5 MB). Some models take more, so that they are no limits here; null: nothing is documented.
 *
 * @since 0.2.0
 * @category constants
 */
export const documentedBytes: { readonly [K in MediaKind]: number | null } = {
  image: 3_750_000,
  document: 4_500_000,
  audio: null,
  video: null
}

/** Other words for formats: those of file names and of MIME types. */
const words: ReadonlyMap<string, string> = new Map([
  ["jpg", "jpeg"],
  ["jpe", "jpeg"],
  ["pjpeg", "jpeg"],
  ["htm", "html"],
  ["xhtml", "html"],
  ["markdown", "md"],
  ["x-markdown", "md"],
  ["text", "txt"],
  ["plain", "txt"],
  ["msword", "doc"],
  ["vnd.openxmlformats-officedocument.wordprocessingml.document", "docx"],
  ["vnd.ms-excel", "xls"],
  ["vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx"],
  ["x-wav", "wav"],
  ["wave", "wav"],
  ["vnd.wave", "wav"],
  ["x-flac", "flac"],
  ["x-m4a", "m4a"],
  ["quicktime", "mov"],
  ["x-matroska", "mkv"],
  ["x-flv", "flv"],
  ["x-ms-wmv", "wmv"],
  ["3gp", "three_gp"],
  ["3gpp", "three_gp"]
])

const wordOf = (text: string): string => {
  const lower = text.toLowerCase()
  return words.get(lower) ?? lower
}

/** The format of a word, if the kind has it; a sound in a container of videos keeps the container's name. */
const ofKind = (kind: MediaKind, word: string): string | null => {
  const format = wordOf(word)
  return formats[kind].includes(format) ? format : null
}

const ascii = (bytes: Uint8Array, from: number, to: number): string => {
  let text = ""
  for (let i = from; i < Math.min(to, bytes.length); i++) text += String.fromCharCode(bytes[i]!)
  return text
}

const startsWith = (bytes: Uint8Array, ...start: ReadonlyArray<number>): boolean =>
  bytes.length >= start.length && start.every((byte, i) => bytes[i] === byte)

/**
 * Tells the format from the first bytes; null where they do not say, as those of texts, and of the Office formats,
 * which are archives like others.
 *
 * @since 0.2.0
 * @category getters
 * @example
 * ```ts
 * import { Media } from "@bedrock-batch/processors"
 *
 * Media.sniff(new TextEncoder().encode("GIF89a...")) // "gif"
 * ```
 */
export const sniff = (bytes: Uint8Array): string | null => {
  if (startsWith(bytes, 0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a)) return "png"
  if (startsWith(bytes, 0xff, 0xd8, 0xff)) return "jpeg"
  if (startsWith(bytes, 0x1a, 0x45, 0xdf, 0xa3)) {
    const head = ascii(bytes, 4, 64)
    return head.includes("webm") ? "webm" : head.includes("matroska") ? "mkv" : null
  }
  const head = ascii(bytes, 0, 12)
  if (head.startsWith("GIF87a") || head.startsWith("GIF89a")) return "gif"
  if (head.startsWith("%PDF-")) return "pdf"
  if (head.startsWith("RIFF")) return head.endsWith("WEBP") ? "webp" : head.endsWith("WAVE") ? "wav" : null
  if (head.startsWith("fLaC")) return "flac"
  if (head.startsWith("OggS")) return "ogg"
  if (head.startsWith("ID3")) return "mp3"
  if (head.slice(4, 8) === "ftyp") {
    const brand = head.slice(8, 12)
    return brand === "qt  " ? "mov" : brand.startsWith("M4A") ? "m4a" : brand.startsWith("3gp") ? "three_gp" : "mp4"
  }
  // A frame of MPEG audio, layer III.
  const isMp3 = bytes.length > 2 && bytes[0] === 0xff && (bytes[1]! & 0xe6) === 0xe2 && (bytes[2]! & 0xf0) !== 0xf0
  return isMp3 ? "mp3" : null
}

const extensionOf = (name: string): string | null => /\.([A-Za-z0-9_]{1,12})$/.exec(name)?.[1] ?? null

const article = (kind: MediaKind): string => kind === "image" || kind === "audio" ? `an ${kind}` : `a ${kind}`

/**
 * Finds the format of media, in Bedrock's words: the attachment's `format`, else what the first bytes say, else the
 * MIME type of a `data:` URL, else the extension of the name. A failure says what is wrong and what to do.
 *
 * @since 0.2.0
 * @category getters
 */
export const formatOf = (
  attachment: Attachment,
  given: {
    readonly bytes?: Uint8Array | undefined
    readonly mimeType?: string | null | undefined
    readonly name?: string | null | undefined
  }
): Result.Result<string, string> => {
  const { format, kind } = attachment
  const known = formats[kind].join(", ")
  const or = (found: string | null, problem: string) => found === null ? Result.fail(problem) : Result.succeed(found)
  if (format !== null) {
    const what = `${article(kind)} cannot have the format ${JSON.stringify(format)}`
    return or(ofKind(kind, format), `${what}: give one of ${known}`)
  }
  const found = given.bytes === undefined ? null : sniff(given.bytes)
  if (found !== null) {
    const what = `the bytes are those of the format ${found}, which ${article(kind)} cannot have`
    return or(ofKind(kind, found), `${what}; its formats are ${known}`)
  }
  const mime = given.mimeType?.split("/")[1]
  const extension = given.name == null ? null : extensionOf(given.name)
  return or(
    (mime === undefined ? null : ofKind(kind, mime)) ?? (extension === null ? null : ofKind(kind, extension)),
    `the format can be told neither from the first bytes nor from a name: give \`format\`, one of ${known}`
  )
}

const bufferOf = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/** The bytes of a base64 text, which may be of the alphabet for URLs and broken into lines; null for any other text. */
const fromBase64 = (text: string): Buffer | null => {
  const bytes = Buffer.from(text, "base64")
  const written = bytes.toString("base64")
  if (written === text) return bytes
  const plain = text.replace(/[\r\n]+/g, "").replaceAll("-", "+").replaceAll("_", "/").replace(/={1,2}$/, "")
  return plain === written.replace(/=+$/, "") ? bytes : null
}

const dataUrl = /^data:([^,;]*)((?:;[^,;]*)*),/i

const fromDataUrl = (text: string): Result.Result<Content, string> => {
  const match = dataUrl.exec(text)
  if (match === null) return Result.fail("the data: URL has no comma, and so no content")
  const [start, mime = "", parameters = ""] = match
  const content = text.slice(start.length)
  if (content === "") return Result.succeed(null)
  const mimeType = mime === "" ? null : mime.toLowerCase()
  if (/;\s*base64\s*$/i.test(parameters)) {
    const bytes = fromBase64(content)
    return bytes === null
      ? Result.fail("the content of the data: URL is not base64")
      : Result.succeed({ type: "bytes", bytes, mimeType, name: null })
  }
  try {
    return Result.succeed({ type: "bytes", bytes: Buffer.from(decodeURIComponent(content)), mimeType, name: null })
  } catch {
    return Result.fail("the content of the data: URL has a percent sign that starts no escape")
  }
}

const loneSurrogate = /\p{Surrogate}/u
const bucketName = /^[a-z0-9][-.a-z0-9]{1,61}[a-z0-9]$/

/**
 * Says what is wrong with the `s3://` URI of an object, or null: a bucket of 3 to 63 lower-case letters, digits, `-`
 * and `.`, and a key of 1 to 1,024 bytes of UTF-8 that does not end in `/`.
 *
 * @since 0.2.0
 * @category getters
 */
export const uriProblem = (uri: string): string | null => {
  const [, bucket, key] = /^s3:\/\/([^/]*)\/(.+)$/s.exec(uri) ?? []
  if (bucket === undefined || key === undefined) return "the URI names no object: write s3://bucket/key"
  if (!bucketName.test(bucket)) {
    return "the URI's bucket cannot be one: it has 3 to 63 lower-case letters, digits, \"-\" and \".\""
  }
  if (key.endsWith("/")) return "the URI names a folder, and must name an object"
  if (loneSurrogate.test(key) || key.includes("\0")) return "the URI's key is not well-formed text"
  return Buffer.byteLength(key) > 1024 ? "the URI's key is longer than 1024 bytes" : null
}

/**
 * Says what is wrong with a path below an attachment's directory, or null: it must be relative and must not leave it.
 *
 * @since 0.2.0
 * @category getters
 */
export const pathProblem = (path: string): string | null => {
  if (path.includes("\0")) return "the path holds a NUL character"
  if (/^(?:[/\\]|[A-Za-z]:)/.test(path)) return "the path is absolute, and must be relative to `directory`"
  return path.split(/[/\\]/).includes("..") ? "the path leaves `directory` by \"..\"" : null
}

const nothingKnown = "the text is neither base64, nor a data: URL, nor an s3:// URI; if it is a path, give `directory`"

/** A file as data sets have it: its bytes and its name. */
const fileOf = (value: object): { readonly bytes: unknown; readonly path: unknown } | null =>
  "bytes" in value ? { bytes: value.bytes, path: "path" in value ? value.path : null } : null

/**
 * Tells what a cell holds. Null, undefined, an empty text and no bytes are nothing. With `directory` every text is a
 * path; else it is base64 (of either alphabet, line breaks allowed), a `data:` URL or an `s3://` URI. An object
 * `{ bytes, path }`, as image columns of Hugging Face datasets hold it, is its bytes. A failure says what is wrong, and
 * quotes nothing of the cell.
 *
 * @since 0.2.0
 * @category getters
 * @example
 * ```ts
 * import { Media, Prompt } from "@bedrock-batch/processors"
 *
 * Media.contentOf("s3://my-bucket/cat.png", Prompt.image("photo")) // succeed({ type: "s3", uri: ... })
 * Media.contentOf("../cat.png", Prompt.image("photo", { directory: "photos" })) // fail("the path leaves ...")
 * ```
 */
export const contentOf = (value: unknown, attachment: Attachment): Result.Result<Content, string> => {
  if (value === null || value === undefined || value === "") return Result.succeed(null)
  if (value instanceof Uint8Array) {
    return Result.succeed(value.length === 0 ? null : { type: "bytes", bytes: value, mimeType: null, name: null })
  }
  if (typeof value === "string") {
    if (attachment.directory !== null) {
      const wrong = pathProblem(value)
      return wrong === null ? Result.succeed({ type: "path", path: value }) : Result.fail(wrong)
    }
    if (value.startsWith("s3://")) {
      const wrong = uriProblem(value)
      return wrong === null ? Result.succeed({ type: "s3", uri: value }) : Result.fail(wrong)
    }
    if (/^data:/i.test(value)) return fromDataUrl(value)
    const bytes = fromBase64(value)
    return bytes === null
      ? Result.fail(nothingKnown)
      : Result.succeed(bytes.length === 0 ? null : { type: "bytes", bytes, mimeType: null, name: null })
  }
  const file = typeof value === "object" ? fileOf(value) : null
  if (file === null) {
    return Result.fail(`the value is ${Array.isArray(value) ? "a list" : `of type ${typeof value}`}, and no media`)
  }
  if (file.bytes === null || file.bytes === undefined) return Result.succeed(null)
  const bytes = file.bytes instanceof Uint8Array
    ? file.bytes
    : typeof file.bytes === "string"
    ? fromBase64(file.bytes)
    : null
  if (bytes === null) return Result.fail("the member bytes of the value is neither bytes nor base64")
  const name = typeof file.path === "string" ? file.path : null
  return Result.succeed(bytes.length === 0 ? null : { type: "bytes", bytes, mimeType: null, name })
}

/**
 * Makes the media of a request from bytes; their format is found as `formatOf` says.
 *
 * @since 0.2.0
 * @category constructors
 */
export const fromBytes = (
  bytes: Uint8Array,
  attachment: Attachment,
  of: { readonly mimeType?: string | null | undefined; readonly name?: string | null | undefined } = {}
): Result.Result<Media, string> =>
  Result.map(formatOf(attachment, { bytes, mimeType: of.mimeType, name: of.name }), (format) => ({
    kind: attachment.kind,
    format,
    name: nameOf(attachment),
    source: { type: "bytes", base64: bufferOf(bytes).toString("base64") }
  }))

/**
 * Makes the media of a request that names an object in S3 by its URI; its format is the attachment's or that of the
 * key's extension. `from` is the object that the extension is taken of, where the request names a copy of it.
 *
 * @since 0.2.0
 * @category constructors
 */
export const fromUri = (uri: string, attachment: Attachment, from: string = uri): Result.Result<Media, string> =>
  Result.map(formatOf(attachment, { name: from }), (format) => ({
    kind: attachment.kind,
    format,
    name: nameOf(attachment),
    source: { type: "s3", uri }
  }))

const nameOf = ({ kind, name }: Attachment): string | null => kind === "document" ? name ?? "document" : null

/**
 * Makes the media of a request from a cell that holds all of it: bytes, base64, a `data:` URL, or an `s3://` URI of an
 * attachment that is sent by reference. Null for a cell that holds nothing. Fails for a path, and for a URI that is to
 * be sent inline: those have to be read first.
 *
 * @since 0.2.0
 * @category constructors
 * @example
 * ```ts
 * import { Media, Prompt } from "@bedrock-batch/processors"
 *
 * Media.fromCell(null, Prompt.image("photo")) // succeed(null)
 * Media.fromCell("R0lGODlh", Prompt.image("photo")) // succeed({ kind: "image", format: "gif", ... })
 * ```
 */
export const fromCell = (value: unknown, attachment: Attachment): Result.Result<Media | null, string> =>
  Result.flatMap(contentOf(value, attachment), (content): Result.Result<Media | null, string> => {
    if (content === null) return Result.succeed(null)
    if (content.type === "bytes") return fromBytes(content.bytes, attachment, content)
    if (content.type === "s3" && attachment.s3 === "reference") return fromUri(content.uri, attachment)
    return Result.fail(content.type === "path" ? "the file has to be read first" : "the object has to be read first")
  })
