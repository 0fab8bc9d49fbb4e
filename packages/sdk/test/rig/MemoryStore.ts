import { Clock, Effect, Stream } from "effect"
import { createHash } from "node:crypto"
import { BatchError, Refused } from "../../src/BatchError.ts"
import * as Key from "../../src/store/Key.ts"
import { ObjectStore } from "../../src/store/ObjectStore.ts"
import { SortedKeys } from "./SortedKeys.ts"

interface Held {
  readonly size: number
  /** Gives the bytes, as a copy. */
  readonly bytes: () => Uint8Array<ArrayBuffer>
  readonly modifiedAt: number
}

/** Takes the bytes of an object, and gives what reads them again. */
export type Keep = (bytes: Uint8Array) => () => Uint8Array<ArrayBuffer>

const inMemory: Keep = (bytes) => {
  const kept = Uint8Array.from(bytes)
  return () => kept.slice()
}

/**
 * An object store in memory, by the clock of the test: for explorations of more interleavings than files allow, and for
 * more objects than anybody waits for. `keep` says where the bytes are; they are in memory, too, if it is not given.
 */
export const memoryStore = (keep: Keep = inMemory): ObjectStore["Service"] => {
  const objects = new Map<string, Held>()
  const keys = new SortedKeys()
  const base = "s3://memory"
  const info = (key: string, { modifiedAt, size }: Held) => ({ key, size, etag: `${modifiedAt}`, modifiedAt })
  const none = (key: string) =>
    new BatchError({ module: "MemoryStore", method: "read", reason: new Refused({ code: "NoSuchKey", message: key }) })
  const put = (key: string, bytes: Uint8Array) =>
    Effect.map(Clock.currentTimeMillis, (modifiedAt) => {
      if (objects.has(key)) return false
      objects.set(key, { size: bytes.length, bytes: keep(bytes), modifiedAt })
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
    get: (key) => Effect.sync(() => objects.get(key)?.bytes() ?? null),
    read: (key, range) =>
      Stream.suspend(() => {
        const held = objects.get(key)
        return held === undefined
          ? Stream.fail(none(key))
          : Stream.succeed(held.bytes().slice(range?.start ?? 0, range?.end))
      }),
    create: (key, bytes) => Effect.map(put(key, bytes), (created) => ({ created })),
    write: Effect.fnUntraced(function*<E, R>(key: string, stream: Stream.Stream<Uint8Array, E, R>) {
      const bytes = Buffer.concat(yield* Stream.runCollect(stream))
      const created = yield* put(key, bytes)
      return { created, info: info(key, objects.get(key)!), sha256: createHash("sha256").update(bytes).digest("hex") }
    }),
    remove: (key) => Effect.sync(() => drop(key)),
    removeAll: (removed) => Effect.sync(() => removed.forEach(drop)),
    checksum: (key) =>
      Effect.sync(() => {
        const held = objects.get(key)
        return held === undefined
          ? null
          : { algorithm: "sha256", value: createHash("sha256").update(held.bytes()).digest("hex") }
      })
  })
}
