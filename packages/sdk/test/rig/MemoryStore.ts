import { Clock, Effect, Stream } from "effect"
import { createHash } from "node:crypto"
import { BatchError, Refused } from "../../src/BatchError.ts"
import * as Key from "../../src/store/Key.ts"
import { ObjectStore } from "../../src/store/ObjectStore.ts"
import { SortedKeys } from "./SortedKeys.ts"

interface Held<Place> {
  readonly size: number
  readonly place: Place
  readonly modifiedAt: number
}

/** Where the bytes of objects are. */
export interface Shelf<Place> {
  /** Keeps a copy of the bytes. */
  readonly put: (bytes: Uint8Array) => Place
  /** Gives a copy of the bytes. */
  readonly get: (place: Place, size: number) => Uint8Array<ArrayBuffer>
}

const inMemory: Shelf<Uint8Array<ArrayBuffer>> = { put: (bytes) => Uint8Array.from(bytes), get: (place) => place.slice() }

/**
 * An object store in memory, by the clock of the test: for explorations of more interleavings than files allow, and for
 * more objects than anybody waits for.
 */
export const memoryStore = (): ObjectStore["Service"] => storeOn(inMemory)

/** The same with the bytes elsewhere. */
export const storeOn = <Place>(shelf: Shelf<Place>): ObjectStore["Service"] => {
  const objects = new Map<string, Held<Place>>()
  const keys = new SortedKeys()
  const base = "s3://memory"
  const info = (key: string, { modifiedAt, size }: Held<Place>) => ({ key, size, etag: `${modifiedAt}`, modifiedAt })
  const bytesOf = ({ place, size }: Held<Place>) => shelf.get(place, size)
  const none = (key: string) =>
    new BatchError({ module: "MemoryStore", method: "read", reason: new Refused({ code: "NoSuchKey", message: key }) })
  const put = (key: string, bytes: Uint8Array) =>
    Effect.map(Clock.currentTimeMillis, (modifiedAt) => {
      if (objects.has(key)) return false
      objects.set(key, { size: bytes.length, place: shelf.put(bytes), modifiedAt })
      keys.add(key)
      return true
    })
  const drop = (key: string) => {
    if (objects.delete(key)) keys.delete(key)
  }
  return ObjectStore.of({
    base,
    uri: (key) => `${base}/${key}`,
    location: (key) => `${base}/${key}`,
    head: (key) =>
      Effect.sync(() => {
        const held = objects.get(key)
        return held === undefined ? null : info(key, held)
      }),
    list: (prefix) =>
      Effect.map(Clock.currentTimeMillis, (at) => ({
        at,
        objects: Array.from(keys.startingWith(prefix), (key) => info(key, objects.get(key)!))
      })),
    folders: (prefix) =>
      Effect.sync(() => {
        const below = Array.from(keys.startingWith(prefix), (key) => key.slice(prefix.length))
        const names = below.flatMap((key) => (key.includes("/") ? [key.slice(0, key.indexOf("/"))] : []))
        return [...new Set(names)].sort(Key.compareFolders)
      }),
    get: (key) => Effect.sync(() => {
        const held = objects.get(key)
        return held === undefined ? null : bytesOf(held)
      }),
    read: (key, range) =>
      Stream.suspend(() => {
        const held = objects.get(key)
        return held === undefined
          ? Stream.fail(none(key))
          : Stream.succeed(bytesOf(held).slice(range?.start ?? 0, range?.end))
      }),
    create: (key, bytes) => Effect.map(put(key, bytes), (created) => ({ created })),
    write: Effect.fnUntraced(function*<E, R>(key: string, stream: Stream.Stream<Uint8Array, E, R>) {
      const bytes = Buffer.concat(yield* Stream.runCollect(stream))
      const created = yield* put(key, bytes)
      return { created, info: info(key, objects.get(key)!), sha256: createHash("sha256").update(bytes).digest("hex") }
    }),
    copy: (from, key) =>
      Effect.suspend(() => {
        const own = from.startsWith(`${base}/`) ? from.slice(base.length + 1) : from
        const held = objects.get(own)
        return held === undefined
          ? Effect.fail(none(from))
          : Effect.map(put(key, bytesOf(held)), (created) => ({ created }))
      }),
    remove: (key) => Effect.sync(() => drop(key)),
    removeAll: (removed) => Effect.sync(() => removed.forEach(drop)),
    checksum: (key) =>
      Effect.sync(() => {
        const held = objects.get(key)
        return held === undefined
          ? null
          : { algorithm: "sha256", value: createHash("sha256").update(bytesOf(held)).digest("hex") }
      })
  })
}
