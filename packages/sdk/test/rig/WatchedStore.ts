import { Effect, Fiber, Stream } from "effect"
import { TestClock } from "effect/testing"
import type { BatchError } from "../../src/BatchError.ts"
import { ObjectStore } from "../../src/store/ObjectStore.ts"

export type Operation =
  | "head"
  | "list"
  | "folders"
  | "get"
  | "read"
  | "create"
  | "write"
  | "copy"
  | "remove"
  | "removeAll"
  | "checksum"

/** What happens around each operation of a store: it may wait, fail or die. */
export interface Around {
  /** The order in which a bulk call removes; default as given. */
  readonly order?: ((keys: ReadonlyArray<string>) => ReadonlyArray<string>) | undefined
  readonly before?: ((operation: Operation, key: string) => Effect.Effect<void, BatchError>) | undefined
  readonly after?: ((operation: Operation, key: string) => Effect.Effect<void, BatchError>) | undefined
}

/** Operations that are under way, over all watched stores of this test file. */
let busy = 0

/** The store with something around each operation. */
export const watched = (store: ObjectStore["Service"], around: Around = {}): ObjectStore["Service"] => {
  const before = around.before ?? (() => Effect.void)
  const after = around.after ?? (() => Effect.void)
  const counted = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.acquireUseRelease(Effect.sync(() => void busy++), () => effect, () => Effect.sync(() => void busy--))
  const watch = <A, E, R>(operation: Operation, key: string, effect: Effect.Effect<A, E, R>) =>
    before(operation, key).pipe(
      Effect.andThen(counted(effect)),
      Effect.tap(() => after(operation, key))
    )
  return ObjectStore.of({
    base: store.base,
    uri: store.uri,
    location: store.location,
    head: (key) => watch("head", key, store.head(key)),
    list: (prefix) => watch("list", prefix, store.list(prefix)),
    folders: (prefix) => watch("folders", prefix, store.folders(prefix)),
    get: (key) => watch("get", key, store.get(key)),
    read: (key, range) =>
      Stream.concat(
        Stream.fromEffectDrain(Effect.andThen(before("read", key), Effect.sync(() => void busy++))),
        store.read(key, range)
      ).pipe(Stream.ensuring(Effect.sync(() => void busy--))),
    create: (key, bytes) => watch("create", key, store.create(key, bytes)),
    write: (key, bytes) => watch("write", key, store.write(key, bytes)),
    copy: (from, key) => watch("copy", key, store.copy(from, key)),
    remove: (key) => watch("remove", key, store.remove(key)),
    // One by one: a bulk call may come to its end for some keys only.
    removeAll: (keys) =>
      Effect.forEach(around.order?.(keys) ?? keys, (key) => watch("removeAll", key, store.removeAll([key])), {
        discard: true
      }),
    checksum: (key) => watch("checksum", key, store.checksum(key))
  })
}

/** Lets the event loop turn: file operations that have ended are seen. */
const turn = Effect.promise(() => new Promise<void>((resolve) => void setImmediate(resolve)))

/** Waits until no store operation is under way: whoever still runs waits for the clock, or for somebody who does. */
export const settled = Effect.gen(function*() {
  for (let quiet = 0; quiet < 4;) {
    yield* turn
    quiet = busy === 0 ? quiet + 1 : 0
  }
})

/**
 * Runs an effect to its end under the test's clock, which is moved on only when nothing but the clock is waited for.
 * Gives up after `most` steps of `step` milliseconds.
 */
export const drive = Effect.fnUntraced(function*<A, E, R>(effect: Effect.Effect<A, E, R>, step = 1_000, most = 20_000) {
  const fiber = yield* Effect.forkChild(effect, { startImmediately: true })
  for (let steps = 0;; steps++) {
    yield* settled
    if (fiber.pollUnsafe() !== undefined) return yield* Fiber.join(fiber)
    if (steps === most) return yield* Effect.die(new Error(`not done after ${most} steps of ${step} ms`))
    yield* TestClock.adjust(step)
  }
})
