import { Clock, Effect, Stream } from "effect"
import { createHash } from "node:crypto"
import { BatchError, Refused } from "../../src/BatchError.ts"
import * as Key from "../../src/store/Key.ts"
import { ObjectStore } from "../../src/store/ObjectStore.ts"

interface Held {
  readonly bytes: Uint8Array
  readonly modifiedAt: number
}

/** An object store in memory, by the clock of the test: for explorations of more interleavings than files allow. */
export const memoryStore = (): ObjectStore["Service"] => {
  const objects = new Map<string, Held>()
  const base = "s3://memory"
  const info = (key: string, { bytes, modifiedAt }: Held) =>
    ({ key, size: bytes.length, etag: `${modifiedAt}`, modifiedAt })
  const none = (key: string) =>
    new BatchError({ module: "MemoryStore", method: "read", reason: new Refused({ code: "NoSuchKey", message: key }) })
  const put = (key: string, bytes: Uint8Array) =>
    Effect.map(Clock.currentTimeMillis, (modifiedAt) => {
      if (objects.has(key)) return false
      objects.set(key, { bytes: Uint8Array.from(bytes), modifiedAt })
      return true
    })
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
        objects: [...objects].filter(([key]) => key.startsWith(prefix)).map(([key, held]) => info(key, held))
          .sort((a, b) => Key.compare(a.key, b.key))
      })),
    folders: (prefix) =>
      Effect.sync(() => {
        const below = [...objects.keys()].filter((key) => key.startsWith(prefix)).map((key) => key.slice(prefix.length))
        const names = below.flatMap((key) => (key.includes("/") ? [key.slice(0, key.indexOf("/"))] : []))
        return [...new Set(names)].sort(Key.compareFolders)
      }),
    get: (key) => Effect.sync(() => objects.get(key)?.bytes ?? null),
    read: (key, range) =>
      Stream.suspend(() => {
        const held = objects.get(key)
        return held === undefined
          ? Stream.fail(none(key))
          : Stream.succeed(held.bytes.slice(range?.start ?? 0, range?.end))
      }),
    create: (key, bytes) => Effect.map(put(key, bytes), (created) => ({ created })),
    write: Effect.fnUntraced(function*<E, R>(key: string, stream: Stream.Stream<Uint8Array, E, R>) {
      const bytes = Buffer.concat(yield* Stream.runCollect(stream))
      const created = yield* put(key, bytes)
      return { created, info: info(key, objects.get(key)!), sha256: createHash("sha256").update(bytes).digest("hex") }
    }),
    remove: (key) => Effect.sync(() => void objects.delete(key)),
    removeAll: (keys) => Effect.sync(() => keys.forEach((key) => objects.delete(key))),
    checksum: (key) =>
      Effect.sync(() => {
        const held = objects.get(key)
        return held === undefined
          ? null
          : { algorithm: "sha256", value: createHash("sha256").update(held.bytes).digest("hex") }
      })
  })
}
