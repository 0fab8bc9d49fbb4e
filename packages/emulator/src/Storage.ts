/**
 * Where the objects behind `s3://` URIs live: a folder, memory, or any S3 endpoint. Objects are read and written as
 * streams.
 *
 * @since 0.1.0
 */
import type { S3ClientConfig } from "@aws-sdk/client-s3"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { randomUUID } from "node:crypto"
import { createReadStream } from "node:fs"
import * as fs from "node:fs/promises"
import * as path from "node:path"

/**
 * An object cannot be listed, read or written.
 *
 * @since 0.1.0
 * @category errors
 */
export class StorageError extends Data.TaggedError("StorageError")<{
  readonly operation: "list" | "read" | "write"
  readonly uri: string
  readonly cause: unknown
}> {
  /** What failed, where, and why. */
  override get message(): string {
    const { cause } = this
    const why = cause instanceof Error ? cause.message : typeof cause === "string" ? cause : "unknown"
    return `Cannot ${this.operation} ${this.uri}: ${why}`
  }
}

/**
 * An object that a list found.
 *
 * @since 0.1.0
 * @category models
 */
export interface StoredObject {
  readonly uri: string
  readonly size: number
}

/**
 * A place for objects.
 *
 * @since 0.1.0
 * @category models
 */
export interface Storage {
  /** Every object whose URI starts with `prefix`, in the order of their names. None is no error. */
  readonly list: (prefix: string) => Effect.Effect<ReadonlyArray<StoredObject>, StorageError>
  /** The bytes of an object. */
  readonly read: (uri: string) => Stream.Stream<Uint8Array, StorageError>
  /**
   * Writes an object, visible whole or not at all. One that is there already is replaced, or kept if it is the
   * same.
   */
  readonly write: (uri: string, bytes: Stream.Stream<Uint8Array, StorageError>) => Effect.Effect<void, StorageError>
}

/**
 * Takes an `s3://` URI apart.
 *
 * @since 0.1.0
 * @category converting
 */
export const split = (uri: string): { readonly bucket: string; readonly key: string } => {
  const rest = uri.slice("s3://".length)
  const slash = rest.indexOf("/")
  return slash < 0 ? { bucket: rest, key: "" } : { bucket: rest.slice(0, slash), key: rest.slice(slash + 1) }
}

const readSize = 1 << 18
// Where the journal of the folder is: no object.
const journalFolder = ".bedrock-batch-emulator"
const byUri = (a: StoredObject, b: StoredObject) => a.uri < b.uri ? -1 : a.uri > b.uri ? 1 : 0
const failure = (operation: StorageError["operation"], uri: string) => (cause: unknown) =>
  new StorageError({ operation, uri, cause })
const hasCode = (error: unknown, ...codes: ReadonlyArray<string>) =>
  error instanceof Error && "code" in error && typeof error.code === "string" && codes.includes(error.code)

const areEqual = async (one: string, other: string): Promise<boolean> => {
  const [first, second] = await Promise.all([fs.stat(one), fs.stat(other)])
  if (first.size !== second.size) return false
  const [a, b] = [await fs.open(one), await fs.open(other)]
  try {
    const [left, right] = [Buffer.alloc(readSize), Buffer.alloc(readSize)]
    for (let position = 0; position < first.size; position += readSize) {
      const [{ bytesRead: read }, { bytesRead }] = await Promise.all([
        a.read(left, 0, readSize, position),
        b.read(right, 0, readSize, position)
      ])
      if (read !== bytesRead || !left.subarray(0, read).equals(right.subarray(0, bytesRead))) return false
    }
    return true
  } finally {
    await Promise.all([a.close(), b.close()])
  }
}

/**
 * Options of a folder.
 *
 * @since 0.1.0
 * @category models
 */
export interface FolderOptions {
  /** The bucket that is the folder itself; every other bucket is a sub-folder of its name. */
  readonly bucket?: string | undefined
}

/**
 * Keeps objects in a folder: `s3://bucket/key` is the file `<directory>/<bucket>/<key>`. A key that would leave the
 * folder of its bucket is a failure.
 *
 * @since 0.1.0
 * @category constructors
 */
export const folder = (directory: string, options: FolderOptions = {}): Storage => {
  const root = path.resolve(directory)
  const rootOf = (bucket: string) => bucket === options.bucket ? root : path.join(root, bucket)
  const locate = (uri: string) => {
    const { bucket, key } = split(uri)
    const bucketRoot = rootOf(bucket)
    const file = path.resolve(bucketRoot, key)
    if (file !== bucketRoot && !file.startsWith(bucketRoot + path.sep)) {
      throw new Error("the key leaves the folder of its bucket")
    }
    return { bucket, key, file }
  }
  const walk = async (bucketRoot: string, bucket: string, start: string, prefix: string) => {
    const found: Array<StoredObject> = []
    const visit = async (folderPath: string): Promise<void> => {
      const entries = await fs.readdir(folderPath, { withFileTypes: true }).catch((error: unknown) => {
        if (hasCode(error, "ENOENT", "ENOTDIR")) return []
        throw error
      })
      for (const entry of entries) {
        const file = path.join(folderPath, entry.name)
        const key = path.relative(bucketRoot, file).split(path.sep).join("/")
        if (key === journalFolder) continue
        if (entry.isDirectory()) {
          if (key.startsWith(prefix) || prefix.startsWith(`${key}/`)) await visit(file)
        } else if (entry.isFile() && key.startsWith(prefix)) {
          found.push({ uri: `s3://${bucket}/${key}`, size: (await fs.stat(file)).size })
        }
      }
    }
    await visit(start)
    return found.sort(byUri)
  }
  return {
    list: (prefix) =>
      Effect.tryPromise({
        try: () => {
          const { bucket, key } = locate(prefix)
          const bucketRoot = rootOf(bucket)
          const start = key.includes("/") ? path.join(bucketRoot, key.slice(0, key.lastIndexOf("/"))) : bucketRoot
          return walk(bucketRoot, bucket, start, key)
        },
        catch: failure("list", prefix)
      }),
    read: (uri) =>
      Stream.unwrap(
        Effect.try({
          try: () => createReadStream(locate(uri).file, { highWaterMark: readSize }),
          catch: failure("read", uri)
        }).pipe(
          Effect.map((stream) => Stream.fromAsyncIterable<Buffer, StorageError>(stream, failure("read", uri)))
        )
      ),
    write: (uri, bytes) =>
      Effect.acquireUseRelease(
        Effect.tryPromise({
          try: async () => {
            const { file } = locate(uri)
            await fs.mkdir(path.dirname(file), { recursive: true })
            const temporary = `${file}.${randomUUID()}.tmp`
            return { file, temporary, handle: await fs.open(temporary, "w") }
          },
          catch: failure("write", uri)
        }),
        ({ file, handle, temporary }) =>
          Stream.runForEach(bytes, (chunk) =>
            Effect.tryPromise({ try: () => handle.writeFile(chunk), catch: failure("write", uri) })).pipe(
              Effect.andThen(Effect.tryPromise({
                try: async () => {
                  await handle.close()
                  await fs.link(temporary, file).catch(async (error: unknown) => {
                    if (!hasCode(error, "EEXIST")) throw error
                    // A reader may be at the file that another process wrote: it is not touched without need.
                    if (!(await areEqual(temporary, file))) await fs.rename(temporary, file)
                  })
                },
                catch: failure("write", uri)
              }))
            ),
        ({ handle, temporary }) =>
          Effect.promise(async () => {
            await handle.close().catch(() => undefined)
            await fs.rm(temporary, { force: true }).catch(() => undefined)
          })
      )
  }
}

/**
 * Keeps objects in memory, whole: for simulations of many small jobs.
 *
 * @since 0.1.0
 * @category constructors
 */
export const memory = (): Storage & { readonly objects: Map<string, Uint8Array> } => {
  const objects = new Map<string, Uint8Array>()
  return {
    objects,
    list: (prefix) =>
      Effect.sync(() => {
        const exact = objects.get(prefix)
        if (exact !== undefined) return [{ uri: prefix, size: exact.byteLength }]
        const found: Array<StoredObject> = []
        for (const [uri, bytes] of objects) if (uri.startsWith(prefix)) found.push({ uri, size: bytes.byteLength })
        return found.sort(byUri)
      }),
    read: (uri) =>
      Stream.suspend(() => {
        const bytes = objects.get(uri)
        return bytes === undefined ? Stream.fail(failure("read", uri)("no such object")) : Stream.make(bytes)
      }),
    write: (uri, bytes) =>
      Effect.map(Stream.runCollect(bytes), (chunks) => void objects.set(uri, Buffer.concat(chunks)))
  }
}

const partSize = 8 << 20

/**
 * Keeps objects in S3, at AWS or at any S3 endpoint. The options are those of the S3 client.
 *
 * @since 0.1.0
 * @category constructors
 */
export const s3 = (options: S3ClientConfig): Storage => {
  const loaded = import("@aws-sdk/client-s3").then((sdk) => ({ sdk, client: new sdk.S3Client(options) }))
  // The first call reports a failed import; without this it would also be an unhandled rejection.
  loaded.catch(() => undefined)
  return {
    list: (prefix) =>
      Effect.tryPromise({
        try: async (abortSignal) => {
          const { client, sdk } = await loaded
          const { bucket, key } = split(prefix)
          const found: Array<StoredObject> = []
          const pages = sdk.paginateListObjectsV2({ client }, { Bucket: bucket, Prefix: key }, { abortSignal })
          for await (const page of pages) {
            for (const one of page.Contents ?? []) {
              if (one.Key !== undefined) found.push({ uri: `s3://${bucket}/${one.Key}`, size: one.Size ?? 0 })
            }
          }
          return found.sort(byUri)
        },
        catch: failure("list", prefix)
      }),
    read: (uri) =>
      Stream.unwrap(
        Effect.tryPromise({
          try: async (abortSignal) => {
            const { client, sdk } = await loaded
            const { bucket, key } = split(uri)
            const answer = await client.send(new sdk.GetObjectCommand({ Bucket: bucket, Key: key }), { abortSignal })
            return answer.Body?.transformToWebStream() ?? new Blob([]).stream()
          },
          catch: failure("read", uri)
        }).pipe(Effect.map((body) =>
          Stream.fromReadableStream<Uint8Array, StorageError>({ evaluate: () => body, onError: failure("read", uri) })
        ))
      ),
    write: (uri, bytes) => {
      const { bucket: Bucket, key: Key } = split(uri)
      const call = <A>(act: (tools: Awaited<typeof loaded>, abortSignal: AbortSignal) => Promise<A>) =>
        Effect.tryPromise({ try: async (signal) => act(await loaded, signal), catch: failure("write", uri) })
      return Effect.suspend(() => {
        let upload: string | undefined
        let pending: Array<Uint8Array> = []
        let size = 0
        const parts: Array<{ readonly ETag: string | undefined; readonly PartNumber: number }> = []
        const sendPart = call(async ({ client, sdk }, abortSignal) => {
          const begin = new sdk.CreateMultipartUploadCommand({ Bucket, Key })
          upload ??= (await client.send(begin, { abortSignal })).UploadId
          const part = { Bucket, Key, UploadId: upload, PartNumber: parts.length + 1, Body: Buffer.concat(pending) }
          const answer = await client.send(new sdk.UploadPartCommand(part), { abortSignal })
          parts.push({ ETag: answer.ETag, PartNumber: part.PartNumber })
          pending = []
          size = 0
        })
        const finish = call(async ({ client, sdk }, abortSignal) => {
          if (upload === undefined) {
            const whole = { Bucket, Key, Body: Buffer.concat(pending) }
            return await client.send(new sdk.PutObjectCommand(whole), { abortSignal })
          }
          const done = { Bucket, Key, UploadId: upload, MultipartUpload: { Parts: parts } }
          return await client.send(new sdk.CompleteMultipartUploadCommand(done), { abortSignal })
        })
        const abort = Effect.promise(async () => {
          if (upload === undefined) return
          const { client, sdk } = await loaded
          const give = new sdk.AbortMultipartUploadCommand({ Bucket, Key, UploadId: upload })
          await client.send(give).catch(() => undefined)
        })
        const add = Effect.fnUntraced(function*(chunk: Uint8Array) {
          for (let at = 0; at < chunk.byteLength;) {
            const piece = chunk.subarray(at, at + partSize - size)
            pending.push(piece)
            size += piece.byteLength
            at += piece.byteLength
            if (size === partSize) yield* sendPart
          }
        })
        return Stream.runForEach(bytes, add).pipe(
          Effect.andThen(Effect.suspend(() => upload !== undefined && size > 0 ? sendPart : Effect.void)),
          Effect.andThen(finish),
          Effect.onError(() => abort),
          Effect.asVoid
        )
      })
    }
  }
}
