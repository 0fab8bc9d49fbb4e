/**
 * A file that a source reads, wherever it lies.
 *
 * @internal
 */
import type * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import type { BatchError } from "../../BatchError.ts"

/**
 * A file that exists.
 *
 * @internal
 */
export interface SourceFile {
  /** For messages and the manifest; it never holds a secret. */
  readonly uri: string
  /** Size in bytes. */
  readonly size: number
  /**
   * Equal for equal content: URI, ETag and size of an object; digest and size of a local file, wherever it lies; the
   * pinned commit and path of a file on a hub.
   */
  readonly identity: string
  /** What the manifest records of the file. */
  readonly description: { readonly [key: string]: Schema.Json }
  /** The content, in pieces of about 256 KB; fails with `InvalidSource` if the file changes while it is read. */
  readonly bytes: Stream.Stream<Uint8Array, BatchError>
  /** The content from a byte on, as `bytes` gives it. */
  readonly from: (start: number) => Stream.Stream<Uint8Array, BatchError>
  /** The bytes from `start` (inclusive) to `end` (exclusive): exactly so many, or a failure. */
  readonly range: (start: number, end: number) => Effect.Effect<Uint8Array<ArrayBuffer>, BatchError>
  /** Fails with `InvalidSource` if the file is no longer what it was when it was opened: for readers of ranges, at their end. */
  readonly unchanged: Effect.Effect<void, BatchError>
}
