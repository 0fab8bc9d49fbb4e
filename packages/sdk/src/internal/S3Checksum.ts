/**
 * Which checksum of an object can be computed again from its bytes, of those that S3 tells.
 *
 * @internal
 */
import type { HeadObjectCommandOutput } from "@aws-sdk/client-s3"
import type { Checksum } from "../store/ObjectStore.ts"

const hexOf = (base64: string): string => Buffer.from(base64, "base64").toString("hex")

/**
 * The checksum of the whole object; of several the strongest. A checksum of checksums of parts is none, nor is an ETag
 * that is not the MD5 of the bytes: of an object in parts, or one that is encrypted with a key of KMS or of the caller.
 *
 * @internal
 */
export const checksumOf = (answer: HeadObjectCommandOutput): Checksum | null => {
  const etag = (answer.ETag ?? "").replaceAll("\"", "").toLowerCase()
  // Other endpoints than AWS's may not say of what it is: of the whole, where the object was stored in one piece.
  const whole = answer.ChecksumType === undefined ? !etag.includes("-") : answer.ChecksumType === "FULL_OBJECT"
  const known = [
    ["sha256", answer.ChecksumSHA256],
    ["sha1", answer.ChecksumSHA1],
    ["crc64nvme", answer.ChecksumCRC64NVME],
    ["crc32", answer.ChecksumCRC32]
  ] as const
  for (const [algorithm, value] of known) {
    if (whole && value !== undefined && !value.includes("-")) return { algorithm, value: hexOf(value) }
  }
  const isDigest = /^[0-9a-f]{32}$/.test(etag) && answer.SSECustomerAlgorithm === undefined &&
    !(answer.ServerSideEncryption ?? "").startsWith("aws:kms")
  return isDigest ? { algorithm: "md5", value: etag } : null
}
