/**
 * Where the files of a run live: S3 or a folder, with the same semantics. Every object is written once and whole.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import type { BatchError } from "../BatchError.ts"

/**
 * What is known of a stored object.
 *
 * @since 0.1.0
 * @category models
 */
export interface ObjectInfo {
  /** Key relative to the base, or the `s3://` URI by which it was asked for. */
  readonly key: string
  /** Size in bytes. */
  readonly size: number
  /** Changes when the content does. S3's ETag without its quotes; in a folder the file's inode, size and time. */
  readonly etag: string
  /** When it was written, by the store's clock, in milliseconds since 1970. */
  readonly modifiedAt: number
}

/**
 * The objects under a prefix, and when the list began.
 *
 * @since 0.1.0
 * @category models
 */
export interface Listing {
  /** In the order of their keys' UTF-8 bytes. */
  readonly objects: ReadonlyArray<ObjectInfo>
  /** The store's clock when the list began, in milliseconds since 1970. */
  readonly at: number
}

/**
 * What a create-only write came to.
 *
 * @since 0.1.0
 * @category models
 */
export interface Created {
  /** False when the object was there before, written by somebody else: nothing was changed. */
  readonly created: boolean
}

/**
 * What a streamed create-only write came to.
 *
 * @since 0.1.0
 * @category models
 */
export interface Written extends Created {
  /** What now lies at the key, whoever wrote it. */
  readonly info: ObjectInfo
  /** SHA-256 of the bytes of this write, in hex; empty where none was asked for. */
  readonly sha256: string
}

/**
 * How a stream is written.
 *
 * @since 0.1.0
 * @category models
 */
export interface WriteOptions {
  /** Whether the bytes are digested; only where somebody compares it is that worth its time. Default: true. */
  readonly digest?: boolean | undefined
}

/**
 * A half-open range of bytes: `start` inclusive, `end` exclusive; without `end` to the end of the object.
 *
 * @since 0.1.0
 * @category models
 */
export interface ByteRange {
  readonly start: number
  readonly end?: number | undefined
}

/**
 * What a store knows of an object's content without reading it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Checksum {
  /** How it is computed, over the whole object. */
  readonly algorithm: "sha256" | "sha1" | "md5" | "crc64nvme" | "crc32"
  /** In lower-case hex. */
  readonly value: string
}

/**
 * The service: files under one base. Keys are relative to the base (`<runId>/run.json`); where a `location` is taken, a
 * full `s3://bucket/key` URI is understood too, as far as the implementation can reach it.
 *
 * All failures are `BatchError`s: `Refused` (access denied, no such bucket), `Unavailable` (not now), `Damaged`, or
 * `InvalidOption` for a key that would leave the base.
 *
 * @since 0.1.0
 * @category services
 */
export class ObjectStore extends Context.Service<ObjectStore, {
  /** The base as a URI without a trailing slash, for example `s3://my-bucket/batches`. */
  readonly base: string
  /** The URI of a key, which is what Bedrock is told. */
  readonly uri: (key: string) => string
  /** Where a person or another program finds the object: an `s3://` URI, or in a folder store an absolute path. */
  readonly location: (key: string) => string
  /** What is known of an object, or null if there is none. */
  readonly head: (location: string) => Effect.Effect<ObjectInfo | null, BatchError>
  /**
   * Every object whose key starts with `prefix`, by as many paged calls as it takes. A prefix that is an
   * `s3://bucket/...` URI is understood as a `location` is; the keys are then URIs too.
   */
  readonly list: (prefix: string) => Effect.Effect<Listing, BatchError>
  /**
   * Whether a list reads the names of a whole folder, also where the prefix leaves out most of them. Few objects whose
   * names are known are then better looked at one by one. Default: false, as on S3.
   */
  readonly listsFolders?: boolean | undefined
  /**
   * The names directly below `prefix` under which objects lie, without slashes, in the order in which their objects are
   * listed; by as many paged calls as there are names for, however many objects there are. The prefix is empty or ends
   * in `/`, and may be a URI as that of a list; another one is `InvalidOption`.
   */
  readonly folders: (prefix: string) => Effect.Effect<ReadonlyArray<string>, BatchError>
  /** A whole small object, or null if there is none. */
  readonly get: (location: string) => Effect.Effect<Uint8Array | null, BatchError>
  /**
   * The bytes of an object, or of a range of it, as a stream that survives cut connections: it goes on where it was,
   * and fails with `Damaged` if the object was replaced meanwhile. Fails with `Refused` (code `NoSuchKey`) if there is
   * none. Each piece is given away: the store keeps no view of its buffer, which may be handed to another thread.
   */
  readonly read: (location: string, range?: ByteRange) => Stream.Stream<Uint8Array, BatchError>
  /** Stores a small object (at most 8 MB) if its key is free. */
  readonly create: (key: string, bytes: Uint8Array) => Effect.Effect<Created, BatchError>
  /**
   * Stores a stream if its key is free: visible whole or not at all, in bounded memory. The stream may be run again
   * when the store asks for a repetition, so it must give the same bytes each time.
   */
  readonly write: <E, R>(
    key: string,
    bytes: Stream.Stream<Uint8Array, E, R>,
    options?: WriteOptions
  ) => Effect.Effect<Written, BatchError | E, R>
  /**
   * Copies an object to a key if that is free, without its bytes coming here where the store can do that itself: an
   * object of any bucket that the credentials can read, of at most 5 GB on S3. Fails with `Refused` (code `NoSuchKey`) if
   * there is none.
   */
  readonly copy: (from: string, key: string) => Effect.Effect<Created, BatchError>
  /** Removes an object; one that is not there is no error. */
  readonly remove: (key: string) => Effect.Effect<void, BatchError>
  /**
   * Removes objects by bulk calls, in no order; keys as `list` gives them, those that are not there are no error. Where
   * some cannot be removed it fails with the first of them, and others may be gone. A folder store removes the empty
   * folders at and below where they lay, too.
   */
  readonly removeAll: (keys: ReadonlyArray<string>) => Effect.Effect<void, BatchError>
  /**
   * The checksum of a whole object that the store keeps, by one call that does not read it; null where it keeps none
   * that can be computed from the bytes, and where there is no object. A folder store keeps none.
   */
  readonly checksum: (location: string) => Effect.Effect<Checksum | null, BatchError>
}>()("@bedrock-batch/sdk/ObjectStore") {}
