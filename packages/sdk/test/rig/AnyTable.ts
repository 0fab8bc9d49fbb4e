import { Arbitrary, Schema } from "effect"
import type { Column, ColumnType, ScalarType, TimeUnit } from "../../src/Column.ts"
import type { Batch } from "../../src/internal/Batch.ts"

/** The name of a type, whatever its parameters. */
export type Kind = Exclude<ColumnType, ScalarType>["type"] | ScalarType

export const scalarKinds = [
  "string",
  "integer",
  "bigint",
  "number",
  "boolean",
  "date",
  "binary",
  "json",
  "vector",
  "int8",
  "int16",
  "int32",
  "uint8",
  "uint16",
  "uint32",
  "uint64",
  "float32",
  "day",
  "uuid"
] as const satisfies ReadonlyArray<Kind>

export const everyKind = [
  ...scalarKinds,
  "decimal",
  "timestamp",
  "time",
  "fixed",
  "list",
  "struct",
  "map"
] as const satisfies ReadonlyArray<Kind>

export type Row = ReadonlyArray<unknown>

/** Columns, and rows with a value (or null) for each. */
export interface Table {
  readonly columns: ReadonlyArray<Column>
  readonly rows: ReadonlyArray<Row>
}

/** The rows as one batch. */
export const batchOf = (columns: ReadonlyArray<Column>, rows: ReadonlyArray<Row>): Batch => ({
  length: rows.length,
  columns: columns.map((_, j) => rows.map((row) => row[j]))
})

/** The rows as batches of at most `size` rows. */
export const batchesOf = ({ columns, rows }: Table, size: number): ReadonlyArray<Batch> =>
  Array.from(
    { length: Math.ceil(rows.length / size) },
    (_, i) => batchOf(columns, rows.slice(i * size, (i + 1) * size))
  )

/** The rows of batches. */
export const rowsOf = (batches: ReadonlyArray<Batch>): ReadonlyArray<Row> =>
  batches.flatMap((batch) => Array.from({ length: batch.length }, (_, i) => batch.columns.map((values) => values[i])))

/** A column of every type, with each parameter that makes a difference, flat and nested. */
export const everyType: ReadonlyArray<Column> = [
  { name: "text", type: "string" },
  { name: "whole", type: "integer" },
  { name: "big", type: "bigint" },
  { name: "number", type: "number" },
  { name: "flag", type: "boolean" },
  { name: "at", type: "date" },
  { name: "bytes", type: "binary" },
  { name: "data.json", type: "json" },
  { name: "embedding", type: "vector" },
  { name: "int8", type: "int8" },
  { name: "int16", type: "int16" },
  { name: "int32", type: "int32" },
  { name: "uint8", type: "uint8" },
  { name: "uint16", type: "uint16" },
  { name: "uint32", type: "uint32" },
  { name: "uint64", type: "uint64" },
  { name: "float32", type: "float32" },
  { name: "day", type: "day" },
  { name: "uuid", type: "uuid" },
  { name: "price", type: { type: "decimal", precision: 9, scale: 2 } },
  { name: "decimal 38", type: { type: "decimal", precision: 38, scale: 0 } },
  { name: "decimal 76", type: { type: "decimal", precision: 76, scale: 40 } },
  { name: "seconds", type: { type: "timestamp", unit: "s", zone: null } },
  { name: "millis", type: { type: "timestamp", unit: "ms", zone: null } },
  { name: "micros UTC", type: { type: "timestamp", unit: "us", zone: "UTC" } },
  { name: "nanos", type: { type: "timestamp", unit: "ns", zone: null } },
  { name: "time s", type: { type: "time", unit: "s" } },
  { name: "time ms", type: { type: "time", unit: "ms" } },
  { name: "time us", type: { type: "time", unit: "us" } },
  { name: "time ns", type: { type: "time", unit: "ns" } },
  { name: "fixed", type: { type: "fixed", bytes: 3 } },
  { name: "list", type: { type: "list", element: "string" } },
  { name: "list of lists", type: { type: "list", element: { type: "list", element: "boolean" } } },
  {
    name: "struct",
    type: {
      type: "struct",
      fields: [
        { name: "", type: "string" },
        { name: "__proto__", type: "int32" },
        { name: "a.b", type: { type: "struct", fields: [{ name: "at", type: "date" }, { name: "v", type: "vector" }] } }
      ]
    }
  },
  { name: "map", type: { type: "map", key: "string", value: "bigint" } },
  {
    name: "map of lists",
    type: {
      type: "map",
      key: "day",
      value: { type: "list", element: { type: "struct", fields: [{ name: "uuid", type: "uuid" }] } }
    }
  }
]

const struct = (...fields: ReadonlyArray<readonly [name: string, value: unknown]>): unknown =>
  Object.fromEntries(fields)

const nines = (digits: number): string => "9".repeat(digits)

const nullRow = everyType.map(() => null)

/** Rows of `everyType` with the values that are easily got wrong. */
export const nastyRows: ReadonlyArray<Row> = [
  [
    "plain",
    1,
    1n,
    1.5,
    true,
    new Date(0),
    Uint8Array.of(1, 2),
    { a: [1, null] },
    Float32Array.of(0.1, -2),
    1,
    1,
    1,
    1,
    1,
    1,
    1n,
    0.5,
    "1970-01-01",
    "01234567-89ab-cdef-0123-456789abcdef",
    "1.50",
    "1",
    `1.${"0".repeat(39)}1`,
    "2026-11-23T12:30:00",
    "2026-11-23T12:30:00.001",
    "2026-11-23T12:30:00.000001Z",
    "2026-11-23T12:30:00.000000001",
    "12:30:00",
    "12:30:00.001",
    "12:30:00.000001",
    "12:30:00.000000001",
    Uint8Array.of(1, 2, 3),
    ["a", null, ""],
    [[true, null], null, []],
    struct(["", "x"], ["__proto__", 7], ["a.b", { at: new Date(1), v: Float32Array.of(1, 2) }]),
    [{ key: "a", value: 1n }, { key: "b", value: null }, { key: "a", value: 2n }],
    [{ key: "2026-11-23", value: [{ uuid: "ffffffff-ffff-ffff-ffff-ffffffffffff" }, null, { uuid: null }] }]
  ],
  nullRow,
  [
    "",
    0,
    0n,
    0,
    false,
    new Date(-1),
    new Uint8Array(0),
    [],
    new Float32Array(0),
    0,
    0,
    0,
    0,
    0,
    0,
    0n,
    0,
    "1969-12-31",
    "00000000-0000-0000-0000-000000000000",
    "0.00",
    "0",
    `0.${"0".repeat(40)}`,
    "1970-01-01T00:00:00",
    "1970-01-01T00:00:00.000",
    "1970-01-01T00:00:00.000000Z",
    "1970-01-01T00:00:00.000000000",
    "00:00:00",
    "00:00:00.000",
    "00:00:00.000000",
    "00:00:00.000000000",
    Uint8Array.of(0, 0, 0),
    [],
    [],
    struct(["", null], ["__proto__", null], ["a.b", null]),
    [],
    []
  ],
  [
    "é😀\u2028\u0085\"x\",\r\n\0\ufeff",
    Number.MAX_SAFE_INTEGER,
    2n ** 63n - 1n,
    5e-324,
    true,
    new Date(8.64e15),
    Uint8Array.from({ length: 300 }, (_, i) => i),
    "text \"in\" JSON",
    Float32Array.of(16777216, 1e-45, 3.4028235e38, -0),
    127,
    32767,
    2 ** 31 - 1,
    255,
    65535,
    2 ** 32 - 1,
    2n ** 64n - 1n,
    Math.fround(3.4028235e38),
    "9999-12-31",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
    "9999999.99",
    nines(38),
    `${nines(36)}.${nines(40)}`,
    "9999-12-31T23:59:59",
    "9999-12-31T23:59:59.999",
    "9999-12-31T23:59:59.999999Z",
    "2262-04-11T23:47:16.854775807",
    "23:59:59",
    "23:59:59.999",
    "23:59:59.999999",
    "23:59:59.999999999",
    Uint8Array.of(255, 255, 255),
    ["é😀", "x".repeat(2000)],
    [[], [false], [null]],
    struct(["", "y"], ["__proto__", -1], ["a.b", { at: null, v: new Float32Array(0) }]),
    [{ key: "", value: 2n ** 63n - 1n }],
    [{ key: "+010000-01-01", value: [] }, { key: "0000-02-29", value: null }]
  ],
  nullRow,
  nullRow,
  [
    " ",
    Number.MIN_SAFE_INTEGER,
    -(2n ** 63n),
    -0,
    false,
    new Date(-8.64e15),
    Uint8Array.of(0),
    0,
    Float32Array.of(7),
    -128,
    -32768,
    -(2 ** 31),
    0,
    0,
    0,
    2n ** 63n,
    -0,
    "-000001-12-31",
    "80000000-0000-0000-8000-000000000000",
    "-9999999.99",
    `-${nines(38)}`,
    `-${nines(36)}.${nines(40)}`,
    "-000001-01-01T00:00:01",
    "+010000-01-01T00:00:00.000",
    "-271821-04-20T00:00:00.000001Z",
    "1677-09-21T00:12:43.145224192",
    "00:00:01",
    "00:00:00.001",
    "00:00:00.000001",
    "00:00:00.000000001",
    Uint8Array.of(128, 0, 127),
    [null],
    [null],
    struct(["", ""], ["__proto__", 0], ["a.b", { at: new Date(-1), v: null }]),
    [{ key: "\0", value: -(2n ** 63n) }],
    [{ key: "1969-12-31", value: [null] }]
  ],
  [
    "x".repeat(3000),
    -1,
    -1n,
    1e21,
    true,
    new Date(1_700_000_000_123),
    Uint8Array.of(9),
    false,
    new Float32Array(2000),
    -1,
    -1,
    -1,
    128,
    32768,
    2 ** 31,
    1n,
    Math.fround(1e-45),
    "2024-02-29",
    "123e4567-e89b-12d3-a456-426614174000",
    "-0.01",
    "-1",
    `-0.${"0".repeat(39)}1`,
    "1969-12-31T23:59:59",
    "1969-12-31T23:59:59.999",
    "1969-12-31T23:59:59.999999Z",
    "1969-12-31T23:59:59.999999999",
    "01:02:03",
    "01:02:03.004",
    "01:02:03.000004",
    "01:02:03.000000004",
    Uint8Array.of(7, 8, 9),
    Array.from({ length: 300 }, (_, i) => (i % 3 === 0 ? null : String(i))),
    Array.from({ length: 40 }, (_, i) => Array.from({ length: i }, (_, k) => k % 2 === 0)),
    struct(["", "z"], ["__proto__", 1], ["a.b", { at: new Date(0), v: new Float32Array(1000) }]),
    Array.from({ length: 300 }, (_, i) => ({ key: `k${i}`, value: BigInt(i) })),
    Array.from({ length: 30 }, () => ({ key: "2026-11-23", value: [{ uuid: null }] }))
  ]
]

// An integer has no -0.
const whole = (minimum: number, maximum: number): Arbitrary.Arbitrary<number> =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum, maximum }))).pipe(Arbitrary.map((value) => value + 0))

const safe: Arbitrary.Arbitrary<number> = Arbitrary.schema(Schema.Int).pipe(Arbitrary.map((value) => value + 0))

const oneOf = <A>(values: ReadonlyArray<A>): Arbitrary.Arbitrary<A> =>
  whole(0, values.length - 1).pipe(Arbitrary.map((i) => values[i]!))

const anyOf = <A>(choices: ReadonlyArray<Arbitrary.Arbitrary<A>>): Arbitrary.Arbitrary<A> =>
  oneOf(choices).pipe(Arbitrary.flatMap((choice) => choice))

const sized = (bits: number, values: Arbitrary.Arbitrary<bigint>): Arbitrary.Arbitrary<bigint> => {
  const edges = [0n, 1n, -1n, 2n ** BigInt(bits - 1) - 1n, -(2n ** BigInt(bits - 1))]
  return anyOf([values, oneOf(edges)]).pipe(Arbitrary.map((value) => BigInt.asIntN(bits, value)))
}

const bytes = (length: number): Arbitrary.Arbitrary<Uint8Array> =>
  Arbitrary.array(whole(0, 255), { minLength: length, maxLength: length }).pipe(
    Arbitrary.map((values) => Uint8Array.from(values))
  )

// A lone surrogate has no UTF-8.
const text = anyOf([
  Arbitrary.schema(Schema.String).pipe(Arbitrary.map((value) => Buffer.from(value).toString())),
  oneOf(["", "null", "é", "😀", "\u2028\r\n\"", "0", "x".repeat(70)])
])

const json: Arbitrary.Arbitrary<unknown> = anyOf<unknown>([
  text,
  Arbitrary.schema(Schema.Boolean),
  safe,
  Arbitrary.array(anyOf<unknown>([text, safe, Arbitrary.Constant(null)]), { maxLength: 4 }),
  Arbitrary.all({ a: text, "b c": Arbitrary.array(Arbitrary.schema(Schema.Boolean), { maxLength: 2 }) })
])

const finiteNumber = anyOf([
  Arbitrary.schema(Schema.Finite),
  oneOf([0, -0, 0.1, 1e21, 5e-324, -1.7976931348623157e308])
])

const numberOf = (finite: boolean): Arbitrary.Arbitrary<number> =>
  finite ? finiteNumber : anyOf([finiteNumber, finiteNumber, oneOf([NaN, Infinity, -Infinity])])

const float32Of = (finite: boolean): Arbitrary.Arbitrary<number> =>
  numberOf(finite).pipe(
    Arbitrary.map((value) =>
      Number.isFinite(value) && !Number.isFinite(Math.fround(value)) ? 0.5 : Math.fround(value)
    )
  )

const digitsOf: { readonly [U in TimeUnit]: number } = { s: 0, ms: 3, us: 6, ns: 9 }

const fraction = (unit: TimeUnit): Arbitrary.Arbitrary<string> => {
  const digits = digitsOf[unit]
  return digits === 0
    ? Arbitrary.Constant("")
    : anyOf([whole(0, 10 ** digits - 1), oneOf([0, 1, 10 ** digits - 1])]).pipe(
      Arbitrary.map((value) => `.${String(value).padStart(digits, "0")}`)
    )
}

/** Milliseconds of whole seconds, within what 64 bits of nanoseconds hold where that is the unit. */
const instant = (unit: TimeUnit): Arbitrary.Arbitrary<number> => {
  const most = unit === "ns" ? 9_223_372_035 : 8_639_999_999_999
  return anyOf([whole(-most, most), whole(-100_000, 100_000), whole(0, 4_000_000_000)]).pipe(
    Arbitrary.map((seconds) => seconds * 1000)
  )
}

const timestamp = (unit: TimeUnit, zone: string | null): Arbitrary.Arbitrary<string> =>
  Arbitrary.all([instant(unit), fraction(unit)]).pipe(
    Arbitrary.map(([at, digits]) => new Date(at).toISOString().slice(0, -5) + digits + (zone === null ? "" : "Z"))
  )

const time = (unit: TimeUnit): Arbitrary.Arbitrary<string> =>
  Arbitrary.all([whole(0, 86_399), fraction(unit)]).pipe(
    Arbitrary.map(([seconds, digits]) => new Date(seconds * 1000).toISOString().slice(11, 19) + digits)
  )

const day: Arbitrary.Arbitrary<string> = anyOf([whole(-100_000_000, 100_000_000), whole(-800_000, 40_000)]).pipe(
  Arbitrary.map((days) => new Date(days * 86_400_000).toISOString().slice(0, -14))
)

const uuid: Arbitrary.Arbitrary<string> = bytes(16).pipe(
  Arbitrary.map((value) => Buffer.from(value).toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-"))
)

const decimal = (precision: number, scale: number): Arbitrary.Arbitrary<string> =>
  Arbitrary.all({
    negative: Arbitrary.schema(Schema.Boolean),
    digits: Arbitrary.array(whole(0, 9), { maxLength: precision })
  }).pipe(
    Arbitrary.map(({ digits, negative }) => {
      const unscaled = BigInt(digits.join("") || "0")
      const padded = String(unscaled).padStart(scale + 1, "0")
      const point = padded.length - scale
      const number = scale === 0 ? padded : `${padded.slice(0, point)}.${padded.slice(point)}`
      return negative && unscaled !== 0n ? `-${number}` : number
    })
  )

const nullable = (value: Arbitrary.Arbitrary<unknown>): Arbitrary.Arbitrary<unknown> =>
  anyOf([value, value, Arbitrary.Constant(null)])

/** Any value of a type but null; null inside it, where the type admits that. */
export const anyValue = (type: ColumnType, finite = false): Arbitrary.Arbitrary<unknown> => {
  switch (type) {
    case "string":
      return text
    case "integer":
      return anyOf([safe, oneOf([0, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER])])
    case "bigint":
      return sized(64, Arbitrary.schema(Schema.BigInt))
    case "number":
      return numberOf(finite)
    case "boolean":
      return Arbitrary.schema(Schema.Boolean)
    case "date":
      return anyOf([
        Arbitrary.schema(Schema.Date).pipe(Arbitrary.filter((date) => !Number.isNaN(date.getTime()))),
        oneOf([new Date(0), new Date(-1), new Date(8.64e15), new Date(-8.64e15)])
      ])
    case "binary":
      return anyOf([whole(0, 5), oneOf([0, 64, 300])]).pipe(Arbitrary.flatMap(bytes))
    case "json":
      return json
    case "vector":
      return Arbitrary.array(float32Of(finite), { maxLength: 9 }).pipe(
        Arbitrary.map((values) => Float32Array.from(values))
      )
    case "int8":
    case "int16":
    case "int32": {
      const most = 2 ** (Number(type.slice(3)) - 1) - 1
      return anyOf([whole(-most - 1, most), oneOf([0, most, -most - 1])])
    }
    case "uint8":
    case "uint16":
    case "uint32": {
      const most = 2 ** Number(type.slice(4)) - 1
      return anyOf([whole(0, most), oneOf([0, most])])
    }
    case "uint64":
      return sized(64, Arbitrary.schema(Schema.BigInt)).pipe(Arbitrary.map((value) => BigInt.asUintN(64, value)))
    case "float32":
      return float32Of(finite)
    case "day":
      return day
    case "uuid":
      return uuid
    default:
      return parametricValue(type, finite)
  }
}

const parametricValue = (type: Exclude<ColumnType, ScalarType>, finite: boolean): Arbitrary.Arbitrary<unknown> => {
  switch (type.type) {
    case "decimal":
      return decimal(type.precision, type.scale)
    case "timestamp":
      return timestamp(type.unit, type.zone)
    case "time":
      return time(type.unit)
    case "fixed":
      return bytes(type.bytes)
    case "list":
      return Arbitrary.array(nullable(anyValue(type.element, finite)), { maxLength: 4 })
    case "struct":
      return Arbitrary.all(type.fields.map((field) => nullable(anyValue(field.type, finite)))).pipe(
        Arbitrary.map((values) => struct(...type.fields.map(({ name }, j) => [name, values[j]] as const)))
      )
    case "map":
      return Arbitrary.array(
        Arbitrary.all({ key: anyValue(type.key, finite), value: nullable(anyValue(type.value, finite)) }),
        { maxLength: 4 }
      )
  }
}

const units: ReadonlyArray<TimeUnit> = ["s", "ms", "us", "ns"]

/** Keys that every format takes. */
const keyKinds: ReadonlyArray<Kind> = ["string", "bigint", "int32", "day"]

/** Any type of the kinds, nested up to `depth` times where the kinds say so. */
const anyType = (kinds: ReadonlyArray<Kind>, depth: number): Arbitrary.Arbitrary<ColumnType> => {
  const flat = kinds.filter((kind) => kind !== "list" && kind !== "struct" && kind !== "map")
  const usable = depth === 0 ? flat : kinds
  const inner = () => anyType(kinds, depth - 1)
  return oneOf(usable).pipe(Arbitrary.flatMap((kind): Arbitrary.Arbitrary<ColumnType> => {
    switch (kind) {
      case "decimal":
        return whole(1, 76).pipe(
          Arbitrary.flatMap((precision) =>
            whole(0, precision).pipe(Arbitrary.map((scale): ColumnType => ({ type: "decimal", precision, scale })))
          )
        )
      case "timestamp":
        // Milliseconds in UTC are a `date`.
        return Arbitrary.all([oneOf(units), oneOf([null, "UTC"])]).pipe(
          Arbitrary.map(([unit, zone]): ColumnType => ({
            type: "timestamp",
            unit,
            zone: unit === "ms" ? null : zone
          }))
        )
      case "time":
        return oneOf(units).pipe(Arbitrary.map((unit): ColumnType => ({ type: "time", unit })))
      case "fixed":
        return whole(1, 20).pipe(Arbitrary.map((bytes): ColumnType => ({ type: "fixed", bytes })))
      case "list":
        return inner().pipe(Arbitrary.map((element): ColumnType => ({ type: "list", element })))
      case "struct":
        return Arbitrary.array(inner(), { minLength: 1, maxLength: 3 }).pipe(
          Arbitrary.map((types): ColumnType => ({
            type: "struct",
            fields: types.map((type, j) => ({ name: `f${j}`, type }))
          }))
        )
      case "map": {
        const keys = keyKinds.filter((key) => kinds.includes(key))
        return Arbitrary.all([anyType(keys.length === 0 ? ["string"] : keys, 0), inner()]).pipe(
          Arbitrary.map(([key, value]): ColumnType => ({ type: "map", key, value }))
        )
      }
      default:
        return Arbitrary.Constant(kind)
    }
  }))
}

/** What tables `anyTable` makes. */
export interface TableOptions {
  /** The types that columns, and what is in them, may have; default: every type. */
  readonly kinds?: ReadonlyArray<Kind>
  /** How deep lists, structs and maps may be nested; default 2. */
  readonly depth?: number
  /** No NaN and no infinities; default false. */
  readonly finite?: boolean
  /** Default 12. */
  readonly maxRows?: number
}

/** Any table with columns of the kinds, a good part of its values null. */
export const anyTable = (options: TableOptions = {}): Arbitrary.Arbitrary<Table> => {
  const { depth = 2, finite = false, kinds = everyKind, maxRows = 12 } = options
  return Arbitrary.array(anyType(kinds, depth), { minLength: 1, maxLength: 5 }).pipe(
    Arbitrary.flatMap((types) => {
      const columns = types.map((type, j): Column => ({ name: `c${j}`, type }))
      const row = Arbitrary.all(types.map((type) => nullable(anyValue(type, finite))))
      return Arbitrary.array(row, { maxLength: maxRows }).pipe(Arbitrary.map((rows): Table => ({ columns, rows })))
    })
  )
}
