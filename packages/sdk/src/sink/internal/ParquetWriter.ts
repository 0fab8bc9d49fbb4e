/**
 * Writes a Parquet file row group by row group: nothing is held but the rows of the group that is being filled.
 *
 * @internal
 */
import type { Column, ColumnType } from "../../Column.ts"
import { type Batch, slice } from "../../internal/Batch.ts"
import { encodeColumn, schemaOf } from "./ParquetColumn.ts"
import { encodeStruct, i32, i64, list, struct, text, type ThriftFields, type ThriftValue } from "./Thrift.ts"

const magic = Buffer.from("PAR1")
const maxGroupRows = 10_000
const maxGroupBytes = 16 * 1024 * 1024

/** About how large a value is in the file. JSON values are taken for small ones. */
const sizeOf = (type: ColumnType, value: unknown): number => {
  switch (type) {
    case "string":
      return typeof value === "string" ? value.length : 0
    case "binary":
    case "vector":
      return ArrayBuffer.isView(value) ? value.byteLength : 0
    case "json":
      return 64
    default:
      return 8
  }
}

/** @internal */
export class ParquetWriter {
  private readonly columns: ReadonlyArray<Column>
  private readonly groups: Array<ThriftValue> = []
  private held: Array<Batch> = []
  private heldRows = 0
  private heldBytes = 0
  private rows = 0
  private position = 0

  constructor(columns: ReadonlyArray<Column>) {
    this.columns = columns
  }

  /** The bytes before the first row group. */
  begin(): ReadonlyArray<Uint8Array> {
    return this.emit([magic])
  }

  /** Takes rows; gives the row groups that are full. */
  push(batch: Batch): ReadonlyArray<Uint8Array> {
    const out: Array<Uint8Array> = []
    for (let from = 0; from < batch.length;) {
      const to = this.fitting(batch, from)
      if (to > from) {
        this.held.push(slice(batch, from, to))
        this.heldRows += to - from
        from = to
      }
      if (from < batch.length) out.push(...this.flush())
    }
    return out
  }

  /** The last row group and the footer. */
  end(): ReadonlyArray<Uint8Array> {
    const last = this.flush()
    const root: ThriftFields = [[4, text("schema")], [5, i32(this.columns.length)]]
    const footer = encodeStruct([
      [1, i32(1)],
      [2, list("struct", [root, ...this.columns.flatMap(schemaOf)].map(struct))],
      [3, i64(this.rows)],
      [4, list("struct", this.groups)],
      [6, text("bedrock-batch")]
    ])
    const length = Buffer.alloc(4)
    length.writeUInt32LE(footer.length)
    return [...last, ...this.emit([footer, length, magic])]
  }

  /** The end of the rows that still fit the group; at least one fits an empty group. */
  private fitting(batch: Batch, from: number): number {
    let to = from
    while (to < batch.length && this.heldRows + to - from < maxGroupRows) {
      let bytes = 0
      for (let j = 0; j < this.columns.length; j++) bytes += sizeOf(this.columns[j]!.type, batch.columns[j]![to])
      if (this.heldBytes > 0 && this.heldBytes + bytes > maxGroupBytes) break
      this.heldBytes += bytes
      to++
    }
    return to
  }

  private flush(): ReadonlyArray<Uint8Array> {
    if (this.heldRows === 0) return []
    const chunks: Array<ThriftValue> = []
    const pieces: Array<Uint8Array> = []
    let offset = this.position
    let uncompressed = 0
    for (let j = 0; j < this.columns.length; j++) {
      const parts = this.held.map((batch) => batch.columns[j]!)
      const column = encodeColumn(this.columns[j]!, parts.length === 1 ? parts[0]! : parts.flat(), offset)
      chunks.push(struct(column.metadata))
      for (const piece of column.pieces) pieces.push(piece)
      offset += column.compressedBytes
      uncompressed += column.uncompressedBytes
    }
    this.groups.push(struct([
      [1, list("struct", chunks)],
      [2, i64(uncompressed)],
      [3, i64(this.heldRows)],
      [6, i64(offset - this.position)]
    ]))
    this.rows += this.heldRows
    this.held = []
    this.heldRows = 0
    this.heldBytes = 0
    return this.emit(pieces)
  }

  private emit(pieces: ReadonlyArray<Uint8Array>): ReadonlyArray<Uint8Array> {
    for (const piece of pieces) this.position += piece.length
    return pieces
  }
}
