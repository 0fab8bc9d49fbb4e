/**
 * Digests and fresh ids.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import { createHash, randomBytes } from "node:crypto"

/** @internal */
export const sha256 = (...parts: ReadonlyArray<string | Uint8Array>): string => {
  const hash = createHash("sha256")
  for (const part of parts) hash.update(part)
  return hash.digest("hex")
}

/**
 * JSON with the keys of every object in code unit order, so that equal values give equal text; a bigint is its digits
 * with an `n`.
 *
 * @internal
 */
export const canonicalJson = (value: unknown): string =>
  JSON.stringify(value, (_, member: unknown) =>
    member !== null && typeof member === "object" && !Array.isArray(member)
      ? Object.fromEntries(Object.entries(member).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)))
      : typeof member === "bigint"
      ? `${member}n`
      : member) ?? "null"

/**
 * Sixteen fresh hexadecimal digits. Not from `Random`: two processes with one seed must not write under the same id.
 *
 * @internal
 */
export const freshId: Effect.Effect<string> = Effect.sync(() => randomBytes(8).toString("hex"))
