import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import { scanFloats, scanVector } from "../../src/internal/FloatScanner.ts"
import { random } from "../rig/random.ts"

const bitLength = (value: bigint): number => value.toString(2).length

/** The float32 nearest to a decimal number, by whole numbers only; null where that is infinite. */
const nearest = (text: string): number | null => {
  const [, sign, whole = "", fraction = "", exponent = "0"] = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text)!
  const digits = BigInt(whole + fraction)
  const scale = Number(exponent) - fraction.length
  const minus = sign === "-" ? -1 : 1
  if (digits === 0n) return minus * 0
  const numerator = digits * (scale > 0 ? 10n ** BigInt(scale) : 1n)
  const denominator = scale < 0 ? 10n ** BigInt(-scale) : 1n
  // The place of the last of 24 binary digits, or one below it.
  let place = bitLength(numerator) - bitLength(denominator) - 24
  const below = (power: number) =>
    power < 0 ? numerator << BigInt(-power) < denominator << 24n : numerator < denominator << BigInt(power + 24)
  if (!below(place)) place++
  place = Math.max(place, -149)
  const dividend = place < 0 ? numerator << BigInt(-place) : numerator
  const divisor = place > 0 ? denominator << BigInt(place) : denominator
  let units = dividend / divisor
  const twice = 2n * (dividend % divisor)
  if (twice > divisor || (twice === divisor && units % 2n === 1n)) units++
  const value = Number(units) * 2 ** place
  return value < 2 ** 128 ? minus * value : null
}

/** What lies behind an array in its buffer: nothing, or the rest of a line, with room for reading ahead. */
const behind = ["", `],"more":${"0".repeat(60)}`]

/** Reads `[texts]` twice: at the very end of a buffer, and inside of one. */
const scan = (text: string): Array<number> | null => {
  const results = behind.map((rest) => {
    const before = "{\"a\":"
    const bytes = Buffer.from(before + text + rest)
    const out = new Float32Array(text.length >> 1)
    const count = scanFloats(bytes, before.length, before.length + text.length, out)
    return count === -1 ? null : Array.from(out.subarray(0, count))
  })
  assert.deepStrictEqual(results[0], results[1], text)
  return results[0]!
}

const assertRounded = (texts: ReadonlyArray<string>): void => {
  const finite = texts.filter((text) => {
    const expected = nearest(text)
    if (expected === null) assert.isNull(scan(`[${text}]`), text)
    return expected !== null
  })
  const read = scan(`[${finite.join(",")}]`)
  assert.strictEqual(read?.length, finite.length)
  for (const [i, text] of finite.entries()) {
    if (!Object.is(read?.[i], nearest(text))) assert.fail(`${text} read as ${read?.[i]}, not ${nearest(text)}`)
  }
}

/** `digits` divided by 10 to the `decimals`, in full, and with an exponent. */
const written = (digits: bigint, decimals: number): Array<string> => {
  const text = digits.toString().padStart(decimals + 1, "0")
  const plain = decimals === 0 ? text : `${text.slice(0, -decimals)}.${text.slice(-decimals)}`
  const significant = digits.toString()
  const exponent = significant.length - 1 - decimals
  return [plain, `-${plain}`, `${significant[0]}.${significant.slice(1)}0E${exponent}`, `-${significant}e-${decimals}`]
}

/** `mantissa` times 2 to the `exponent`, and what is a little less and a little more. */
const around = (mantissa: bigint, exponent: number): Array<string> => {
  const digits = exponent < 0 ? mantissa * 5n ** BigInt(-exponent) : mantissa << BigInt(exponent)
  const decimals = Math.max(0, -exponent)
  const tiny = 10n ** 25n
  return [
    ...written(digits, decimals),
    ...written(digits * tiny + 1n, decimals + 25),
    ...(digits === 0n ? [] : written(digits * tiny - 1n, decimals + 25)),
    ...(decimals === 0 ? [] : [digits - 1n, digits + 1n].flatMap((near) => near < 0n ? [] : written(near, decimals)))
  ]
}

const digitsOf = (next: () => number, length: number): string =>
  Array.from({ length }, () => Math.floor(next() * 10)).join("")

/** The float32 numbers of random bits that are finite. */
const floats = (next: () => number, length: number): Float32Array =>
  new Float32Array(Uint32Array.from({ length }, () => next() * 2 ** 32).buffer).filter(Number.isFinite)

const shortest = (value: number): string => {
  for (let digits = 1; digits < 9; digits++) {
    const text = value.toPrecision(digits)
    if (Math.fround(Number(text)) === value) return text
  }
  return value.toPrecision(9)
}

describe("the judge of these tests", () => {
  it("rounds as is known", () => {
    assert.deepStrictEqual(
      ["16777217", "16777219", "16777217.0001", "1e-46", "7.1e-46", "-0.0", "0.1", "3.4028235e38", "1e39"].map(nearest),
      [16777216, 16777220, 16777218, 0, 2 ** -149, -0, Math.fround(0.1), 3.4028234663852886e38, null]
    )
    const next = random(1)
    for (const value of floats(next, 500)) assert.isTrue(Object.is(nearest(String(value)), value))
  })
})

describe("scanFloats", () => {
  it("rounds once, where a double in between would round twice", () => {
    const above = "1.000000059604644775390625000000000000000000001"
    assert.strictEqual(Math.fround(Number(above)), 1)
    assert.deepStrictEqual(scan(`[${above}]`), [1 + 2 ** -23])
    assert.deepStrictEqual(scan("[1.000000059604644775390625]"), [1])
    assert.deepStrictEqual(scan("[1.000000178813934326171875]"), [1 + 2 ** -22])
    assert.deepStrictEqual(scan("[1.00000017881393432617187499999999999999999]"), [1 + 2 ** -23])
    assert.deepStrictEqual(scan(`[1.000000059604644775390625${"0".repeat(1000)}]`), [1])
    assert.deepStrictEqual(scan(`[1.000000059604644775390625${"0".repeat(1000)}1]`), [1 + 2 ** -23])
    assert.deepStrictEqual(scan(`[1.000000059604644775390625${"0".repeat(1000)}10]`), [1 + 2 ** -23])
    assert.deepStrictEqual(scan(`[16777217${"0".repeat(500)}e-500]`), [2 ** 24])
    assert.deepStrictEqual(scan(`[16777217${"0".repeat(500)}1.0e-501]`), [2 ** 24 + 2])
  })

  it("rounds floats of every exponent, the middles between them, and what is next to those", () => {
    const next = random(2)
    for (let exponent = 0; exponent < 255; exponent++) {
      const odd = Math.floor(next() * 2 ** 22) * 2 + 1
      const fractions = exponent === 0 ? [0, 1, 2, 3, odd, 0x7fffff] : [0, 1, odd, odd - 1, 0x7fffff]
      assertRounded(fractions.flatMap((fraction) => {
        const mantissa = BigInt(fraction + (exponent === 0 ? 0 : 2 ** 23))
        const place = Math.max(exponent, 1) - 150
        const between = (2 * Number(mantissa) + 1) * 2 ** (place - 1)
        const short = [17, 18, 19, 20, 21, 22, 23, 24, 25].flatMap((digits) => [
          between.toPrecision(digits),
          between.toExponential(digits - 1)
        ])
        return [...around(mantissa, place), ...around(2n * mantissa + 1n, place - 1), ...short]
      }))
    }
  })

  it("refuses what rounds to infinity, and nothing below", () => {
    const largest = (2n ** 24n - 1n) << 104n
    const end = largest + (1n << 103n)
    assert.deepStrictEqual(scan(`[${largest}]`), [Number(largest)])
    assert.deepStrictEqual(scan(`[${end - 1n},-${end - 1n}.999999]`), [Number(largest), -Number(largest)])
    const infinite = [
      `${end}`,
      `-${end}`,
      `${end}.0`,
      `${end + 1n}`,
      "345000000000000000000000000000000000000",
      "3.45e38",
      "1e39",
      "-1E+400",
      "1e99999999999999999999999999"
    ]
    for (const text of infinite) {
      assert.isNull(scan(`[${text}]`), text)
      assert.isNull(scan(`[0.5,${text},0.5]`), text)
    }
  })

  it("keeps the sign of zeros, and lets what is too small become one", () => {
    const texts = ["0", "-0", "0.0", "-0.000000000000000000000000000000", "-0e5", "0E-999999999", "-1e-46", "1e-400"]
    assert.deepStrictEqual(scan(`[${texts.join()}]`), [0, -0, 0, -0, -0, 0, -0, 0])
    assert.deepStrictEqual(scan(`[0.${"0".repeat(100_000)}125e100000, 1${"0".repeat(1000)}e-1000]`), [0.125, 1])
    assert.deepStrictEqual(scan(`[-1e-99999999999999999999999999, 0e99999999999999999999999999]`), [-0, 0])
  })

  it.prop("rounds random floats, in shortest digits and as doubles, and random doubles", [Schema.Int], ([seed]) => {
    const next = random(seed)
    const values = floats(next, 200)
    const doubles = Array.from({ length: 100 }, () => (next() - 0.5) * Math.PI * 10 ** Math.floor(next() * 80 - 45))
    const texts = [
      ...Array.from(values, shortest),
      ...Array.from(values, String),
      ...Array.from(values, (value) => value.toExponential().replace("e", "E").replace("+", "")),
      ...doubles.map(String),
      ...doubles.map((value) => value.toPrecision(17))
    ].filter((text) => Number.isFinite(Math.fround(Number(text))))
    assertRounded(texts)
    const bits = (numbers: Iterable<number>) => new Uint32Array(Float32Array.from(numbers).buffer)
    const array = `[${texts.join()}]`
    assert.deepStrictEqual(bits(scan(array) ?? []), bits(JSON.parse(array)))
    assert.deepStrictEqual(bits(scan(`[${Array.from(values, shortest).join(", ")}]`) ?? []), bits(values))
  }, { arbitrary: { runs: 15 } })

  it.prop("rounds numbers of any length, with the point and the exponent anywhere", [Schema.Int], ([seed]) => {
    const next = random(seed)
    const exponents = ["", "", "e0", "E-1", "e+5", "e-05", "E12", "e-20", "E-38", "e-45", "e-123", "e-800", "e30"]
    const lengths = [1, 2, 3, 4, 5, 7, 8, 9, 12, 16, 17, 18, 19, 20, 21, 23, 24, 25, 26, 30, 40, 100, 800]
    const texts = lengths.flatMap((length) => {
      const digits = digitsOf(next, length)
      const point = Math.floor(next() * Math.min(length, 45))
      const whole = digits.slice(0, point).replace(/^0+/, "") || "0"
      const zeros = "0".repeat(Math.floor(next() ** 4 * 60))
      const exponent = exponents[Math.floor(next() * exponents.length)]!
      return [`${whole}.${zeros}${digits.slice(point)}${exponent}`, `-${whole}${exponent}`, `0.0${digits}`]
    })
    assertRounded(texts)
  }, { arbitrary: { runs: 30 } })

  it("reads whole numbers of any length exactly", () => {
    const texts = [
      ...Array.from({ length: 300 }, (_, i) => String(2 ** 24 + i - 10)),
      "999999999",
      "1000000000",
      "4294967295",
      "9007199254740993",
      "-18446744073709551617",
      "123456789012345678901234567890"
    ]
    assertRounded(texts)
    assertRounded(texts.flatMap((text) => [`${text}.0`, `${text}.00000000000000000001`, `${text}e0`, `${text}E-3`]))
  })

  it("reads white space wherever JSON has it, and an empty array", () => {
    assert.deepStrictEqual(scan("[ \t\r\n1 ,\n2.5\t,  -3e1\r]"), [1, 2.5, -30])
    assert.deepStrictEqual(scan("[]"), [])
    assert.deepStrictEqual(scan("[ \n ]"), [])
  })

  it("refuses what is no array of numbers", () => {
    const others = [
      "+1", "01", "-01", "00", "-", ".5", "-.5", "1.", "1.e5", "1e", "1e+", "1E-", "1.5e", "0x10", "1_000", "NaN",
      "Infinity", "-Infinity", "null", "true", "\"1\"", "[1]", "{}", "1 2", "1,", ",1", "1,,2", "--1", "1-", "1.2.3",
      "1e5e5", "1e5.5", "1e 5", "1e:", "0.5e:", "0.5e5:", "0.:", "0:", ":", "- 1", "1 .5", "\u00a01", "\ufeff1",
      "1\u000b", "1;2", "0.5x", "0.1234y", "0.1234567z", "1/2", "1:2", "0.12345\u0660", "0.1234\u00ff", "0.\u0080",
      "000.1", "00.1", "0123456789.5", "-00.5", "0.5\u0000"
    ]
    for (const other of others) {
      assert.isNull(scan(`[${other}]`), other)
      assert.isNull(scan(`[0.25,${other}]`), other)
      assert.isNull(scan(`[0.25, ${other},0.125,${"0.5,".repeat(20)}1]`), other)
    }
    const open = ["[", "[1", "[1,", "[1,2", "[1]]", "[1] ", "[1][2]", "[-", "[1.", "[1e"]
    for (const text of open) assert.isNull(scan(text), text)
  })

  it.prop("reads what JSON.parse reads as finite numbers, and refuses all else", [
    Arbitrary.array(
      Arbitrary.schema(Schema.Literals([
        "0", "1", "7", "9", "00", "12", "0.5", "1.25", "-", "-0", ".", ",", ", ", " ", "\n", "e", "E", "+", "e-5",
        "E3", "[", "]", "\"", "null", "1234567890", "0.0001220703125", "1e39", "3.4e38", "-3.1E-5", "x", "\u00e9",
        "{}"
      ])),
      { maxLength: 9 }
    )
  ], ([tokens]) => {
    const text = `[${tokens.join("")}]`
    let expected: Array<number> | null = null
    try {
      const value: unknown = JSON.parse(text)
      const isFloat = (item: unknown): item is number => typeof item === "number" && Number.isFinite(Math.fround(item))
      if (Array.isArray(value) && value.every(isFloat)) expected = value.map(Math.fround)
    } catch {
      // Not JSON.
    }
    assert.deepStrictEqual(scan(text), expected, text)
  }, { arbitrary: { runs: 5000 } })

  it("takes no digit for another when one byte of an array is changed", () => {
    const bytes = Buffer.from("[0.12345678,-1.5E-10,0.0123456789012345,12345.678,7]")
    for (let at = 1; at < bytes.length - 1; at++) {
      for (let byte = 0; byte < 256; byte++) {
        const changed = Buffer.from(bytes)
        changed[at] = byte
        let expected: Array<number> | null = null
        try {
          expected = Array.from(Float32Array.from(JSON.parse(changed.toString("latin1"))))
        } catch {
          // Not JSON.
        }
        if (expected?.every(Number.isFinite) !== true) expected = null
        assert.deepStrictEqual(scan(changed.toString("latin1")), byte < 0x80 ? expected : null)
      }
    }
  })
})

describe("scanVector", () => {
  it("places the numbers in what it is given for their count", () => {
    const bytes = Buffer.from("[[1,2.5,-3],[4,x]]")
    const slab = new Float32Array(5)
    const lengths: Array<number> = []
    const allocate = (length: number): Float32Array => {
      lengths.push(length)
      return slab.subarray(1, 1 + length)
    }
    const vector = scanVector(bytes, 1, 11, allocate)
    assert.strictEqual(vector?.buffer, slab.buffer)
    assert.deepStrictEqual(Array.from(slab), [0, 1, 2.5, -3, 0])
    assert.isNull(scanVector(bytes, 12, 17, allocate))
    assert.deepStrictEqual(lengths, [3])
  })

  it("reads arrays of any length", () => {
    for (const length of [1, 65_535, 65_536, 65_537, 100_000]) {
      for (const separator of [",", " ,\n"]) {
        const numbers = Float32Array.from({ length }, (_, i) => i / 1024)
        const bytes = Buffer.from(`[${Array.from(numbers).join(separator)}]`)
        const vector = scanVector(bytes, 0, bytes.length, (count) => new Float32Array(count))
        assert.isTrue(vector !== null && Buffer.from(vector.buffer).equals(Buffer.from(numbers.buffer)))
      }
    }
  })
})
