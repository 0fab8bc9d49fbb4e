/**
 * Parquet's hybrid of runs and packed bits: how levels, and the places of values in a dictionary, are written.
 *
 * @internal
 */

const groupLength = 8
/** Packed values are written at least this often: their count is then one byte. */
const mostPacked = 63 * groupLength

/**
 * Takes numbers of a given width, in order; eight or more equal ones become a run, others are packed in groups of
 * eight. `bytes` up to `length` is what they came to; it is written over by the next ones.
 *
 * @internal
 */
export class RunWriter {
  bytes: Uint8Array = new Uint8Array(256)
  length = 0
  private width = 1
  private value = 0
  private count = 0
  private readonly packed = new Uint16Array(mostPacked)
  private packedLength = 0

  /** Begins anew; `width` is the number of bits of a number, from 1 to 16. */
  begin(width: number): void {
    this.width = width
    this.length = 0
    this.count = 0
    this.packedLength = 0
  }

  push(value: number, count: number): void {
    if (value === this.value) {
      this.count += count
      return
    }
    this.settle()
    this.value = value
    this.count = count
  }

  end(): void {
    this.settle()
    this.flushPacked()
  }

  private settle(): void {
    while (this.count > 0 && this.packedLength % groupLength !== 0) this.pack()
    if (this.count >= groupLength) {
      this.flushPacked()
      this.reserve(10)
      this.varint(this.count * 2)
      this.bytes[this.length++] = this.value
      if (this.width > 8) this.bytes[this.length++] = this.value >> 8
      this.count = 0
    }
    while (this.count > 0) this.pack()
  }

  private pack(): void {
    if (this.packedLength === mostPacked) this.flushPacked()
    this.packed[this.packedLength++] = this.value
    this.count--
  }

  private flushPacked(): void {
    if (this.packedLength === 0) return
    const groups = Math.ceil(this.packedLength / groupLength)
    this.packed.fill(0, this.packedLength, groups * groupLength)
    this.reserve(1 + groups * this.width)
    this.varint(groups * 2 + 1)
    let bits = 0
    let used = 0
    for (let i = 0; i < groups * groupLength; i++) {
      bits |= this.packed[i]! << used
      used += this.width
      while (used >= 8) {
        this.bytes[this.length++] = bits
        bits >>>= 8
        used -= 8
      }
    }
    this.packedLength = 0
  }

  private varint(value: number): void {
    let rest = value
    while (rest >= 128) {
      this.bytes[this.length++] = (rest % 128) | 128
      rest = Math.floor(rest / 128)
    }
    this.bytes[this.length++] = rest
  }

  private reserve(more: number): void {
    if (this.length + more <= this.bytes.length) return
    const larger = new Uint8Array(Math.max(this.bytes.length * 2, this.length + more))
    larger.set(this.bytes.subarray(0, this.length))
    this.bytes = larger
  }
}
