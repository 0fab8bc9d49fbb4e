/**
 * Copies one object into a file of this machine: resumed, verified, and visible under its name only when it is whole.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { BatchError, Damaged } from "../BatchError.ts"
import type { Checksum, ObjectInfo, ObjectStore } from "../store/ObjectStore.ts"
import { running } from "./Checksums.ts"
import { attempt, FileFailed, syncFolder, toBatchError } from "./Files.ts"
import { reading, readText, readTo, removeFile, replaceText, sizeOf, withFile, writeAt } from "./LocalFolder.ts"

type Store = ObjectStore["Service"]

/** Whose errors they are. @internal */
export const at = { module: "Run", method: "download" }

/** What is known of a file that was copied. @internal */
export interface Copied {
  readonly key: string
  readonly size: number
  readonly etag: string
  readonly sha256: string
  readonly verified: "checksum" | "size"
}

/** An object of fewer bytes is fetched anew when it was cut off: it is not worth a note. */
const worthANote = 1024 * 1024

/** Of which object the bytes in a `.part` are. */
const Part = Schema.fromJsonString(Schema.Struct({
  key: Schema.String,
  size: Schema.Natural,
  etag: Schema.String
}))
const decodePart = Schema.decodeUnknownOption(Part)
const encodePart = Schema.encodeSync(Part)

/** @internal */
export const broken = (what: string) => (failed: FileFailed): BatchError =>
  toBatchError(at.method, what, failed, at.module)

const damaged = (key: string, message: string) =>
  new BatchError({ ...at, reason: new Damaged({ key, message: `${key} ${message}` }) })

/** The SHA-256 of a file. @internal */
export const hashOf = Effect.fnUntraced(function*(file: string, size: number) {
  const sum = running("sha256")
  yield* reading(file, (handle) => readTo(handle, size, sum.update))
  return sum.digest()
})

/** How many bytes of the object lie in its `.part`; makes it ready to be gone on with. */
const begin = Effect.fnUntraced(function*(part: string, note: string, info: ObjectInfo) {
  const large = info.size >= worthANote
  const noted = large ? decodePart((yield* readText(note)) ?? "") : Option.none()
  const size = yield* sizeOf(part)
  const same = Option.isSome(noted) && noted.value.key === info.key && noted.value.etag === info.etag &&
    noted.value.size === info.size
  if (same && size !== null && size <= info.size) return size
  if (size !== null) {
    yield* removeFile(part)
    yield* syncFolder(path.dirname(part))
  }
  if (large) yield* replaceText(note, encodePart({ key: info.key, size: info.size, etag: info.etag }))
  return 0
})

/** One try: fails as `Damaged` where what came is not what the store has. */
const copyOnce = Effect.fnUntraced(function*(store: Store, file: string, info: ObjectInfo, known: Checksum | null) {
  const part = `${file}.part`
  const note = `${part}.json`
  const from = yield* begin(part, note, info)
  const sha256 = running("sha256")
  const other = known === null || known.algorithm === "sha256" ? null : running(known.algorithm)
  const take = (bytes: Uint8Array) => {
    sha256.update(bytes)
    other?.update(bytes)
  }
  yield* withFile(part, Effect.fnUntraced(function*(handle: fs.FileHandle) {
    yield* readTo(handle, from, take)
    let position = from
    if (from < info.size || info.size === 0) {
      const bytes = store.read(info.key, from === 0 ? undefined : { start: from })
      yield* Stream.runForEachArray(bytes, (chunks) =>
        Effect.gen(function*() {
          for (const chunk of chunks) {
            if (position + chunk.length > info.size) {
              return yield* damaged(info.key, `has more than the ${info.size} bytes that it had when it was listed`)
            }
            yield* attempt(() => writeAt(handle, chunk, position))
            take(chunk)
            position += chunk.length
          }
        }))
    }
    if (position !== info.size) {
      return yield* damaged(info.key, `has ${info.size} bytes, and ${position} came`)
    }
    yield* attempt(() => handle.sync())
  }))
  const digest = sha256.digest()
  if (known !== null && (other === null ? digest : other.digest()) !== known.value) {
    return yield* damaged(info.key, `came with another ${known.algorithm} than the store knows of it`)
  }
  yield* sizeOf(file)
  yield* attempt(() => fs.rename(part, file))
  yield* removeFile(note)
  const copied: Copied = {
    key: info.key,
    size: info.size,
    etag: info.etag,
    sha256: digest,
    verified: known === null ? "size" : "checksum"
  }
  return copied
})

/**
 * Copies an object into `file`. What came damaged is fetched once more, from the beginning.
 *
 * @internal
 */
export const copyObject = Effect.fnUntraced(
  function*(store: Store, file: string, listed: ObjectInfo): Effect.fn.Return<Copied, BatchError> {
    const copy = Effect.fnUntraced(function*(info: ObjectInfo) {
      return yield* copyOnce(store, file, info, yield* store.checksum(info.key))
    }, Effect.catchIf(
      (error) => error instanceof FileFailed,
      (failed) => Effect.fail(broken(`cannot write ${file}`)(failed))
    ))
    const discard = Effect.forEach([`${file}.part`, `${file}.part.json`], removeFile, { discard: true }).pipe(
      Effect.mapError(broken(`cannot remove ${file}.part`))
    )
    const first = yield* Effect.result(copy(listed))
    if (first._tag === "Success") return first.success
    if (first.failure.reason._tag !== "Damaged") return yield* first.failure
    yield* discard
    const now = yield* store.head(listed.key)
    if (now === null) return yield* damaged(listed.key, "was removed while it was downloaded")
    const second = yield* Effect.result(copy(now))
    if (second._tag === "Success") return second.success
    const { reason } = second.failure
    if (reason._tag !== "Damaged") return yield* second.failure
    yield* discard
    return yield* new BatchError({
      ...at,
      reason: new Damaged({
        key: listed.key,
        cause: reason,
        message: `${listed.key} came damaged twice (${reason.message}); download it again, or look at the object itself`
      })
    })
  }
)
