/**
 * JSON arrays of numbers, read from bytes to float32 with no number or string in between, each number rounded once: to
 * the float32 nearest to its decimal value, of two equally near ones to the even one. By way of a double, as with
 * `Math.fround(JSON.parse(text))`, a decimal next to the middle of two float32 numbers can come out on the wrong side.
 *
 * Nearly all numbers become a double that is at most `slack` units in its last place off the decimal value. Where no
 * middle of two float32 numbers is that near, the double rounds as the decimal value does; else the digits decide.
 *
 * @internal
 */

const minus = 0x2d
const plus = 0x2b
const point = 0x2e
const comma = 0x2c
const space = 0x20
const zero = 0x30
const bracket = 0x5d

/** `powers[n]` is 10 to the n, `powers[128 + n]` the same with a minus. */
const powers = Float64Array.from({ length: 256 }, (_, n) => n < 128 ? Number(`1e${n}`) : -Number(`1e${n - 128}`))

const double = new Float64Array(1)
const doubleBits = new Uint32Array(double.buffer)
/** Which of a double's two words holds the end of its fraction. */
const low = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1 ? 0 : 1
const float = new Float32Array(1)
const floatBits = new Uint32Array(float.buffer)

/**
 * How many units in the last place a double of the fast ways may be off. Every operation adds at most one, an inexact
 * power of ten one, and digits left out less than one: at most twelve in all.
 */
const slack = 32

/** The bits of a double that a normal float32 has not, and what they are in the middle of two of those. */
const excess = 0x1fffffff
const middle = 0x10000000

/** Between these, with a margin, a double rounds to a normal float32. */
const smallest = 1.2e-38
const largest = 3.4e38

/** More digits than the middle of two float32 numbers has, which is 113 at most. */
const maxDigits = 200

/** Where the number ended that was read last. */
let numberEnd = 0

const isSpace = (c: number | undefined): boolean => c === space || c === 0x0a || c === 0x0d || c === 0x09

/** Where what is no white space begins, from `p` on. */
const skipSpace = (bytes: Buffer, p: number): number => {
  let q = p
  while (isSpace(bytes[q])) q++
  return q
}

const isDigit = (c: number | undefined): boolean => c !== undefined && c >= zero && c <= 0x39

const isE = (c: number | undefined): boolean => c === 0x65 || c === 0x45

/** Whether a float32 with other bits could be as near to the decimal value as the one that `value` rounds to. */
const isDoubtful = (value: number): boolean => {
  double[0] = value
  return ((doubleBits[low]! & excess) - (middle - slack)) >>> 0 <= 2 * slack
}

/** The number whose text lies from `start` to before `end`, rounded to float32; NaN where that is infinite. */
const readExactly = (bytes: Buffer, start: number, end: number): number => {
  const negative = bytes[start] === minus
  let digits = ""
  let scale = 0
  let more = false
  let decimals = false
  let p = negative ? start + 1 : start
  for (; p < end && !isE(bytes[p]); p++) {
    const c = bytes[p]!
    if (c === point) decimals = true
    else if (digits.length < maxDigits) {
      if (c !== zero || digits !== "") digits += String.fromCharCode(c)
      if (decimals) scale--
    } else {
      more ||= c !== zero
      if (!decimals) scale++
    }
  }
  if (digits === "") return negative ? -0 : 0
  if (p < end) scale += Number(bytes.toString("latin1", p + 1, end))
  scale = Math.max(-1e6, Math.min(1e6, scale))
  if (more) {
    digits += "1"
    scale--
  }
  const size = roundExactly(digits, scale)
  return negative ? -size : size
}

/** `digits` times 10 to the `scale` as float32; NaN where that is infinite. */
const roundExactly = (digits: string, scale: number): number => {
  const value = Number(`${digits}e${scale}`)
  if (value === Number.POSITIVE_INFINITY) return Number.NaN
  float[0] = value
  const nearest = float[0]
  if (nearest === value) return nearest
  floatBits[0]! += value > nearest ? 1 : -1
  const other = float[0]
  // As if the numbers went on after the largest, which is how they round.
  const halfway = (Math.min(nearest, 2 ** 128) + Math.min(other, 2 ** 128)) / 2
  let rounded = nearest
  if (value === halfway) {
    const side = compareExactly(digits, scale, halfway)
    if (side !== 0) rounded = side < 0 === nearest < other ? nearest : other
  }
  return Number.isFinite(rounded) ? rounded : Number.NaN
}

/** Below zero where `digits` times 10 to the `scale` is less than the middle of two float32 numbers. */
const compareExactly = (digits: string, scale: number, halfway: number): number => {
  // A multiple of 2 to the -150.
  const right = BigInt(halfway * 2 ** 150) * (scale < 0 ? 10n ** BigInt(-scale) : 1n)
  const left = BigInt(digits) * (scale > 0 ? 10n ** BigInt(scale) : 1n) << 150n
  return left < right ? -1 : left > right ? 1 : 0
}

/** Any number as JSON writes it, rounded to float32 or to a double that rounds as it does; NaN for anything else. */
const readNumber = (bytes: Buffer, start: number): number => {
  let p = start
  const negative = bytes[p] === minus
  if (negative) p++
  if (!isDigit(bytes[p])) return Number.NaN
  let mantissa = 0
  let digits = 0
  let scale = 0
  if (bytes[p] === zero) p++
  else {
    for (; isDigit(bytes[p]); p++) {
      if (digits++ < 19) mantissa = mantissa * 10 + bytes[p]! - zero
      else scale++
    }
  }
  if (bytes[p] === point) {
    if (!isDigit(bytes[++p])) return Number.NaN
    for (; isDigit(bytes[p]); p++) {
      if (digits >= 19) continue
      mantissa = mantissa * 10 + bytes[p]! - zero
      if (mantissa !== 0) digits++
      scale--
    }
  }
  if (isE(bytes[p])) {
    const down = bytes[++p] === minus
    if (down || bytes[p] === plus) p++
    if (!isDigit(bytes[p])) return Number.NaN
    let exponent = 0
    for (; isDigit(bytes[p]); p++) exponent = exponent * 10 + bytes[p]! - zero
    scale += down ? -exponent : exponent
  }
  numberEnd = p
  if (mantissa === 0) return negative ? -0 : 0
  if (scale > -128 && scale < 128) {
    const size = scale < 0 ? mantissa / powers[-scale]! : mantissa * powers[scale]!
    if (size >= smallest && size <= largest && !isDoubtful(size)) return negative ? -size : size
  }
  return readExactly(bytes, start, p)
}

/** How many numbers `readFast` has put into `out`, with those that were there. */
let counted = 0

/**
 * Reads the numbers from `start` on into `out` from `count` on, as long as they have at most nine digits before the
 * point, 23 behind it and two of the exponent, and begin before `last`. Gives where it met another number, or what is
 * none; and where it met anything but a comma behind a number, the complement of that. It calls nothing, so that the
 * compiler can keep all of its state in registers.
 */
const readFast = (
  bytes: Buffer,
  view: DataView,
  start: number,
  last: number,
  out: Float32Array,
  count: number
): number => {
  let p = start
  let n = count
  numbers: while (p < last) {
    const negative = ((bytes[p]! ^ minus) - 1) >>> 31
    let q = p + negative
    let whole = bytes[q]! - zero
    if (whole >>> 0 > 9) break
    let next = bytes[++q]!
    if (next !== point) {
      const most = whole === 0 ? q : q + 8
      for (; (next - zero) >>> 0 <= 9; next = bytes[++q]!) {
        if (q === most) break numbers
        whole = whole * 10 + (next - zero)
      }
    }
    let mantissa = whole
    let decimals = 0
    if (next === point) {
      q++
      // Four bytes at a time, less "0": those before the lowest bit of `others` are digits.
      let x = view.getInt32(q, true) ^ 0x30303030
      let others = (x | (x + 0x76767676)) & 0x80808080
      while (others === 0) {
        x = (Math.imul(x, 10) + (x >>> 8)) & 0x00ff00ff
        mantissa = mantissa * 10_000 + (Math.imul(x & 0xff, 100) + (x >>> 16))
        decimals += 4
        if (decimals === 24) break numbers
        x = view.getInt32(q + decimals, true) ^ 0x30303030
        others = (x | (x + 0x76767676)) & 0x80808080
      }
      const rest = (31 - Math.clz32(others & -others)) >>> 3
      x = (x << 8) << ((3 - rest) << 3)
      x = (Math.imul(x, 10) + (x >>> 8)) & 0x00ff00ff
      mantissa = mantissa * powers[rest]! + (Math.imul(x & 0xff, 100) + (x >>> 16))
      decimals += rest
      if (decimals === 0) break
      q += decimals
      next = bytes[q]!
    }
    let value: number
    if (isE(next)) {
      const sign = bytes[++q]
      if (sign === minus || sign === plus) q++
      let exponent = bytes[q]! - zero
      if (exponent >>> 0 > 9) break
      const second = bytes[++q]! - zero
      if (second >>> 0 <= 9) {
        exponent = exponent * 10 + second
        if ((bytes[++q]! - zero) >>> 0 <= 9) break
      }
      const scale = sign === minus ? -exponent - decimals : exponent - decimals
      value = scale < 0 ? mantissa / powers[(negative << 7) - scale]! : mantissa * powers[(negative << 7) + scale]!
      const size = Math.abs(value)
      if (!(size >= smallest && size <= largest) || isDoubtful(value)) break
    } else {
      value = mantissa / powers[(negative << 7) + decimals]!
      // Nine digits are exact in a double.
      if (decimals !== 0 && isDoubtful(value)) break
    }
    out[n++] = value
    while (bytes[q]! <= space && isSpace(bytes[q])) q++
    if (bytes[q] !== comma) {
      p = ~q
      break
    }
    p = q + 1
    while (bytes[p]! <= space && isSpace(bytes[p])) p++
  }
  counted = n
  return p
}

/**
 * Reads the array of numbers in `bytes`, from its `[` at `start` to before `end`, into `out`, and gives how many there
 * are: -1 where it is anything but numbers as JSON writes them that are finite as float32. `out` must have room for
 * half as many numbers as the array has bytes; what it has after a -1 means nothing.
 *
 * @internal
 */
export const scanFloats = (bytes: Buffer, start: number, end: number, out: Float32Array): number => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const isEnd = (p: number): boolean => bytes[p] === bracket && p + 1 === end
  let count = 0
  let p = skipSpace(bytes, start + 1)
  if (isEnd(p)) return 0
  for (;;) {
    // No number that is read fast has 48 bytes.
    p = readFast(bytes, view, p, bytes.length - 48, out, count)
    count = counted
    if (p < 0) return isEnd(~p) ? count : -1
    const value = readNumber(bytes, p)
    if (Number.isNaN(value)) return -1
    out[count++] = value
    p = skipSpace(bytes, numberEnd)
    if (bytes[p] !== comma) return isEnd(p) ? count : -1
    p = skipSpace(bytes, p + 1)
  }
}

/** Where arrays are read of which it holds the most numbers that they can have; of others they are counted first. */
const scratch = new Float32Array(65_536)

const countCommas = (bytes: Buffer, start: number, end: number): number => {
  let commas = 0
  for (let p = start; p < end; p++) if (bytes[p] === comma) commas++
  return commas
}

/**
 * The array of numbers in `bytes`, from its `[` at `start` to before `end`, in what `allocate` gives for so many
 * numbers; null, and nothing allocated, where `scanFloats` gives -1.
 *
 * @internal
 */
export const scanVector = (
  bytes: Buffer,
  start: number,
  end: number,
  allocate: (length: number) => Float32Array
): Float32Array | null => {
  const numbers = (end - start) >> 1 <= scratch.length ? scratch : new Float32Array(countCommas(bytes, start, end) + 1)
  const count = scanFloats(bytes, start, end, numbers)
  if (count === -1) return null
  const vector = allocate(count)
  vector.set(numbers.subarray(0, count))
  return vector
}
