/**
 * A folder as the store, in which the outputs of jobs are generated while they are read, and large files are removed as
 * soon as they are written.
 */
import { BatchError, FileSystem, ObjectStore } from "@bedrock-batch/sdk"
import { Effect, Layer, Stream } from "effect"
import { unlink } from "node:fs/promises"
import { arriving, type Output, type Outputs } from "./outputs.ts"

export interface Options {
  readonly directory: string
  /** The generated files by their keys. */
  readonly outputs: ReadonlyMap<string, Output>
  readonly generator: Outputs | null
  /** Whether a file is removed once it is written. */
  readonly discards: (key: string) => boolean
}

const unreadable = (cause: unknown) =>
  new BatchError.BatchError({
    module: "bench",
    method: "read",
    reason: new BatchError.Damaged({ key: "outputs", message: "the generated output cannot be read", cause })
  })

const byKey = (a: ObjectStore.ObjectInfo, b: ObjectStore.ObjectInfo): number =>
  Buffer.compare(Buffer.from(a.key), Buffer.from(b.key))

export const layer = (
  { directory, discards, generator, outputs }: Options
): Layer.Layer<ObjectStore.ObjectStore, BatchError.BatchError> =>
  Layer.effect(
    ObjectStore.ObjectStore,
    Effect.map(FileSystem.make({ directory }), (store) => {
      const infoOf = (key: string): ObjectStore.ObjectInfo | null => {
        const output = outputs.get(key)
        return output === undefined || generator === null
          ? null
          : { key, size: generator.size(output), etag: key, modifiedAt: 0 }
      }
      return ObjectStore.ObjectStore.of({
        ...store,
        head: (location) => Effect.suspend(() => {
          const info = infoOf(location)
          return info === null ? store.head(location) : Effect.succeed(info)
        }),
        list: (prefix) =>
          Effect.map(store.list(prefix), ({ at, objects }) => {
            const generated = [...outputs.keys()].filter((key) => key.startsWith(prefix)).map((key) => infoOf(key)!)
            return { at, objects: generated.length === 0 ? objects : [...objects, ...generated].sort(byKey) }
          }),
        read: (location, range) =>
          Stream.suspend(() => {
            const output = outputs.get(location)
            return output === undefined || generator === null
              ? store.read(location, range)
              : Stream.fromAsyncIterable(arriving(generator.pieces(output, range?.start, range?.end)), unreadable)
          }),
        write: (key, bytes, options) =>
          Effect.tap(store.write(key, bytes, options), () =>
            discards(key) ? Effect.promise(() => unlink(store.location(key))) : Effect.void)
      })
    })
  )
