/**
 * The object store on S3. This module loads the AWS client.
 *
 * @internal
 */
import {
  CopyObjectCommand,
  DeleteObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  type ListObjectsV2CommandOutput,
  PutObjectCommand,
  S3Client,
  type S3ClientConfig
} from "@aws-sdk/client-s3"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { randomUUID } from "node:crypto"
import { BatchError, InvalidOption } from "../BatchError.ts"
import { digest } from "./Blocks.ts"
import { call, type CallFailed, damaged, isPassing, toBatchError } from "./S3Call.ts"
import { checksumOf } from "./S3Checksum.ts"
import { isLarge, pause, read, readAhead } from "./S3Read.ts"
import { bulks, bulksAtOnce, removeBulk } from "./S3Remove.ts"
import { partBytes, upload, type Uploaded } from "./S3Upload.ts"
import * as Key from "../store/Key.ts"
import type { ByteRange, ObjectInfo, ObjectStore, WriteOptions } from "../store/ObjectStore.ts"
import type { MakeOptions, Options } from "../store/S3.ts"

const module = "S3"

/** The metadata entry that says which write made an object. */
const writerEntry = "bedrock-batch-writer"

/** How often a conditional write is sent while S3 asks for a repetition. */
const maximumTries = 6

const invalidOption = (path: string, message: string) =>
  new BatchError({ module, method: "make", reason: new InvalidOption({ path, message }) })

interface Stored {
  readonly info: ObjectInfo
  /** Id of the write that made the object, null for one of another origin. */
  readonly writer: string | null
}

const unquoted = (etag: string | undefined) => (etag ?? "").replaceAll("\"", "")

/** @internal */
export const make = Effect.fnUntraced(function*(
  options: MakeOptions
): Effect.fn.Return<ObjectStore["Service"], BatchError> {
  const { bucket, client } = options
  const prefix = (options.prefix ?? "").replace(/\/$/, "")
  if (!Key.isBucket(bucket)) {
    return yield* invalidOption(
      "bucket",
      `Bedrock takes no bucket named ${JSON.stringify(bucket)}: use 3 to 63 lower-case letters, digits, "-" and "."`
    )
  }
  if (prefix !== "" && (!Key.isUriSafe(prefix) || Key.problem(prefix) !== null)) {
    return yield* invalidOption(
      "prefix",
      `Bedrock takes no S3 prefix ${JSON.stringify(prefix)}: use letters, digits and -!_*'(). between single slashes`
    )
  }
  const root = prefix === "" ? "" : `${prefix}/`
  const base = prefix === "" ? `s3://${bucket}` : `s3://${bucket}/${prefix}`
  const uri = (key: string) => `${base}/${key}`

  const locate = (method: string, location: string) => {
    if (!Key.isUri(location)) {
      return Effect.map(Key.check(location, { module, method }), (key) => ({
        target: { Bucket: bucket, Key: root + key },
        uri: uri(key)
      }))
    }
    const parts = Key.fromUri(location)
    return parts === null
      ? Effect.fail(Key.invalid(location, "is a URI without bucket or key", { module, method }))
      : Effect.succeed({ target: { Bucket: parts.bucket, Key: parts.key }, uri: location })
  }

  /** Where a list looks, and how the keys that it finds are given: as the prefix is, a URI as URIs. */
  const locatePrefix = (method: string, prefix: string) => {
    if (!Key.isUri(prefix)) {
      const wrong = Key.prefixProblem(prefix)
      return wrong === null
        ? Effect.succeed({
          bucket,
          prefix: root + prefix,
          uri: uri(prefix),
          keyOf: (key: string) => key.slice(root.length)
        })
        : Effect.fail(Key.invalid(prefix, wrong, { module, method }))
    }
    const slash = prefix.indexOf("/", 5)
    if (slash <= 5) {
      const what = "is a URI without a bucket and the slash after it"
      return Effect.fail(Key.invalid(prefix, what, { module, method }))
    }
    const start = prefix.slice(0, slash + 1)
    return Effect.succeed({
      bucket: prefix.slice(5, slash),
      prefix: prefix.slice(slash + 1),
      uri: prefix,
      keyOf: (key: string) => start + key
    })
  }

  const target = (key: string, writer: string) => ({
    Bucket: bucket,
    Key: root + key,
    Metadata: { [writerEntry]: writer }
  })

  const inspect = (method: string, location: string): Effect.Effect<Stored | null, BatchError> =>
    Effect.flatMap(locate(method, location), (place) =>
      call((abortSignal) => client.send(new HeadObjectCommand(place.target), { abortSignal })).pipe(
        Effect.map((answer): Stored => ({
          info: {
            key: location,
            size: answer.ContentLength ?? 0,
            etag: unquoted(answer.ETag),
            modifiedAt: answer.LastModified?.getTime() ?? 0
          },
          writer: answer.Metadata?.[writerEntry] ?? null
        })),
        Effect.catch((failure) =>
          failure.status === 404
            ? Effect.succeed(null)
            : Effect.fail(toBatchError(method, `cannot look at ${place.uri}`, failure))
        )
      ))

  /**
   * Sends a conditional write until it is known whether the object is this writer's. A write that S3 says came too late
   * may be our own, sent again by the SDK after a lost answer: the writer's id tells.
   */
  const decide = Effect.fnUntraced(function*<E, R>(
    method: string,
    key: string,
    writer: string,
    send: Effect.Effect<CallFailed | null, E, R>
  ) {
    for (let tries = 1;; tries++) {
      const failure = yield* send
      if (failure === null) return true
      const beaten = failure.status === 412 || failure.status === 409 || failure.code === "NoSuchUpload"
      const error = toBatchError(method, `cannot write ${uri(key)}`, failure)
      if (!beaten) {
        const there = isPassing(failure) ? yield* Effect.orElseSucceed(inspect(method, key), () => null) : null
        if (there !== null && there.writer === writer) return true
        return yield* error
      }
      const there = yield* inspect(method, key)
      if (there !== null) return there.writer === writer
      if (tries === maximumTries) return yield* error
      yield* pause(tries)
    }
  })

  const head = Effect.fn("S3.head")(function*(location: string) {
    const there = yield* inspect("head", location)
    return there === null ? null : there.info
  })

  const list = Effect.fn("S3.list")(function*(prefix: string) {
    const place = yield* locatePrefix("list", prefix)
    const objects: Array<ObjectInfo> = []
    const at = yield* eachPage("list", place, undefined, (answer) => {
      for (const object of answer.Contents ?? []) {
        if (object.Key === undefined) continue
        objects.push({
          key: place.keyOf(object.Key),
          size: object.Size ?? 0,
          etag: unquoted(object.ETag),
          modifiedAt: object.LastModified?.getTime() ?? 0
        })
      }
    })
    return { objects: objects.sort((a, b) => Key.compare(a.key, b.key)), at }
  })

  const folders = Effect.fn("S3.folders")(function*(prefix: string) {
    const place = yield* locatePrefix("folders", prefix)
    yield* Key.checkFolder(place.prefix, { module, method: "folders" })
    const names = new Set<string>()
    yield* eachPage("folders", place, "/", (answer) => {
      for (const { Prefix } of answer.CommonPrefixes ?? []) {
        if (Prefix !== undefined) names.add(Prefix.slice(place.prefix.length, -1))
      }
    })
    // Of a key with an empty segment.
    names.delete("")
    return [...names].sort(Key.compareFolders)
  })

  /** Runs through the pages of a list; gives the time of the first. */
  const eachPage = Effect.fnUntraced(function*(
    method: string,
    place: { readonly bucket: string; readonly prefix: string; readonly uri: string },
    delimiter: string | undefined,
    take: (answer: ListObjectsV2CommandOutput) => void
  ) {
    let at: number | null = null
    let token: string | undefined
    do {
      const { answer, date } = yield* listPage(client, place.bucket, place.prefix, delimiter, token).pipe(
        Effect.mapError((failure) => toBatchError(method, `cannot list ${place.uri}`, failure))
      )
      at ??= date ?? (yield* Clock.currentTimeMillis)
      take(answer)
      token = answer.IsTruncated === true ? answer.NextContinuationToken : undefined
    } while (token !== undefined)
    return at
  })

  const bytesOf = (method: string, location: string, range: ByteRange | undefined) =>
    Stream.unwrap(Effect.map(locate(method, location), (place) => read({ client, method, ...place, range })))

  /** A large range is fetched by several calls, all of the version that is there at its beginning. */
  const largeRange = (location: string, start: number, wanted: number): Stream.Stream<Uint8Array, BatchError> =>
    Stream.unwrap(Effect.gen(function*() {
      const place = yield* locate("read", location)
      const stored = yield* inspect("read", location)
      const end = Math.min(wanted, stored?.info.size ?? 0)
      return stored === null || end <= start
        ? bytesOf("read", location, { start, end: wanted })
        : readAhead({ client, method: "read", ...place, range: { start, end }, etag: `"${stored.info.etag}"` })
    }))

  const get = Effect.fn("S3.get")(function*(location: string) {
    const chunks = yield* Stream.runCollect(bytesOf("get", location, undefined)).pipe(
      Effect.catchIf(
        (error) => error.reason._tag === "Refused" && error.reason.code === "NoSuchKey",
        () => Effect.succeed(null)
      )
    )
    if (chunks === null) return null
    const whole = Buffer.concat(chunks)
    return new Uint8Array(whole.buffer, whole.byteOffset, whole.byteLength)
  })

  const create = Effect.fn("S3.create")(function*(key: string, bytes: Uint8Array) {
    yield* Key.check(key, { module, method: "create" })
    if (bytes.byteLength > partBytes) {
      return yield* new BatchError({
        module,
        method: "create",
        reason: new InvalidOption({
          path: "bytes",
          message: `${uri(key)} would have ${bytes.byteLength} bytes and create takes ${partBytes}; use write`
        })
      })
    }
    const writer = randomUUID()
    const command = new PutObjectCommand({ ...target(key, writer), Body: bytes, IfNoneMatch: "*" })
    const send = call((abortSignal) => client.send(command, { abortSignal })).pipe(
      Effect.as(null),
      Effect.catch((failure) => Effect.succeed(failure))
    )
    return { created: yield* decide("create", key, writer, send) }
  })

  const write = Effect.fn("S3.write")(function*<E, R>(
    key: string,
    bytes: Stream.Stream<Uint8Array, E, R>,
    options?: WriteOptions
  ) {
    yield* Key.check(key, { module, method: "write" })
    const before = yield* inspect("write", key)
    if (before !== null) return { created: false, info: before.info, sha256: yield* digest(bytes, options) }
    const writer = randomUUID()
    let sent: Uploaded | null = null
    const created = yield* decide(
      "write",
      key,
      writer,
      Effect.map(upload(client, target(key, writer), bytes, options), (uploaded) => {
        sent = uploaded
        return uploaded.failure
      })
    )
    return yield* confirm(key, created, sent, bytes, options)
  })

  /** What lies at the key after an upload. */
  const confirm = Effect.fnUntraced(function*<E, R>(
    key: string,
    created: boolean,
    sent: Uploaded | null,
    bytes: Stream.Stream<Uint8Array, E, R>,
    options: WriteOptions | undefined
  ) {
    const after = yield* inspect("write", key)
    if (after === null || (created && after.info.size !== sent?.size)) {
      return yield* damaged("write", uri(key), "is missing or has another size right after it was written")
    }
    return { created, info: after.info, sha256: sent?.sha256 ?? (yield* digest(bytes, options)) }
  })

  const copy = Effect.fn("S3.copy")(function*(from: string, key: string) {
    yield* Key.check(key, { module, method: "copy" })
    const source = yield* locate("copy", from)
    const writer = randomUUID()
    const command = new CopyObjectCommand({
      ...target(key, writer),
      CopySource: [source.target.Bucket, ...source.target.Key.split("/")].map(encodeURIComponent).join("/"),
      IfNoneMatch: "*",
      // Else the writer's id is not stored, and tags would need permissions of their own.
      MetadataDirective: "REPLACE",
      TaggingDirective: "REPLACE"
    })
    const send = call((abortSignal) => client.send(command, { abortSignal })).pipe(
      Effect.as(null),
      Effect.catch((failure) =>
        failure.status === 404 && failure.code !== "NoSuchBucket" && failure.code !== "NoSuchUpload"
          ? Effect.fail(toBatchError("copy", `cannot copy ${source.uri}`, failure))
          : Effect.succeed(failure)
      )
    )
    return { created: yield* decide("copy", key, writer, send) }
  })

  const remove = Effect.fn("S3.remove")(function*(key: string) {
    yield* Key.check(key, { module, method: "remove" })
    const command = new DeleteObjectCommand({ Bucket: bucket, Key: root + key })
    yield* call((abortSignal) => client.send(command, { abortSignal })).pipe(
      Effect.catchIf((failure) => failure.code === "NoSuchKey", () => Effect.void),
      Effect.mapError((failure) => toBatchError("remove", `cannot remove ${uri(key)}`, failure))
    )
  })

  const removeAll = Effect.fn("S3.removeAll")(function*(keys: ReadonlyArray<string>) {
    for (const key of keys) {
      // Consoles and other tools leave empty segments behind; nothing else that a list gives is refused.
      const wrong = Key.problem(key.split("/").filter((segment, i) => i === 0 || segment !== "").join("/"))
      if (wrong !== null) return yield* Key.invalid(key, wrong, { module, method: "removeAll" })
    }
    const names = keys.map((key) => root + key)
    yield* Effect.forEach(bulks(names), (bulk) => removeBulk(client, bucket, bulk), {
      concurrency: bulksAtOnce,
      discard: true
    })
  })

  const checksum = Effect.fn("S3.checksum")(function*(location: string) {
    const place = yield* locate("checksum", location)
    const command = new HeadObjectCommand({ ...place.target, ChecksumMode: "ENABLED" })
    return yield* call((abortSignal) => client.send(command, { abortSignal })).pipe(
      Effect.map(checksumOf),
      Effect.catchIf((failure) => failure.status === 404, () => Effect.succeed(null)),
      Effect.mapError((failure) => toBatchError("checksum", `cannot look at ${place.uri}`, failure))
    )
  })

  return {
    base,
    uri,
    location: uri,
    head,
    list,
    folders,
    get,
    read: (location, range) =>
      range !== undefined && range.start === range.end
        // S3 has no empty range: "bytes=5-4" means the whole object.
        ? bytesOf("read", location, { start: range.start, end: range.start + 1 }).pipe(Stream.drain)
        : range?.end !== undefined && isLarge(range.start, range.end)
        ? largeRange(location, range.start, range.end)
        : bytesOf("read", location, range),
    create,
    write,
    copy,
    remove,
    removeAll,
    checksum
  }
})

const Dated = Schema.decodeUnknownOption(Schema.Struct({ headers: Schema.Struct({ date: Schema.String }) }))

/** One page of a list, and the `Date` of the answer, which the SDK does not pass on. */
const listPage = (
  client: S3Client,
  bucket: string,
  prefix: string,
  delimiter: string | undefined,
  token: string | undefined
) =>
  Effect.suspend(() => {
    let date: number | null = null
    const command = new ListObjectsV2Command({
      Bucket: bucket,
      Prefix: prefix,
      Delimiter: delimiter,
      ContinuationToken: token
    })
    command.middlewareStack.add(
      (next) => async (args) => {
        const result = await next(args)
        const answer = Dated(result.response)
        const time = Option.isSome(answer) ? Date.parse(answer.value.headers.date) : Number.NaN
        date = Number.isNaN(time) ? null : time
        return result
      },
      { step: "deserialize", name: "readDate" }
    )
    return call((abortSignal) => client.send(command, { abortSignal })).pipe(Effect.map((answer) => ({ answer, date })))
  })

/** Opens a client, unless one is given, and makes the store from it. @internal */
export const open = Effect.fnUntraced(function*(options: Options) {
  if (options.endpoint !== undefined && !isEndpoint(options.endpoint)) {
    return yield* invalidOption(
      "endpoint",
      `${JSON.stringify(options.endpoint)} is no URL; give one such as http://127.0.0.1:9000`
    )
  }
  const client = options.client ?? (yield* Effect.acquireRelease(
    Effect.sync(() => new S3Client(clientConfig(options))),
    (made) => Effect.sync(() => made.destroy())
  ))
  return yield* make({ bucket: options.bucket, prefix: options.prefix, client })
})

const isEndpoint = (text: string): boolean => URL.canParse(text) && /^https?:\/\//.test(text)

const clientConfig = (options: Options): S3ClientConfig => ({
  ...(options.region === undefined ? {} : { region: options.region }),
  ...(options.endpoint === undefined ? { followRegionRedirects: true } : { endpoint: options.endpoint }),
  ...(options.credentials === undefined ? {} : { credentials: options.credentials }),
  forcePathStyle: options.forcePathStyle ?? options.endpoint !== undefined,
  retryMode: "standard",
  requestHandler: { connectionTimeout: 5_000, socketTimeout: 60_000 }
})
