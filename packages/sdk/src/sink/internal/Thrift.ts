/**
 * Thrift's compact protocol, as far as Parquet's headers and footer need it: values are described, then written.
 *
 * @internal
 */

/** @internal */
export type ThriftValue =
  | { readonly type: "bool"; readonly value: boolean }
  | { readonly type: "i8" | "i32" | "i64"; readonly value: number }
  | { readonly type: "text"; readonly value: string }
  | { readonly type: "list"; readonly of: "i32" | "text" | "struct"; readonly items: ReadonlyArray<ThriftValue> }
  | { readonly type: "struct"; readonly fields: ThriftFields }
  | { readonly type: "encoded"; readonly bytes: Uint8Array }

/** The fields of a struct by their ids, in ascending order; undefined ones are left out. */
export type ThriftFields = ReadonlyArray<readonly [id: number, value: ThriftValue | undefined]>

/** @internal */
export const bool = (value: boolean): ThriftValue => ({ type: "bool", value })
/** A number from 0 to 127. @internal */
export const i8 = (value: number): ThriftValue => ({ type: "i8", value })
/** @internal */
export const i32 = (value: number): ThriftValue => ({ type: "i32", value })
/** @internal */
export const i64 = (value: number): ThriftValue => ({ type: "i64", value })
/** @internal */
export const text = (value: string): ThriftValue => ({ type: "text", value })
/** @internal */
export const struct = (fields: ThriftFields): ThriftValue => ({ type: "struct", fields })
/** A struct that `encodeStruct` has made bytes of; it takes less memory than its description. @internal */
export const encoded = (bytes: Uint8Array): ThriftValue => ({ type: "encoded", bytes })
/** @internal */
export const list = (of: "i32" | "text" | "struct", items: ReadonlyArray<ThriftValue>): ThriftValue => ({
  type: "list",
  of,
  items
})

const typeIds = { i8: 3, i32: 5, i64: 6, text: 8, list: 9, struct: 12, encoded: 12 }
const boolIds = { true: 1, false: 2 }

const typeId = (value: ThriftValue): number =>
  value.type === "bool" ? (value.value ? boolIds.true : boolIds.false) : typeIds[value.type]

/**
 * Pushes an unsigned number (up to 2^53) as a base 128 varint.
 *
 * @internal
 */
export const pushVarint = (out: Array<number>, value: number): void => {
  let rest = value
  while (rest >= 128) {
    out.push((rest % 128) | 128)
    rest = Math.floor(rest / 128)
  }
  out.push(rest)
}

const pushBytes = (out: Array<number>, bytes: Uint8Array): void => {
  for (const byte of bytes) out.push(byte)
}

const pushZigzag = (out: Array<number>, value: number): void =>
  pushVarint(out, value >= 0 ? value * 2 : -value * 2 - 1)

const pushStruct = (out: Array<number>, fields: ThriftFields): void => {
  let last = 0
  for (const [id, value] of fields) {
    if (value === undefined) continue
    const delta = id - last
    if (delta > 0 && delta <= 15) {
      out.push((delta << 4) | typeId(value))
    } else {
      out.push(typeId(value))
      pushZigzag(out, id)
    }
    last = id
    pushValue(out, value)
  }
  out.push(0)
}

const pushValue = (out: Array<number>, value: ThriftValue): void => {
  switch (value.type) {
    case "bool":
      return
    case "i8":
      out.push(value.value)
      return
    case "i32":
    case "i64":
      return pushZigzag(out, value.value)
    case "text": {
      const bytes = Buffer.from(value.value)
      pushVarint(out, bytes.length)
      return pushBytes(out, bytes)
    }
    case "encoded":
      return pushBytes(out, value.bytes)
    case "list": {
      const { items, of } = value
      if (items.length < 15) {
        out.push((items.length << 4) | typeIds[of])
      } else {
        out.push(0xf0 | typeIds[of])
        pushVarint(out, items.length)
      }
      for (const item of items) pushValue(out, item)
      return
    }
    case "struct":
      return pushStruct(out, value.fields)
  }
}

/**
 * The bytes of a struct.
 *
 * @internal
 */
export const encodeStruct = (fields: ThriftFields): Uint8Array => {
  const out: Array<number> = []
  pushStruct(out, fields)
  return Uint8Array.from(out)
}
