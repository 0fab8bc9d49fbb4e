/**
 * Writes a Parquet file row group by row group: nothing is held but the rows of the group that is being filled, and the
 * pages of the one before, which are compressed in other threads meanwhile.
 *
 * @internal
 */
import type { Column, ColumnType } from "../../Column.ts"
import { type Batch, slice } from "../../internal/Batch.ts"
import { ColumnEncoder, type MadeColumn } from "./ParquetColumn.ts"
import type { Codec } from "./ParquetCompression.ts"
import { columnPart, LeafPart, type Part } from "./ParquetSchema.ts"
import { encoded, encodeStruct, i32, i64, list, struct, text, type ThriftFields, type ThriftValue } from "./Thrift.ts"

const magic = Buffer.from("PAR1")
const maxGroupRows = 10_000
const maxGroupBytes = 16 * 1024 * 1024

/** The key of the footer's metadata that holds the columns as JSON. */
const columnsKey = "bedrock-batch:columns"

/** Pieces that are smaller are put together. */
const smallPiece = 64 * 1024

/** About how many bytes a value takes in the file, whatever its type. */
const sizeOf = (value: unknown): number => {
  if (typeof value === "string") return 4 + value.length
  if (typeof value !== "object" || value === null) return 8
  if (ArrayBuffer.isView(value)) return 4 + value.byteLength
  if (value instanceof Date) return 8
  let size = 8
  if (Array.isArray(value)) {
    for (const item of value) size += sizeOf(item)
  } else {
    for (const member of Object.values(value)) size += sizeOf(member)
  }
  return size
}

const variable = new Set<ColumnType>(["string", "json", "binary", "vector"])

const isVariable = (type: ColumnType): boolean =>
  typeof type === "string"
    ? variable.has(type)
    : type.type === "list" || type.type === "struct" || type.type === "map"

/** A row group that is made, while its pages may still be being compressed. */
interface Group {
  readonly rows: number
  readonly columns: ReadonlyArray<MadeColumn>
  readonly ready: Promise<unknown> | null
}

/** @internal */
export class ParquetWriter {
  private readonly columns: ReadonlyArray<Column>
  private readonly parts: ReadonlyArray<Part>
  /** The places of the columns whose values are not all of about one size. */
  private readonly variable: ReadonlyArray<number>
  private readonly encoder: ColumnEncoder
  private readonly groups: Array<ThriftValue> = []
  private held: Array<Batch> = []
  private heldRows = 0
  private heldBytes = 0
  private behind: Group | null = null
  private rows = 0
  private position = 0

  constructor(columns: ReadonlyArray<Column>, codec: Codec) {
    this.columns = columns
    this.parts = columns.map(columnPart)
    this.variable = columns.flatMap(({ type }, j) => isVariable(type) ? [j] : [])
    this.encoder = new ColumnEncoder(codec)
  }

  /** The bytes before the first row group. */
  begin(): ReadonlyArray<Uint8Array> {
    return this.emit([magic])
  }

  /** Takes rows; gives the row groups that are done. */
  async push(batch: Batch): Promise<ReadonlyArray<Uint8Array>> {
    const out: Array<Uint8Array> = []
    const sizes = this.sizes(batch)
    for (let from = 0; from < batch.length;) {
      const to = this.fitting(sizes, from)
      if (to > from) {
        this.held.push(slice(batch, from, to))
        this.heldRows += to - from
        from = to
      }
      if (from < batch.length) out.push(...await this.flush())
    }
    return out
  }

  /** The last row groups and the footer. */
  async end(): Promise<ReadonlyArray<Uint8Array>> {
    const last = [...await this.flush(), ...await this.settle()]
    const root: ThriftFields = [[4, text("schema")], [5, i32(this.columns.length)]]
    const footer = encodeStruct([
      [1, i32(1)],
      [2, list("struct", [root, ...this.parts.flatMap((part) => part.elements)].map(struct))],
      [3, i64(this.rows)],
      [4, list("struct", this.groups)],
      [5, list("struct", [struct([[1, text(columnsKey)], [2, text(JSON.stringify(this.columns))]])])],
      [6, text("bedrock-batch")]
    ])
    const length = Buffer.alloc(4)
    length.writeUInt32LE(footer.length)
    return [...last, ...this.emit([footer, length, magic])]
  }

  /** About how many bytes each row takes in the file. */
  private sizes(batch: Batch): Float64Array {
    const sizes = new Float64Array(batch.length).fill((this.columns.length - this.variable.length) * 8)
    for (const j of this.variable) {
      const values = batch.columns[j]!
      for (let i = 0; i < sizes.length; i++) {
        const value = values[i]
        sizes[i]! += typeof value === "string" ? 4 + value.length : sizeOf(value)
      }
    }
    return sizes
  }

  /** The end of the rows that still fit the group; at least one fits an empty group. */
  private fitting(sizes: Float64Array, from: number): number {
    let to = from
    while (to < sizes.length && this.heldRows + to - from < maxGroupRows) {
      const bytes = sizes[to]!
      if (this.heldBytes > 0 && this.heldBytes + bytes > maxGroupBytes) break
      this.heldBytes += bytes
      to++
    }
    return to
  }

  /** Makes a row group of the rows that are held; gives the group before it. */
  private async flush(): Promise<ReadonlyArray<Uint8Array>> {
    if (this.heldRows === 0) return []
    const columns: Array<MadeColumn> = []
    for (let j = 0; j < this.parts.length; j++) {
      const [first, ...rest] = this.held.map((batch) => batch.columns[j]!)
      const part = this.parts[j]!
      if (part instanceof LeafPart) {
        const values = rest.length === 0 ? first! : first!.concat(...rest)
        columns.push(this.encoder.encode(part, { values, definitions: null, repetitions: null }))
      } else {
        for (const values of [first!, ...rest]) {
          for (let i = 0; i < values.length; i++) part.add(values[i], 0, 0)
        }
        for (const leaf of part.leaves) columns.push(this.encoder.encode(leaf, leaf.take()))
      }
    }
    const waiting = columns.flatMap((column) => column.waiting)
    const group: Group = { rows: this.heldRows, columns, ready: waiting.length === 0 ? null : Promise.all(waiting) }
    // Nobody waits for it when the file is given up.
    group.ready?.catch(() => {})
    this.held = []
    this.heldRows = 0
    this.heldBytes = 0
    const before = await this.settle()
    this.behind = group
    return before
  }

  /** The bytes of the row group that was made last. */
  private async settle(): Promise<ReadonlyArray<Uint8Array>> {
    const group = this.behind
    if (group === null) return []
    this.behind = null
    if (group.ready !== null) await group.ready
    const chunks: Array<ThriftValue> = []
    const pieces: Array<Uint8Array> = []
    let offset = this.position
    let plainBytes = 0
    for (const column of group.columns) {
      const written = column.write(offset)
      chunks.push(struct(written.metadata))
      for (const piece of written.pieces) pieces.push(piece)
      offset += written.storedBytes
      plainBytes += written.plainBytes
    }
    this.groups.push(encoded(encodeStruct([
      [1, list("struct", chunks)],
      [2, i64(plainBytes)],
      [3, i64(group.rows)],
      [6, i64(offset - this.position)]
    ])))
    this.rows += group.rows
    return this.emit(pieces)
  }

  /** Counts the bytes, and puts small pieces together. */
  private emit(pieces: ReadonlyArray<Uint8Array>): ReadonlyArray<Uint8Array> {
    const out: Array<Uint8Array> = []
    let small: Array<Uint8Array> = []
    let smallBytes = 0
    const together = (): void => {
      if (small.length > 0) out.push(small.length === 1 ? small[0]! : Buffer.concat(small, smallBytes))
      small = []
      smallBytes = 0
    }
    for (const piece of pieces) {
      this.position += piece.length
      if (piece.length >= smallPiece) {
        together()
        out.push(piece)
      } else if (piece.length > 0) {
        small.push(piece)
        smallBytes += piece.length
        if (smallBytes >= smallPiece) together()
      }
    }
    together()
    return out
  }
}
