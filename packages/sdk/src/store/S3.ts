/**
 * The object store on S3.
 *
 * @since 0.1.0
 */
import type { S3Client, S3ClientConfig } from "@aws-sdk/client-s3"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { BatchError } from "../BatchError.ts"
import { ObjectStore } from "./ObjectStore.ts"

/**
 * Options of `make`.
 *
 * @since 0.1.0
 * @category models
 */
export interface MakeOptions {
  /** The bucket. Its name must be one that Bedrock takes: `Key.isBucket`. */
  readonly bucket: string
  /** Folder in the bucket below which everything lies, without slashes at its ends; default none. */
  readonly prefix?: string | undefined
  /** The client, which stays the caller's. */
  readonly client: S3Client
}

/**
 * Options of `layer`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** The bucket. Its name must be one that Bedrock takes: `Key.isBucket`. */
  readonly bucket: string
  /** Folder in the bucket below which everything lies, without slashes at its ends; default none. */
  readonly prefix?: string | undefined
  /** Default: where the AWS SDK finds it (`AWS_REGION`, the profile). */
  readonly region?: string | undefined
  /** URL of another S3 than AWS's. */
  readonly endpoint?: string | undefined
  /** Default: where the AWS SDK finds them. */
  readonly credentials?: NonNullable<S3ClientConfig["credentials"]> | undefined
  /** Whether the bucket goes into the path of URLs and not into the host name; default: if `endpoint` is given. */
  readonly forcePathStyle?: boolean | undefined
  /** A client of the caller's, who closes it; the four options above are then not used. */
  readonly client?: S3Client | undefined
}

/** The SDK takes a tenth of a second and some 30 MB to load: it is, where it is used. */
const load = Effect.promise(() => import("../internal/S3Store.ts"))

/**
 * Makes the store from a client. Fails with `InvalidOption` if Bedrock would not take the URIs of bucket and prefix.
 *
 * **When to use**
 *
 * Use when the client is already there; else `layer` makes one and closes it.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: MakeOptions): Effect.Effect<ObjectStore["Service"], BatchError> =>
  Effect.flatMap(load, (loaded) => loaded.make(options))

/**
 * Layer that keeps the files of runs in an S3 bucket. The client it makes retries as the SDK's `standard` mode does,
 * gives up on a connection after 5 s and on a silent socket after 60 s, and is closed with the layer.
 *
 * Fails with `InvalidOption` if Bedrock would not take the URIs of bucket and prefix, or the endpoint is no URL.
 *
 * @since 0.1.0
 * @category layers
 * @example
 * ```ts
 * import * as S3 from "@bedrock-batch/sdk/store/S3"
 *
 * const store = S3.layer({ bucket: "my-bucket", prefix: "batches", region: "eu-central-1" })
 * ```
 */
export const layer = (options: Options): Layer.Layer<ObjectStore, BatchError> =>
  Layer.effect(ObjectStore, Effect.flatMap(load, ({ open }) => open(options)))
