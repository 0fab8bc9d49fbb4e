/**
 * What the main thread and a worker that joins jobs say to each other. The main thread alone talks to the store: it
 * sends what it reads and writes what it gets, so a worker needs no credentials.
 *
 * @internal
 */
import * as Schema from "effect/Schema"
import { BatchError } from "../BatchError.ts"
import type { RunManifest } from "../RunManifest.ts"
import type { ByteRange, Listing } from "../store/ObjectStore.ts"
import type { Oddities } from "./Answers.ts"
import type { CollectSettings } from "./CollectSettings.ts"
import type { Tally } from "./Merge.ts"
import type { OutputSlice } from "./OutputSlice.ts"
import type { Settled } from "./Settled.ts"
import type { Spills } from "./Spills.ts"

/** What goes wrong, as JSON. @internal */
export interface EncodedError {
  /** A `BatchError`, or null for a defect. */
  readonly error: Schema.Json | null
  readonly defect: string | null
}

/** To a worker. @internal */
export type Request =
  /** Another job; the one before is over. */
  | {
    readonly type: "job"
    readonly manifest: RunManifest
    /** Id of a built-in processor. */
    readonly processor: string
    readonly job: Settled
    readonly later: ReadonlyArray<Settled>
    readonly settings: CollectSettings
    /** Folder for temporary files, which the main thread removes when the worker is gone. */
    readonly temporary: string
  }
  /** Read a slice of a job's output. */
  | {
    readonly type: "slice"
    readonly manifest: RunManifest
    /** Id of a built-in processor. */
    readonly processor: string
    readonly spills: Spills
    readonly slice: OutputSlice
    readonly number: number
  }
  /** Make a part. `run` counts the parts that are asked for, so that late pieces of an abandoned one are known. */
  | { readonly type: "part"; readonly run: number; readonly index: number }
  /** Pieces of the part were taken. */
  | { readonly type: "taken"; readonly run: number }
  /** No more of the part is wanted. */
  | { readonly type: "abandon"; readonly run: number }
  | { readonly type: "listed"; readonly call: number; readonly listing: Listing }
  | { readonly type: "read"; readonly call: number; readonly piece: Uint8Array }
  | { readonly type: "readEnd"; readonly call: number }
  | { readonly type: "failed"; readonly call: number; readonly failure: EncodedError }

/** From a worker. @internal */
export type Reply =
  | { readonly type: "ready" }
  | { readonly type: "piece"; readonly run: number; readonly piece: Uint8Array }
  | { readonly type: "partEnd"; readonly run: number; readonly more: boolean; readonly tally: Tally }
  | { readonly type: "partFailed"; readonly run: number; readonly failure: EncodedError }
  | { readonly type: "sliceEnd"; readonly oddities: Oddities }
  | { readonly type: "sliceFailed"; readonly failure: EncodedError }
  | { readonly type: "list"; readonly call: number; readonly prefix: string }
  | { readonly type: "readStart"; readonly call: number; readonly location: string; readonly range: ByteRange | undefined }
  /** A piece of what is read was used up. */
  | { readonly type: "used"; readonly call: number }
  | { readonly type: "readStop"; readonly call: number }

/** Pieces that may be under way, in either direction: a few megabytes. @internal */
export const piecesAhead = 4

const codec = Schema.toCodecJson(BatchError)
const isBatchError = Schema.is(BatchError)
const encode = Schema.encodeSync(codec)
const decode = Schema.decodeUnknownSync(codec)

/** @internal */
export const encodeError = (error: unknown): EncodedError =>
  isBatchError(error)
    ? { error: encode(error), defect: null }
    : { error: null, defect: error instanceof Error ? `${error.name}: ${error.message}` : String(error) }

/** The error, or null for a defect. @internal */
export const decodeError = ({ error }: EncodedError): BatchError | null => error === null ? null : decode(error)

/**
 * The bytes in a buffer of their own, which can be given to another thread.
 *
 * @internal
 */
export const own = (piece: Uint8Array): Uint8Array<ArrayBuffer> => {
  const { buffer, byteLength, byteOffset } = piece
  return buffer instanceof ArrayBuffer && byteOffset === 0 && byteLength === buffer.byteLength
    ? new Uint8Array(buffer)
    : new Uint8Array(piece)
}
