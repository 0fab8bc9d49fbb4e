/**
 * Objects that requests name: each is copied into the input folder of its job, since Bedrock reads media from there
 * alone. The folder of a row is known only when the plan has placed it, so a request names a folder of the same length,
 * in which the job key is left open, until its job is written.
 *
 * @internal
 */
import type { ObjectStore } from "../store/ObjectStore.ts"
import { sha256 } from "./Digest.ts"
import * as Layout from "./Layout.ts"

type Store = Pick<ObjectStore["Service"], "uri">

/** An object that a record names. @internal */
export interface Reference {
  /** The record in its segment. */
  readonly record: number
  /** Row number in the run, from 0. */
  readonly row: number
  /** The column that names it; null where it is copied from another job. */
  readonly column: string | null
  /** Where it lies: a key of the store, or an `s3://` URI. */
  readonly from: string
  /** Its name in the job's folder. */
  readonly name: string
}

/** How names of copies begin; they say nothing of the objects. @internal */
export const prefix = "media-"
const digits = 32

/** A copy's name: the same object has the same one in every job. @internal */
export const nameOf = (uri: string, format: string): string => `${prefix}${sha256(uri).slice(0, digits)}.${format}`

const namePattern = `${prefix}[0-9a-f]{${digits}}\\.[A-Za-z0-9_-]{1,20}`
const wholeName = new RegExp(`^${namePattern}$`)

/** Whether an object of this key is a copy in the folder. @internal */
export const isCopyIn = (folder: string, key: string): boolean =>
  key.startsWith(folder) && wholeName.test(key.slice(folder.length))

/** The folder that requests name before their job is known, as a URI: as long as that of a job. @internal */
export const openFolder = (store: Store, runId: string, prepareId: string, attempt: number): string =>
  store.uri(Layout.inputs(runId, prepareId, `${attempt}-xxxxxx`))

/**
 * Puts the job's folder in place of the open one, in all requests of `bytes`.
 *
 * @internal
 */
export const placeIn = (bytes: Uint8Array, open: string, folder: string): void => {
  if (open.length !== folder.length) throw new Error(`${folder} is not as long as ${open}`)
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const [wanted, written] = [Buffer.from(open), Buffer.from(folder)]
  let at = buffer.indexOf(wanted)
  while (at >= 0) {
    buffer.set(written, at)
    at = buffer.indexOf(wanted, at + written.length)
  }
}

/**
 * The line of a record with the copies of one folder in place of those of another, and their names.
 *
 * @internal
 */
export const moved = (
  line: Buffer,
  from: string,
  to: string
): { readonly line: Buffer; readonly names: ReadonlySet<string> } => {
  const names = new Set<string>()
  if (!line.includes(from + prefix)) return { line, names }
  const parts = line.toString().split(from)
  const startsWithName = new RegExp(`^${namePattern}`)
  let text = parts[0]!
  for (const part of parts.slice(1)) {
    const name = startsWithName.exec(part)?.[0]
    if (name !== undefined) names.add(name)
    text += (name === undefined ? from : to) + part
  }
  return { line: Buffer.from(text), names }
}

/** Copies at a time. @internal */
export const copiesAtOnce = 16

/** What a job's entry says of its copies: how many, their bytes, and a digest of their names and sizes. @internal */
export const entryOf = (
  folder: string,
  copies: ReadonlyArray<{ readonly key: string; readonly size: number }>
): { readonly count: number; readonly bytes: number; readonly sha256: string } => {
  const lines = copies.map(({ key, size }) => `${key.slice(folder.length)} ${size}\n`).sort()
  return {
    count: copies.length,
    bytes: copies.reduce((sum, { size }) => sum + size, 0),
    sha256: sha256(...lines)
  }
}
