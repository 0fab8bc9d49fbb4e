/**
 * Keys of objects: which ones a store takes, their order, and the URIs that name them.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import { BatchError, InvalidOption } from "../BatchError.ts"

/** What S3 allows for a whole key, its base included. */
const maximumBytes = 1024

// No character of a class is also its separator, so these match in linear time.
const uriSafe = /^[-!_*'().a-zA-Z0-9]+(?:\/[-!_*'().a-zA-Z0-9]+)*$/
const loneSurrogate = /\p{Surrogate}/u
const bucketName = /^[a-z0-9][-.a-z0-9]{1,61}[a-z0-9]$/

const segmentsProblem = (segments: ReadonlyArray<string>): string | null =>
  segments.includes("")
    ? "has an empty segment (a slash at its start or end, or two in a row)"
    : segments.includes(".") || segments.includes("..")
    ? "has a \".\" or \"..\" segment, which would leave its place"
    : null

const textProblem = (text: string): string | null =>
  text.includes("\0")
    ? "holds a NUL character"
    : text.includes("\\")
    ? "holds a backslash; segments are separated by \"/\""
    : loneSurrogate.test(text)
    ? "is not well-formed Unicode"
    : Buffer.byteLength(text) > maximumBytes
    ? `is longer than ${maximumBytes} bytes`
    : null

/**
 * Says what is wrong with a key, or null if it is one: not empty, no segment empty or `.` or `..`, no NUL, no
 * backslash, well-formed Unicode of at most 1,024 bytes. Such a key means the same on S3 and in a folder, and cannot
 * leave its base.
 *
 * @since 0.1.0
 * @category getters
 */
export const problem = (key: string): string | null =>
  key === "" ? "is empty" : textProblem(key) ?? segmentsProblem(key.split("/"))

/**
 * Says what is wrong with the prefix of a list, or null if it is one. It is the start of a key, so that its last
 * segment may be empty or a part of a name.
 *
 * @since 0.1.0
 * @category getters
 */
export const prefixProblem = (prefix: string): string | null =>
  textProblem(prefix) ?? segmentsProblem(prefix.split("/").slice(0, -1))

/**
 * Makes the error for a key, prefix or location that cannot be used.
 *
 * @since 0.1.0
 * @category constructors
 */
export const invalid = (
  text: string,
  what: string,
  at: { readonly module: string; readonly method: string }
): BatchError =>
  new BatchError({
    ...at,
    reason: new InvalidOption({ path: "key", message: `the key ${JSON.stringify(text)} ${what}; use another key` })
  })

/**
 * Checks a key and gives it back, or fails with `InvalidOption` (`problem` says what is checked). `at` names the caller
 * in the error.
 *
 * @since 0.1.0
 * @category combinators
 * @example
 * ```ts
 * import * as Key from "@bedrock-batch/sdk/store/Key"
 * import { Effect } from "effect"
 *
 * const fine = Effect.runSync(Key.check("jokes/run.json")) // "jokes/run.json"
 * const refused = Effect.runSync(Effect.flip(Key.check("../run.json"))).reason._tag // "InvalidOption"
 * ```
 */
export const check = (
  key: string,
  at: { readonly module: string; readonly method: string } = { module: "Key", method: "check" }
): Effect.Effect<string, BatchError> => {
  const wrong = problem(key)
  return wrong === null ? Effect.succeed(key) : Effect.fail(invalid(key, wrong, at))
}

/**
 * Checks the prefix of `ObjectStore.folders` and gives it back: it is empty or ends in `/`, else this fails with
 * `InvalidOption`.
 *
 * @since 0.1.0
 * @category combinators
 */
export const checkFolder = (
  prefix: string,
  at: { readonly module: string; readonly method: string }
): Effect.Effect<string, BatchError> =>
  prefix === "" || prefix.endsWith("/")
    ? Effect.succeed(prefix)
    : Effect.fail(invalid(prefix, "is no folder: it must end in \"/\", or be empty", at))

/**
 * Whether Bedrock takes the key in an S3 URI: letters, digits and `- ! _ * ' ( ) .` in segments that are not empty.
 * Spaces, `=`, `+`, `:`, `%` and all that is not ASCII are refused by its API.
 *
 * @since 0.1.0
 * @category guards
 */
export const isUriSafe = (key: string): boolean => uriSafe.test(key)

/**
 * Whether Bedrock takes the bucket in an S3 URI: 3 to 63 lower-case letters, digits, `-` and `.`, with a letter or
 * digit at both ends.
 *
 * @since 0.1.0
 * @category guards
 */
export const isBucket = (bucket: string): boolean => bucketName.test(bucket)

/**
 * Splits `s3://bucket/key`; null for anything else, and for a URI without a key. The key of a URI is taken as it
 * stands: objects that others wrote may have keys that `check` refuses.
 *
 * @since 0.1.0
 * @category converting
 */
export const fromUri = (uri: string): { readonly bucket: string; readonly key: string } | null => {
  if (!isUri(uri)) return null
  const slash = uri.indexOf("/", 5)
  return slash <= 5 || slash === uri.length - 1 ? null : { bucket: uri.slice(5, slash), key: uri.slice(slash + 1) }
}

/**
 * Whether a location is an `s3://` URI and not a key.
 *
 * @since 0.1.0
 * @category guards
 */
export const isUri = (location: string): boolean => location.startsWith("s3://")

/**
 * Compares two keys by their UTF-8 bytes, which is the order in which S3 lists; for `Array.sort`.
 *
 * @since 0.1.0
 * @category combinators
 */
export const compare = (a: string, b: string): number => {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i)
    const y = b.charCodeAt(i)
    if (x !== y) return rank(x) - rank(y)
  }
  return a.length - b.length
}

/**
 * Compares the names of two folders as the keys below them compare, which is not as the names do: `a-b/` comes before
 * `a/`; for `Array.sort`.
 *
 * @since 0.1.0
 * @category combinators
 */
export const compareFolders = (a: string, b: string): number => compare(`${a}/`, `${b}/`)

/** UTF-16 puts surrogates, which are the highest code points, before U+E000 to U+FFFF. */
const rank = (unit: number): number => (unit < 0xd800 ? unit : unit < 0xe000 ? unit + 0x2000 : unit - 0x800)
