/**
 * The checksums that stores keep, computed over bytes that come piece by piece.
 *
 * @internal
 */
import { createHash } from "node:crypto"
import { crc32 } from "node:zlib"
import type { Checksum } from "../store/ObjectStore.ts"
import { Crc64 } from "./Crc64.ts"

/** @internal */
export interface Running {
  readonly update: (bytes: Uint8Array) => void
  /** In lower-case hex; to be asked for once, at the end. */
  readonly digest: () => string
}

/** @internal */
export const running = (algorithm: Checksum["algorithm"]): Running => {
  if (algorithm === "crc64nvme") {
    const crc = new Crc64()
    return { update: (bytes) => crc.update(bytes), digest: () => crc.digest() }
  }
  if (algorithm === "crc32") {
    let value = 0
    return {
      update: (bytes) => {
        value = crc32(bytes, value)
      },
      digest: () => value.toString(16).padStart(8, "0")
    }
  }
  const hash = createHash(algorithm)
  return { update: (bytes) => void hash.update(bytes), digest: () => hash.digest("hex") }
}
