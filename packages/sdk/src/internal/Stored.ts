/**
 * Small JSON objects in the store, written once and decoded when read.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { BatchError, Damaged } from "../BatchError.ts"
import type { ObjectStore } from "../store/ObjectStore.ts"

type Store = ObjectStore["Service"]

/** @internal */
export interface Stored<A> {
  /** Reads the object; null if there is none. An empty or unreadable one fails as `Damaged`. */
  readonly read: (store: Store, key: string) => Effect.Effect<A | null, BatchError>
  /** Decodes bytes that were read already. */
  readonly decode: (key: string, bytes: Uint8Array) => Effect.Effect<A, BatchError>
  readonly encode: (value: A) => Uint8Array
  /** Stores the object if its key is free, else reads what is there: gives what then lies at the key. */
  readonly createOrRead: (
    store: Store,
    key: string,
    value: A
  ) => Effect.Effect<{ readonly created: boolean; readonly value: A }, BatchError>
}

/** @internal */
export const stored = <A>(module: string, schema: Schema.Codec<A, unknown>): Stored<A> => {
  const codec = Schema.fromJsonString(schema)
  const decoder = Schema.decodeUnknownResult(codec)
  const encodeText = Schema.encodeSync(codec)
  const encode = (value: A) => Buffer.from(encodeText(value))
  const decode = (key: string, bytes: Uint8Array): Effect.Effect<A, BatchError> => {
    const decoded = decoder(Buffer.from(bytes).toString("utf8"))
    return Result.isSuccess(decoded)
      ? Effect.succeed(decoded.success)
      : Effect.fail(
        new BatchError({
          module,
          method: "read",
          reason: new Damaged({
            key,
            cause: decoded.failure,
            message: bytes.length === 0
              ? `the object ${key} is empty; restore it from a copy, or remove it if you know that nothing depends on it`
              : `the object ${key} cannot be read: ${decoded.failure.message}`
          })
        })
      )
  }
  const read: Stored<A>["read"] = Effect.fnUntraced(function*(store: Store, key: string) {
    const bytes = yield* store.get(key)
    return bytes === null ? null : yield* decode(key, bytes)
  })
  return {
    read,
    decode,
    encode,
    createOrRead: Effect.fnUntraced(function*(store: Store, key: string, value: A) {
      const { created } = yield* store.create(key, encode(value))
      if (created) return { created, value }
      const there = yield* read(store, key)
      if (there !== null) return { created, value: there }
      return yield* new BatchError({
        module,
        method: "write",
        reason: new Damaged({ key, message: `the object ${key} was removed while it was being written; run again` })
      })
    })
  }
}
