import { assert, describe, it } from "@effect/vitest"
import { Crc64 } from "../../src/internal/Crc64.ts"
import { running } from "../../src/internal/Checksums.ts"
import { checksumOf } from "../../src/internal/S3Checksum.ts"

const bytesOf = (text: string) => new TextEncoder().encode(text)
const base64Of = (hex: string) => Buffer.from(hex, "hex").toString("base64")

describe("a checksum that is computed", () => {
  it("is the published one of 123456789, in whatever pieces it comes", () => {
    const published = {
      crc64nvme: "ae8b14860a799888",
      crc32: "cbf43926",
      md5: "25f9e794323b453885f5181f1b624d0b",
      sha1: "f7c3bc1d808e04732adf679965ccc34ca7ae3441",
      sha256: "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225"
    } as const
    const names = ["crc64nvme", "crc32", "md5", "sha1", "sha256"] as const
    for (const algorithm of names) {
      for (const size of [1, 2, 8, 9]) {
        const sum = running(algorithm)
        for (let i = 0; i < 9; i += size) sum.update(bytesOf("123456789".slice(i, i + size)))
        assert.strictEqual(sum.digest(), published[algorithm], `${algorithm} by ${size}`)
      }
    }
  })

  it("is the same of many bytes at once as of one after the other", () => {
    const bytes = Uint8Array.from({ length: 3_003 }, (_, i) => (i * 37 + (i >> 5)) & 255)
    const once = new Crc64()
    once.update(bytes)
    const apart = new Crc64()
    for (const byte of bytes) apart.update(Uint8Array.of(byte))
    assert.strictEqual(apart.digest(), once.digest())
    assert.strictEqual(new Crc64().digest(), "0000000000000000")
    assert.strictEqual(running("crc32").digest(), "00000000")
  })
})

describe("a checksum that S3 tells", () => {
  const $metadata = {}
  const md5 = "25f9e794323b453885f5181f1b624d0b"
  const crc32 = "cbf43926"
  const full = { $metadata, ETag: `"${md5}"`, ChecksumType: "FULL_OBJECT" } as const

  it("is that of the whole object, the strongest of several", () => {
    const sha256 = "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225"
    const both = { ...full, ChecksumCRC32: base64Of(crc32), ChecksumSHA256: base64Of(sha256) }
    assert.deepStrictEqual(checksumOf(both), { algorithm: "sha256", value: sha256 })
    const nvme = { ...full, ChecksumCRC64NVME: base64Of("ae8b14860a799888"), ServerSideEncryption: "aws:kms" } as const
    assert.deepStrictEqual(checksumOf(nvme), { algorithm: "crc64nvme", value: "ae8b14860a799888" })
    const one = { ...full, ChecksumCRC32: base64Of(crc32) }
    assert.deepStrictEqual(checksumOf(one), { algorithm: "crc32", value: crc32 })
    const untyped = { $metadata, ETag: `"${md5}"`, ChecksumCRC32: base64Of(crc32) }
    assert.deepStrictEqual(checksumOf(untyped), { algorithm: "crc32", value: crc32 })
    const parts = { ...full, ETag: `"${md5}-3"`, ChecksumCRC32: base64Of(crc32) }
    assert.deepStrictEqual(checksumOf(parts), { algorithm: "crc32", value: crc32 })
  })

  it("is none that is of parts, or of an algorithm that is not known here", () => {
    const parts = { $metadata, ETag: `"${md5}-3"` }
    assert.isNull(checksumOf({ ...parts, ChecksumType: "COMPOSITE", ChecksumCRC32: base64Of(crc32) }))
    assert.isNull(checksumOf({ ...parts, ChecksumType: "FULL_OBJECT", ChecksumCRC32: `${base64Of(crc32)}-3` }))
    assert.isNull(checksumOf({ ...parts, ChecksumCRC32: base64Of(crc32) }))
    assert.isNull(checksumOf({ ...parts, ChecksumType: "FULL_OBJECT", ChecksumCRC32C: base64Of(crc32) }))
    assert.isNull(checksumOf({ $metadata }))
  })

  it("is the ETag, where that is the MD5 of the bytes", () => {
    assert.deepStrictEqual(checksumOf({ $metadata, ETag: `"${md5}"` }), { algorithm: "md5", value: md5 })
    const plain = { ...full, ServerSideEncryption: "AES256", ChecksumCRC32C: base64Of(crc32) } as const
    assert.deepStrictEqual(checksumOf(plain), { algorithm: "md5", value: md5 })
    for (const ServerSideEncryption of ["aws:kms", "aws:kms:dsse"] as const) {
      assert.isNull(checksumOf({ $metadata, ETag: `"${md5}"`, ServerSideEncryption }))
    }
    assert.isNull(checksumOf({ $metadata, ETag: `"${md5}"`, SSECustomerAlgorithm: "AES256" }))
  })
})
