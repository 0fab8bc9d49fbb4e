/**
 * CRC-64/NVME, which S3 keeps of every object that was stored without another checksum.
 *
 * @internal
 */

const slices = 8

/** For each byte and slice the high and the low half; made when first asked for. */
let tables: ReadonlyArray<Uint32Array> | null = null

const makeTables = (): ReadonlyArray<Uint32Array> => {
  const polynomial = 0x9a6c9329ac4bc9b5n
  const made = Array.from({ length: slices }, () => new Uint32Array(512))
  for (let byte = 0; byte < 256; byte++) {
    let crc = BigInt(byte)
    for (const table of made) {
      for (let bit = 0; bit < 8; bit++) crc = (crc & 1n) === 1n ? (crc >> 1n) ^ polynomial : crc >> 1n
      table[2 * byte] = Number(crc >> 32n)
      table[2 * byte + 1] = Number(crc & 0xffffffffn)
    }
  }
  return made
}

/**
 * Computes it over bytes that come piece by piece.
 *
 * @internal
 */
export class Crc64 {
  #high = 0xffffffff
  #low = 0xffffffff

  /** Takes the next bytes. */
  update(bytes: Uint8Array): void {
    const [t0, t1, t2, t3, t4, t5, t6, t7] = tables ??= makeTables()
    let high = this.#high
    let low = this.#low
    let i = 0
    for (; i + slices <= bytes.length; i += slices) {
      const a = ((low ^ bytes[i]!) & 255) << 1
      const b = (((low >>> 8) ^ bytes[i + 1]!) & 255) << 1
      const c = (((low >>> 16) ^ bytes[i + 2]!) & 255) << 1
      const d = (((low >>> 24) ^ bytes[i + 3]!) & 255) << 1
      const e = ((high ^ bytes[i + 4]!) & 255) << 1
      const f = (((high >>> 8) ^ bytes[i + 5]!) & 255) << 1
      const g = (((high >>> 16) ^ bytes[i + 6]!) & 255) << 1
      const h = (((high >>> 24) ^ bytes[i + 7]!) & 255) << 1
      high = t7![a]! ^ t6![b]! ^ t5![c]! ^ t4![d]! ^ t3![e]! ^ t2![f]! ^ t1![g]! ^ t0![h]!
      low = t7![a + 1]! ^ t6![b + 1]! ^ t5![c + 1]! ^ t4![d + 1]! ^ t3![e + 1]! ^ t2![f + 1]! ^ t1![g + 1]! ^
        t0![h + 1]!
    }
    for (; i < bytes.length; i++) {
      const at = ((low ^ bytes[i]!) & 255) << 1
      low = ((low >>> 8) | ((high & 255) << 24)) ^ t0![at + 1]!
      high = (high >>> 8) ^ t0![at]!
    }
    this.#high = high
    this.#low = low
  }

  /** The value so far, in lower-case hex. */
  digest(): string {
    const half = (bits: number) => (~bits >>> 0).toString(16).padStart(8, "0")
    return half(this.#high) + half(this.#low)
  }
}
