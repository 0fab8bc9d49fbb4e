/**
 * The footer of a Parquet file: its columns, and where its row groups hold them. Parsed by hyparquet, and checked
 * before and after: lengths, counts and places are not trusted.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { ColumnChunk, CompressionCodec, FileMetaData } from "hyparquet"
import type { BatchError } from "../../BatchError.ts"
import { Column } from "../../Column.ts"
import { isCodec } from "./ParquetCodecs.ts"
import { ParquetFault } from "./ParquetFault.ts"
import { structEnd } from "./ParquetThrift.ts"
import { floatLists, type Leaf, leavesOf, makeTree, type Node, type Tree } from "./ParquetTree.ts"
import type { SourceFile } from "./SourceFile.ts"

/** The pages of a leaf in a row group. */
export interface Chunk {
  readonly start: number
  readonly end: number
  /** Values with their nulls, and a null for each empty list. */
  readonly values: number
  readonly codec: CompressionCodec
}

/**
 * Rows that are stored together. `chunks` are those of the leaves that are read, in their order.
 *
 * @internal
 */
export interface RowGroup {
  readonly rows: number
  readonly chunks: ReadonlyArray<Chunk>
}

/**
 * What is known of a file before its first row.
 *
 * @internal
 */
export interface Footer {
  readonly tree: Tree
  readonly rows: number
  /** The types that our own files carry. */
  readonly stored: ReadonlyArray<Column>
  /** The lists of float32, by column and place, of which it is not known that they have no nulls. */
  readonly sparse: ReadonlySet<string>
  /** Where the leaves of the chosen columns lie. */
  readonly groups: (chosen: ReadonlyArray<Node>) => ReadonlyArray<RowGroup>
}

const tailBytes = 512 * 1024
const maxFooterBytes = 256 * 1024 * 1024

/** The key of the metadata in which our own files carry the types of their columns. */
const columnsKey = "bedrock-batch:columns"

const decodeColumns = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Array(Column)))

const trailer = (bytes: Buffer): number => {
  const magic = bytes.toString("latin1", bytes.length - 4)
  if (magic === "PARE") throw new ParquetFault("the file is encrypted, and encrypted files cannot be read")
  if (magic !== "PAR1") throw new ParquetFault("this is no Parquet file, or it was not written to its end")
  return bytes.readUInt32LE(bytes.length - 8)
}

/**
 * Reads the bytes of the footer with what follows it: in one read where it is not very long.
 *
 * @internal
 */
export const readFooterBytes = Effect.fnUntraced(function*(
  file: SourceFile,
  attempt: <A>(run: () => A) => Effect.Effect<A, BatchError>
) {
  if (file.size < 12) return yield* attempt((): Buffer => {
    throw new ParquetFault("this is no Parquet file: it is too short")
  })
  const start = Math.max(0, file.size - tailBytes)
  const range = yield* file.range(start, file.size)
  const tail = Buffer.from(range.buffer, range.byteOffset, range.byteLength)
  const needed = yield* attempt(() => {
    const length = trailer(tail) + 8
    if (length + 4 > file.size || length > maxFooterBytes) {
      throw new ParquetFault(`the footer is said to have ${length - 8} bytes, which the file cannot hold`)
    }
    return length
  })
  if (needed <= tail.length) return tail.subarray(tail.length - needed)
  const rest = yield* file.range(file.size - needed, start)
  return Buffer.concat([rest, tail], needed)
})

const countIn = (value: unknown, what: string): number => {
  const count = typeof value === "bigint" ? Number(value) : value
  if (typeof count === "number" && Number.isSafeInteger(count) && count >= 0) return count
  throw new ParquetFault(`the footer is damaged: ${what} is no number from 0 on`)
}

/** No value of a column's statistics is used: damaged ones do no harm, and none is decoded. */
const nothing = (): undefined => undefined
const parsers = {
  timestampFromMilliseconds: nothing,
  timestampFromMicroseconds: nothing,
  timestampFromNanoseconds: nothing,
  dateFromDays: nothing,
  stringFromBytes: nothing,
  jsonFromBytes: nothing,
  geometryFromBytes: nothing,
  geographyFromBytes: nothing,
  uuidFromBytes: nothing
}

/** hyparquet's parser. */
export type ParseMetadata = (typeof import("hyparquet"))["parquetMetadata"]

const parse = (bytes: Buffer, parseMetadata: ParseMetadata): FileMetaData => {
  if (structEnd(bytes.subarray(0, bytes.length - 8), 0) === null) {
    throw new ParquetFault("the footer ends before its last field")
  }
  try {
    return parseMetadata(bytes, { geoparquet: false, parsers })
  } catch (cause) {
    throw new ParquetFault("the footer is damaged", {}, cause)
  }
}

const chunkOf = (
  chunk: ColumnChunk | undefined,
  leaf: Leaf,
  group: number,
  rows: number,
  { dataEnd, slack }: { readonly dataEnd: number; readonly slack: number }
): Chunk => {
  const fail = (message: string): never => {
    throw new ParquetFault(message, { group, column: leaf.path[0] })
  }
  const meta = chunk?.meta_data
  if (chunk?.crypto_metadata !== undefined || chunk?.encrypted_column_metadata !== undefined) {
    return fail("the column is encrypted, and encrypted columns cannot be read")
  }
  if (chunk === undefined || meta === undefined) return fail("the footer does not say where the column lies")
  if (chunk.file_path !== undefined && chunk.file_path !== "") return fail("the column lies in another file")
  const { codec } = meta
  if (!isCodec(codec)) return fail(`the codec ${String(codec ?? "of the column")} is not supported`)
  if (meta.type !== leaf.physical || meta.path_in_schema.join("\0") !== leaf.path.join("\0")) {
    return fail("the footer has another column in the place of this one")
  }
  const values = countIn(meta.num_values, "a number of values")
  if (leaf.repetition === 0 ? values !== rows : values < rows) {
    return fail(`the column has ${values} values for ${rows} rows`)
  }
  const data = countIn(meta.data_page_offset, "the place of a page")
  const dictionary = countIn(meta.dictionary_page_offset ?? 0, "the place of a page")
  const start = dictionary > 0 && dictionary < data ? dictionary : data
  // Without rows some writers give no places.
  if (values === 0) return { start: 4, end: 4, values, codec }
  const end = start + countIn(meta.total_compressed_size, "a size")
  if (start < 4 || end > dataEnd) return fail("the footer has the column outside of the file")
  return { start, end: Math.min(dataEnd, end + slack), values, codec }
}

/** Writers that leave the header of the dictionary out of a column's size (PARQUET-816). */
const dropsHeader = /^parquet-mr( version (1\.[01]\.|1\.2\.[0-8]\b)|$)/

/** Whether the statistics of a row group say that no element of a list is null. */
const isDense = (chunk: ColumnChunk | undefined, leaf: Leaf): boolean => {
  const meta = chunk?.meta_data
  if (meta === undefined || meta.num_values === 0n) return meta !== undefined
  if (meta.statistics?.null_count === 0n) return true
  const histogram = meta.size_statistics?.definition_level_histogram
  return histogram?.length === leaf.definition + 1 && histogram[leaf.definition - 1] === 0n
}

/**
 * Names a list in a column.
 *
 * @internal
 */
export const listKey = (column: string, place: string): string => JSON.stringify([column, place])

/**
 * Parses a footer. Throws a `ParquetFault`.
 *
 * @internal
 */
export const parseFooter = (bytes: Buffer, size: number, parseMetadata: ParseMetadata): Footer => {
  const metadata = parse(bytes, parseMetadata)
  const tree = makeTree(metadata)
  if (tree.columns.length === 0) throw new ParquetFault("the file has no columns")
  const rowGroups = metadata.row_groups
  const rows = countIn(metadata.num_rows, "the number of rows")
  const rowsOf = rowGroups.map((group) => countIn(group.num_rows, "the number of rows of a row group"))
  const sum = rowsOf.reduce((total, count) => total + count, 0)
  // Some writers leave the number out of the file and in the row groups.
  if (sum !== rows && rows !== 0) {
    throw new ParquetFault(`the footer says that the file has ${rows} rows, and its row groups ${sum}`)
  }
  const sparse = new Set<string>()
  for (const column of tree.columns) {
    for (const [place, leaf] of floatLists(column)) {
      if (!leaf.optional || rowGroups.every((group) => isDense(group.columns[leaf.index], leaf))) continue
      sparse.add(listKey(column.name, place))
    }
  }
  const stored = metadata.key_value_metadata?.find(({ key }) => key === columnsKey)?.value
  const columns = stored === undefined ? undefined : decodeColumns(stored)
  const slack = dropsHeader.test(metadata.created_by ?? "") ? 100 : 0
  const file = { dataEnd: size - bytes.length, slack }
  return {
    tree,
    rows: sum,
    stored: columns?._tag === "Some" ? columns.value : [],
    sparse,
    groups: (chosen) => {
      const leaves = chosen.flatMap(leavesOf)
      return rowGroups.map((group, i) => {
        if (group.columns.length !== tree.leaves.length) {
          throw new ParquetFault(
            `the row group has ${group.columns.length} columns, and the schema ${tree.leaves.length}`,
            { group: i + 1 }
          )
        }
        const chunks = leaves.map((leaf) => chunkOf(group.columns[leaf.index], leaf, i + 1, rowsOf[i]!, file))
        return { rows: rowsOf[i]!, chunks }
      })
    }
  }
}
