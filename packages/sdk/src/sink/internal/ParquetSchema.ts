/**
 * Columns as a Parquet schema, and their values as the leaves of that schema.
 *
 * A leaf has an entry for each of its values and for each place where one is missing. The definition level says how
 * much of the path to the leaf is there (all of it where there is a value), the repetition level which list of the path
 * the entry continues; 0 begins a row. Everything is optional but the keys of maps.
 *
 * @internal
 */
import type { Column, ColumnType, TimeUnit } from "../../Column.ts"
import { jsonText } from "../../internal/JsonText.ts"
import { dayValue, decimalValue, timestampValue, timeValue, uuidBytes } from "../../internal/TypedText.ts"
import { bool, i32, i8, struct, text, type ThriftFields, type ThriftValue } from "./Thrift.ts"

const physical = { boolean: 0, int32: 1, int64: 2, float: 4, double: 5, bytes: 6, fixed: 7 }

const required = 0
const optional = 1
const repeated = 2

/** How values are written: what they are in JavaScript, and in the file. @internal */
export type Form =
  | "text"
  | "bytes"
  | "fixed"
  | "int"
  | "safe"
  | "long"
  | "float"
  | "double"
  | "boolean"
  | "date"
  | "vector"

/** A type of leaves. @internal */
export interface LeafType {
  readonly form: Form
  readonly physical: number
  /** The length of values that all have the same. */
  readonly length?: number
  /** The older annotation and its parameters; readers know this one or `logical`. */
  readonly converted?: number | undefined
  readonly scale?: number
  readonly precision?: number
  readonly logical?: ThriftValue | undefined
  /** From the value of a row to what `form` says. */
  readonly from?: (value: unknown) => unknown
}

const empty = struct([])
const logicalOf = (id: number, fields: ThriftFields = []): ThriftValue => struct([[id, struct(fields)]])
const unitIds = { ms: 1, us: 2, ns: 3 }
const inUnit = (isUtc: boolean, unit: keyof typeof unitIds): ThriftFields => [
  [1, bool(isUtc)],
  [2, struct([[unitIds[unit], empty]])]
]

const integerType = (bits: number, signed: boolean): LeafType => {
  const log = Math.log2(bits) - 3
  return {
    form: bits === 64 ? "long" : "int",
    physical: bits === 64 ? physical.int64 : physical.int32,
    converted: (signed ? 15 : 11) + log,
    logical: logicalOf(10, [[1, i8(bits)], [2, bool(signed)]])
  }
}

/** Parquet has no seconds. */
const finer = (unit: TimeUnit): keyof typeof unitIds => (unit === "s" ? "ms" : unit)

const secondsInMilliseconds = (value: unknown): bigint => {
  const milliseconds = timestampValue(String(value), "s") * 1000n
  if (BigInt.asIntN(64, milliseconds) !== milliseconds) {
    throw new Error("a timestamp in seconds does not fit 64 bits as milliseconds, and Parquet has no seconds")
  }
  return milliseconds
}

const timestampType = (unit: TimeUnit, zone: string | null): LeafType => ({
  form: "long",
  physical: physical.int64,
  converted: { ms: 9, us: 10, ns: undefined }[finer(unit)],
  logical: logicalOf(8, inUnit(zone !== null, finer(unit))),
  from: unit === "s" ? secondsInMilliseconds : (value) => timestampValue(String(value), unit)
})

const timeType = (unit: TimeUnit): LeafType => {
  const isShort = finer(unit) === "ms"
  const annotations = {
    converted: { ms: 7, us: 8, ns: undefined }[finer(unit)],
    logical: logicalOf(7, inUnit(false, finer(unit)))
  }
  return {
    form: isShort ? "int" : "safe",
    physical: isShort ? physical.int32 : physical.int64,
    ...annotations,
    from: (value) => timeValue(String(value), unit) * (unit === "s" ? 1000 : 1)
  }
}

/** An integer as so many bytes, the highest first. */
const bigEndian = (value: bigint, length: number): Uint8Array => {
  const bytes = Buffer.alloc(Math.ceil(length / 8) * 8)
  for (let at = bytes.length - 8, rest = value; at >= 0; at -= 8, rest >>= 64n) {
    bytes.writeBigInt64BE(BigInt.asIntN(64, rest), at)
  }
  return bytes.subarray(bytes.length - length)
}

/** Parquet's scale is from 0 to the precision. */
const decimalType = (given: { readonly precision: number; readonly scale: number }): LeafType => {
  const scale = Math.max(given.scale, 0)
  const precision = Math.max(given.precision - Math.min(given.scale, 0), scale, 1)
  const most = 10n ** BigInt(precision)
  const unscaled = (value: unknown): bigint => {
    const number = decimalValue(String(value), scale)
    if (number >= most || -number >= most) throw new Error(`a decimal has more than ${precision} digits`)
    return number
  }
  const annotations = {
    converted: 5,
    scale,
    precision,
    logical: logicalOf(5, [[1, i32(scale)], [2, i32(precision)]])
  }
  if (precision <= 9) {
    return { form: "int", physical: physical.int32, ...annotations, from: (value) => Number(unscaled(value)) }
  }
  if (precision <= 18) return { form: "long", physical: physical.int64, ...annotations, from: unscaled }
  const length = Math.ceil((most.toString(2).length + 1) / 8)
  return {
    form: "fixed",
    physical: physical.fixed,
    length,
    ...annotations,
    from: (value) => bigEndian(unscaled(value), length)
  }
}

const jsonType: LeafType = {
  form: "text",
  physical: physical.bytes,
  converted: 19,
  logical: logicalOf(12),
  from: jsonText
}

const bytesType: LeafType = { form: "bytes", physical: physical.bytes }

const scalarTypes: { readonly [T in Exclude<ColumnType, object>]: LeafType } = {
  string: { form: "text", physical: physical.bytes, converted: 0, logical: logicalOf(1) },
  json: jsonType,
  binary: bytesType,
  integer: { form: "safe", physical: physical.int64 },
  bigint: { form: "long", physical: physical.int64 },
  number: { form: "double", physical: physical.double },
  float32: { form: "float", physical: physical.float },
  boolean: { form: "boolean", physical: physical.boolean },
  date: {
    form: "date",
    physical: physical.int64,
    converted: 9,
    logical: logicalOf(8, inUnit(true, "ms"))
  },
  vector: { form: "vector", physical: physical.float },
  int8: integerType(8, true),
  int16: integerType(16, true),
  int32: integerType(32, true),
  uint8: integerType(8, false),
  uint16: integerType(16, false),
  uint32: integerType(32, false),
  uint64: integerType(64, false),
  day: {
    form: "int",
    physical: physical.int32,
    converted: 6,
    logical: logicalOf(6),
    from: (value) => dayValue(String(value))
  },
  uuid: {
    form: "fixed",
    physical: physical.fixed,
    length: 16,
    logical: logicalOf(14),
    from: (value) => uuidBytes(String(value))
  }
}

/** The type of a leaf, or null for what has parts. */
const leafTypeOf = (type: ColumnType): LeafType | null => {
  if (typeof type === "string") return scalarTypes[type]
  switch (type.type) {
    case "decimal":
      return decimalType(type)
    case "timestamp":
      return timestampType(type.unit, type.zone)
    case "time":
      return timeType(type.unit)
    case "fixed":
      // Parquet has no values of no bytes, and below no groups of no fields.
      return type.bytes > 0 ? { form: "fixed", physical: physical.fixed, length: type.bytes } : bytesType
    case "struct":
      return type.fields.length === 0 ? jsonType : null
    default:
      return null
  }
}

/**
 * Entries of a leaf, each with its levels. A column that is one leaf has no `definitions`, and one without lists no
 * `repetitions`.
 *
 * @internal
 */
export interface Entries {
  /** A value, or null or undefined where none is. */
  readonly values: ReadonlyArray<unknown>
  readonly definitions: Uint8Array | null
  readonly repetitions: Uint8Array | null
}

/** A place in a file where values are. @internal */
export interface Leaf {
  readonly type: LeafType
  readonly path: ReadonlyArray<string>
  /** The definition level of a value, for a vector that of an element. */
  readonly definition: number
  /** The highest repetition level. */
  readonly repetition: number
}

/** A column, or a part of one. @internal */
export interface Part {
  /** In depth-first order. */
  readonly elements: ReadonlyArray<ThriftFields>
  readonly leaves: ReadonlyArray<LeafPart>
  /** Takes a value; `definition` is the level at which it is there but for itself. */
  readonly add: (value: unknown, repetition: number, definition: number) => void
  /** Takes note that there is no value, since the path to it ends at that level. */
  readonly skip: (repetition: number, definition: number) => void
}

/** Where a part is. */
interface Place {
  readonly path: ReadonlyArray<string>
  readonly isRequired: boolean
  readonly definition: number
  readonly repetition: number
}

const nameAt = (place: Place): ThriftValue => text(place.path.at(-1)!)

const isNothing = (value: unknown): value is null | undefined => value === null || value === undefined

/** How much higher the definition level is of what is there. */
const ownLevel = (place: Place): number => (place.isRequired ? 0 : 1)

const groupOf = (place: Place, children: number, converted?: number, logical?: ThriftValue): ThriftFields => [
  [3, i32(place.isRequired ? required : optional)],
  [4, nameAt(place)],
  [5, i32(children)],
  [6, converted === undefined ? undefined : i32(converted)],
  [10, logical]
]

const repeatedGroup = (name: string, children: number): ThriftFields => [
  [3, i32(repeated)],
  [4, text(name)],
  [5, i32(children)]
]

const listGroups = (place: Place): ReadonlyArray<ThriftFields> => [
  groupOf(place, 1, 3, logicalOf(3)),
  repeatedGroup("list", 1)
]

const leafElement = (name: ThriftValue, isRequired: boolean, type: LeafType): ThriftFields => {
  const optionally = (value: number | undefined) => (value === undefined ? undefined : i32(value))
  return [
    [1, i32(type.physical)],
    [2, optionally(type.length)],
    [3, i32(isRequired ? required : optional)],
    [4, name],
    [6, optionally(type.converted)],
    [7, optionally(type.scale)],
    [8, optionally(type.precision)],
    [10, type.logical]
  ]
}

/** A part that is a leaf; it keeps entries until they are taken. @internal */
export class LeafPart implements Part, Leaf {
  readonly elements: ReadonlyArray<ThriftFields>
  readonly leaves = [this]
  readonly type: LeafType
  readonly path: ReadonlyArray<string>
  readonly definition: number
  readonly repetition: number
  private readonly own: number
  private values: Array<unknown> = []
  private definitions = new Uint8Array(0)
  private repetitions = new Uint8Array(0)

  constructor(place: Place, type: LeafType) {
    const isVector = type.form === "vector"
    this.own = ownLevel(place)
    this.type = type
    this.path = isVector ? [...place.path, "list", "element"] : place.path
    this.definition = place.definition + this.own + (isVector ? 2 : 0)
    this.repetition = place.repetition + (isVector ? 1 : 0)
    this.elements = isVector
      ? [...listGroups(place), leafElement(text("element"), false, type)]
      : [leafElement(nameAt(place), place.isRequired, type)]
  }

  add(value: unknown, repetition: number, definition: number): void {
    if (isNothing(value)) {
      if (this.own === 0) throw new Error(`${this.path.join(".")}: a key of a map is null`)
      this.put(null, repetition, definition)
    } else {
      this.put(value, repetition, definition + this.own)
    }
  }

  skip(repetition: number, definition: number): void {
    this.put(null, repetition, definition)
  }

  /** The entries since the last time. */
  take(): Entries {
    const { definitions, repetitions, values } = this
    this.values = []
    return {
      values,
      definitions: definitions.subarray(0, values.length),
      repetitions: this.repetition === 0 ? null : repetitions.subarray(0, values.length)
    }
  }

  private put(value: unknown, repetition: number, definition: number): void {
    const at = this.values.length
    if (at === this.definitions.length) {
      const larger = (levels: Uint8Array) => {
        const copy = new Uint8Array(Math.max(1024, levels.length * 2))
        copy.set(levels)
        return copy
      }
      this.definitions = larger(this.definitions)
      this.repetitions = larger(this.repetitions)
    }
    this.values.push(value)
    this.definitions[at] = definition
    this.repetitions[at] = repetition
  }
}

/** The value of an object's own field; names like `constructor` are no values of objects that lack them. */
const fieldOf = (value: unknown, name: string): unknown =>
  typeof value === "object" && value !== null && Object.hasOwn(value, name)
    ? (value as { readonly [name: string]: unknown })[name]
    : null

/** The fields of a struct, or the key and the value of an entry of a map. */
class FieldsPart implements Part {
  readonly elements: ReadonlyArray<ThriftFields>
  readonly leaves: ReadonlyArray<LeafPart>
  private readonly names: ReadonlyArray<string>
  private readonly parts: ReadonlyArray<Part>

  constructor(names: ReadonlyArray<string>, parts: ReadonlyArray<Part>) {
    this.names = names
    this.parts = parts
    this.elements = parts.flatMap((part) => part.elements)
    this.leaves = parts.flatMap((part) => part.leaves)
  }

  add(value: unknown, repetition: number, definition: number): void {
    for (let i = 0; i < this.parts.length; i++) {
      this.parts[i]!.add(fieldOf(value, this.names[i]!), repetition, definition)
    }
  }

  skip(repetition: number, definition: number): void {
    for (const part of this.parts) part.skip(repetition, definition)
  }
}

class StructPart implements Part {
  readonly elements: ReadonlyArray<ThriftFields>
  readonly leaves: ReadonlyArray<LeafPart>
  private readonly fields: Part
  private readonly own: number

  constructor(place: Place, fields: ReadonlyArray<Column>) {
    this.own = ownLevel(place)
    this.fields = new FieldsPart(
      fields.map(({ name }) => name),
      fields.map(({ name, type }) => partOf(type, below(place, [name], this.own)))
    )
    this.elements = [groupOf(place, fields.length), ...this.fields.elements]
    this.leaves = this.fields.leaves
  }

  add(value: unknown, repetition: number, definition: number): void {
    if (isNothing(value)) this.fields.skip(repetition, definition)
    else this.fields.add(value, repetition, definition + this.own)
  }

  skip(repetition: number, definition: number): void {
    this.fields.skip(repetition, definition)
  }
}

/** A list, or a map as a list of entries. */
class RepeatedPart implements Part {
  readonly elements: ReadonlyArray<ThriftFields>
  readonly leaves: ReadonlyArray<LeafPart>
  private readonly item: Part
  private readonly own: number
  private readonly level: number

  constructor(place: Place, groups: ReadonlyArray<ThriftFields>, item: Part) {
    this.own = ownLevel(place)
    this.level = place.repetition + 1
    this.item = item
    this.elements = [...groups, ...item.elements]
    this.leaves = item.leaves
  }

  /** A batch holds values of its columns' types (`Batch.ts`): lists and maps are arrays. */
  add(value: unknown, repetition: number, definition: number): void {
    if (isNothing(value)) return this.item.skip(repetition, definition)
    const items = value as ReadonlyArray<unknown>
    const here = definition + this.own
    if (items.length === 0) return this.item.skip(repetition, here)
    for (let i = 0; i < items.length; i++) this.item.add(items[i], i === 0 ? repetition : this.level, here + 1)
  }

  skip(repetition: number, definition: number): void {
    this.item.skip(repetition, definition)
  }
}

/** The place of a part below another; `levels` is how much higher its definition level begins. */
const below = (place: Place, names: ReadonlyArray<string>, levels: number, isRequired = false): Place => ({
  path: [...place.path, ...names],
  isRequired,
  definition: place.definition + levels,
  repetition: place.repetition + levels - ownLevel(place)
})

const partOf = (type: ColumnType, place: Place): Part => {
  const leaf = leafTypeOf(type)
  if (leaf !== null) return new LeafPart(place, leaf)
  const levels = ownLevel(place) + 1
  if (typeof type !== "string") {
    switch (type.type) {
      case "struct":
        return new StructPart(place, type.fields)
      case "list": {
        const element = partOf(type.element, below(place, ["list", "element"], levels))
        return new RepeatedPart(place, listGroups(place), element)
      }
      case "map": {
        const entry = new FieldsPart(["key", "value"], [
          partOf(type.key, below(place, ["key_value", "key"], levels, true)),
          partOf(type.value, below(place, ["key_value", "value"], levels))
        ])
        const groups = [groupOf(place, 1, 1, logicalOf(2)), repeatedGroup("key_value", 2)]
        return new RepeatedPart(place, groups, entry)
      }
    }
  }
  throw new Error(`no Parquet type for ${JSON.stringify(type)}`)
}

/**
 * The place of a column in a file, and what takes its values.
 *
 * @internal
 */
export const columnPart = ({ name, type }: Column): Part =>
  partOf(type, { path: [name], isRequired: false, definition: 0, repetition: 0 })
