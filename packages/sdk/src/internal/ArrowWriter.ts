/**
 * Batches as the bytes of Arrow's two IPC formats: a stream of messages, and a file, which is such a stream with a
 * footer that says where its messages lie.
 *
 * @internal
 */
import type * as Arrow from "apache-arrow"
import type { Column } from "../Column.ts"
import { batchEncoder } from "./ArrowColumns.ts"
import type { Batch } from "./Batch.ts"
import { join } from "./Blocks.ts"

type Pieces = ReadonlyArray<Uint8Array>

/**
 * Writes one file or stream, piece by piece.
 *
 * @internal
 */
export interface ArrowWriter {
  /** What comes before the first batch. */
  readonly begin: () => Pieces
  /** One message. */
  readonly batch: (batch: Batch) => Pieces
  /** What comes after the last batch. */
  readonly end: () => Pieces
}

/** The bytes that a writer has written since they were last taken. */
class Written {
  private pieces: Array<Uint8Array> = []

  /** The number of bytes. */
  add(chunk: unknown): number {
    if (!ArrayBuffer.isView(chunk)) return 0
    if (chunk.byteLength > 0) this.pieces.push(new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength))
    return chunk.byteLength
  }

  take(): Pieces {
    const pieces = join(this.pieces)
    this.pieces = []
    return pieces
  }
}

/** The library's writers, whose bytes are taken from them message by message. */
const writersOf = (arrow: typeof Arrow, written: Written) => ({
  stream: class extends arrow.RecordBatchStreamWriter {
    protected override _write(chunk: unknown): this {
      this._position += written.add(chunk)
      return this
    }
  },
  file: class extends arrow.RecordBatchFileWriter {
    protected override _write(chunk: unknown): this {
      this._position += written.add(chunk)
      return this
    }
    // The library leaves out the schema, which makes the messages of a file a stream.
    protected override _writeSchema(schema: Arrow.Schema): this {
      super._writeSchema(schema)
      return this._writeMessage(arrow.Message.from(schema))
    }
  }
})

/**
 * Makes the writer of a file or a stream.
 *
 * @internal
 */
export const arrowWriter = (
  arrow: typeof Arrow,
  format: "stream" | "file",
  columns: ReadonlyArray<Column>
): ArrowWriter => {
  const encoder = batchEncoder(arrow, columns)
  const written = new Written()
  const writer = new (writersOf(arrow, written)[format])()
  return {
    begin: () => {
      writer.reset(undefined, encoder.schema)
      return written.take()
    },
    batch: (batch) => {
      writer.write(encoder.encode(batch))
      return written.take()
    },
    end: () => {
      writer.close()
      return written.take()
    }
  }
}
