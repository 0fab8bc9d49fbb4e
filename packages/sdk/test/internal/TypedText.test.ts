import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import type { TimeUnit } from "../../src/Column.ts"
import {
  dayText,
  dayValue,
  decimalText,
  decimalValue,
  timestampText,
  timestampValue,
  timeText,
  timeValue,
  TypedTextFault,
  uuidBytes,
  uuidText
} from "../../src/internal/TypedText.ts"

const units: ReadonlyArray<readonly [unit: TimeUnit, perSecond: bigint]> = [
  ["s", 1n],
  ["ms", 1000n],
  ["us", 1_000_000n],
  ["ns", 1_000_000_000n]
]

const most = 2n ** 63n - 1n

const int64 = Arbitrary.all([
  Arbitrary.schema(Schema.BigInt),
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 20 })))
]).pipe(
  // Any size, from small to the whole range.
  Arbitrary.map(([value, power]) => BigInt.asIntN(64, value * 10n ** BigInt(power) + 7n))
)

const refused = (read: () => unknown): void => {
  assert.throws(read, TypedTextFault)
}

describe("TypedText", () => {
  it.prop("writes days as Date does, and reads them back", {
    days: Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: -100_000_000, maximum: 100_000_000 })))
  }, ({ days }) => {
    const text = dayText(days)
    assert.strictEqual(text, new Date(days * 86_400_000).toISOString().slice(0, -14))
    assert.strictEqual(dayValue(text), days)
  }, { arbitrary: { runs: 500 } })

  it("writes every day of eight centuries as Date does", () => {
    for (let days = -200_000; days < 100_000; days++) {
      const text = dayText(days)
      if (text !== new Date(days * 86_400_000).toISOString().slice(0, -14)) assert.fail(`${days} is ${text}`)
      if (dayValue(text) !== days) assert.fail(`${text} is ${dayValue(text)}`)
    }
  })

  it("holds every day of 32 bits", () => {
    const texts = [-(2 ** 31), -(2 ** 31) + 1, 2 ** 31 - 1].map((days) => {
      assert.strictEqual(dayValue(dayText(days)), days)
      return dayText(days)
    })
    assert.deepStrictEqual(texts, ["-5877641-06-23", "-5877641-06-24", "+5881580-07-11"])
    refused(() => dayValue("+5881580-07-12"))
    refused(() => dayValue("-5877641-06-22"))
  })

  it("refuses texts that are no day, or no day in this form", () => {
    const texts = [
      "",
      "-",
      "+",
      "2026",
      "2026-11",
      "2026-11-23 ",
      " 2026-11-23",
      "2026-11-23T00:00:00",
      "2026-1-23",
      "2026-11-3",
      "2026/11/23",
      "20261123",
      "2026-00-10",
      "2026-13-10",
      "2026-11-00",
      "2026-11-31",
      "2026-02-29",
      "1900-02-29",
      "26-11-23",
      "02026-11-23",
      "+002026-11-23",
      "+2026-11-23",
      "-000000-01-01",
      "-0001-01-01",
      "+0010000-01-01",
      "+9999999999999999999-01-01",
      "２０２６-11-23",
      "2026-11-2é",
      "NaN",
      "null"
    ]
    for (const text of texts) refused(() => dayValue(text))
    assert.strictEqual(dayValue("2000-02-29"), 11_016)
  })

  it.prop("writes milliseconds as Date does", { at: Arbitrary.schema(Schema.Date) }, ({ at }) => {
    if (Number.isNaN(at.getTime())) return
    const value = BigInt(at.getTime())
    assert.strictEqual(timestampText(value, "ms", "UTC"), at.toISOString())
    assert.strictEqual(timestampText(value, "ms", null), at.toISOString().slice(0, -1))
    assert.strictEqual(timestampValue(at.toISOString(), "ms"), value)
  }, { arbitrary: { runs: 500 } })

  it.prop("reads back any timestamp of 64 bits, in every unit", { value: int64 }, ({ value }) => {
    for (const [unit, perSecond] of units) {
      const text = timestampText(value, unit, null)
      assert.strictEqual(timestampValue(text, unit), value)
      assert.strictEqual(timestampText(value, unit, "Europe/Paris"), `${text}Z`)
      assert.strictEqual(timestampValue(`${text}Z`, unit), value)
      const seconds = (value - (((value % perSecond) + perSecond) % perSecond)) / perSecond
      if (seconds > -8_640_000_000_000n && seconds < 8_640_000_000_000n) {
        const whole = text.slice(0, unit === "s" ? undefined : text.indexOf("."))
        assert.strictEqual(whole, new Date(Number(seconds) * 1000).toISOString().slice(0, -5))
      }
    }
  }, { arbitrary: { runs: 500 } })

  it("holds the ends of 64 bits, and the seconds about midnight far away", () => {
    for (const [unit, perSecond] of units) {
      const day = 86_400n * perSecond
      const far = (2n ** 53n / day) * day
      const edge = 2n ** 53n
      const near = [-1n, -day, edge, -edge, edge - 1n, edge + 1n, -edge - 1n]
      for (const value of [most, -most - 1n, far, far - 1n, far + 1n, -far, -far - 1n, ...near]) {
        assert.strictEqual(timestampValue(timestampText(value, unit, null), unit), value)
      }
    }
    assert.strictEqual(timestampText(most, "ns", null), "2262-04-11T23:47:16.854775807")
    assert.strictEqual(timestampText(-most - 1n, "ns", "UTC"), "1677-09-21T00:12:43.145224192Z")
    assert.strictEqual(timestampText(most, "s", null), "+292277026596-12-04T15:30:07")
    refused(() => timestampValue("2262-04-11T23:47:16.854775808", "ns"))
    refused(() => timestampValue("1677-09-21T00:12:43.145224191", "ns"))
    refused(() => timestampValue("+292277026596-12-04T15:30:08", "s"))
  })

  it("refuses texts that are no timestamp, or none of the unit", () => {
    const texts = [
      "",
      "2026-11-23",
      "2026-11-23T12:30",
      "2026-11-23 12:30:00.000",
      "2026-11-23T12:30:00",
      "2026-11-23T12:30:00.",
      "2026-11-23T12:30:00.00",
      "2026-11-23T12:30:00.0000",
      "2026-11-23T12:30:00,000",
      "2026-11-23T24:00:00.000",
      "2026-11-23T23:60:00.000",
      "2026-11-23T23:59:60.000",
      "2026-11-23T12:30:00.000+01:00",
      "2026-11-23T12:30:00.000ZZ",
      "2026-11-23T12:30:00.000z",
      "2026-02-30T12:30:00.000",
      "1790000000000"
    ]
    for (const text of texts) refused(() => timestampValue(text, "ms"))
    refused(() => timestampValue("2026-11-23T12:30:00.000", "s"))
  })

  it("writes and reads times within a day, and no others", () => {
    assert.strictEqual(timeText(0, "s"), "00:00:00")
    assert.strictEqual(timeText(45_000_000_000_001, "ns"), "12:30:00.000000001")
    for (const [unit, perSecond] of units) {
      const end = 86_400 * Number(perSecond)
      for (const value of [0, 1, 59, 60, 3599, 3600, end / 2, end - 1]) {
        assert.strictEqual(timeValue(timeText(value, unit), unit), value)
      }
      for (const value of [-1, end, end * 2, NaN, Infinity]) refused(() => timeText(value, unit))
    }
    for (const text of ["", "12:30", "24:00:00", "12:30:00.000", "1:30:00", "12-30-00", "12:30:0x", " 12:30:0"]) {
      refused(() => timeValue(text, "s"))
    }
    refused(() => timeValue("12:30:00", "us"))
  })

  it.prop("reads back any decimal", {
    unscaled: Arbitrary.all([Arbitrary.schema(Schema.BigInt), Arbitrary.schema(Schema.BigInt)]).pipe(
      Arbitrary.map(([a, b]) => a * 10n ** 30n + b)
    ),
    scale: Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: -5, maximum: 76 })))
  }, ({ scale, unscaled }) => {
    const text = decimalText(unscaled, scale)
    assert.strictEqual(decimalValue(text, scale), unscaled)
    const form = scale > 0 ? new RegExp(`^-?(0|[1-9]\\d*)\\.\\d{${scale}}$`) : /^-?(0|[1-9]\d*)$/
    assert.match(text, form)
  }, { arbitrary: { runs: 500 } })

  it("writes decimals with all the digits of their scale", () => {
    assert.deepStrictEqual(
      [
        decimalText(0n, 2),
        decimalText(-5n, 2),
        decimalText(-150n, 2),
        decimalText(12n, 0),
        decimalText(12n, -3),
        decimalText(0n, -3),
        decimalText(1n, 5)
      ],
      ["0.00", "-0.05", "-1.50", "12", "12000", "0", "0.00001"]
    )
  })

  it("refuses texts that are no decimal of the scale", () => {
    const texts = ["", "-", ".", "1", "1.5", "1.500", "01.50", "-0.00", "+1.50", "1,50", "1.5e", " 1.50", ".50", "-.50"]
    for (const text of [...texts, "1.-5", "--1.50", "0x1.50"]) refused(() => decimalValue(text, 2))
    for (const text of ["", "-", "1.", "01", "-0", "1n", "1e3", "1.0"]) refused(() => decimalValue(text, 0))
    for (const text of ["1", "100", "1001", "0000", "1000.0"]) refused(() => decimalValue(text, -3))
  })

  it.prop("writes and reads UUIDs", {
    bytes: Arbitrary.array(Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 }))), {
      minLength: 16,
      maxLength: 16
    })
  }, ({ bytes }) => {
    const text = uuidText(Uint8Array.from([9, ...bytes]), 1)
    assert.match(text, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
    assert.strictEqual(text.replaceAll("-", ""), Buffer.from(bytes).toString("hex"))
    assert.deepStrictEqual([...uuidBytes(text)], bytes)
  })

  it("refuses texts that are no UUID in this form", () => {
    const uuid = "123e4567-e89b-12d3-a456-426614174000"
    const texts = ["", uuid.toUpperCase(), uuid.replaceAll("-", ""), `{${uuid}}`, `${uuid}\n`, uuid.replace("1", "g")]
    for (const text of texts) refused(() => uuidBytes(text))
  })
})
