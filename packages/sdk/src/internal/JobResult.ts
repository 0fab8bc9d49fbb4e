/**
 * What collecting one job makes: result files, and what its rows came to.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { BatchError } from "../BatchError.ts"
import { forFormat } from "../sink/Formats.ts"
import type { SliceReaders } from "./Outputs.ts"
import type { Readable } from "./OutputSlice.ts"
import type { CollectSettings } from "./CollectSettings.ts"
import * as Join from "./Join.ts"
import * as Merge from "./Merge.ts"
import * as ResultColumns from "./ResultColumns.ts"
import * as ResultParts from "./ResultParts.ts"

/** @internal */
export interface JobResult extends ResultParts.ResultParts<BatchError> {
  /** What the rows came to; whole once the last part has been made. */
  readonly tally: Effect.Effect<Merge.Tally>
}

/** What is collected, and how. @internal */
export interface Collecting extends Merge.Merging {
  readonly settings: CollectSettings
}

/**
 * Joins a job's answers to its rows and encodes them, in this thread; `readers` may help. `temporary` is the folder for
 * temporary files, that of the system where there is none.
 *
 * @internal
 */
export const make = Effect.fnUntraced(
  function*(
    store: Readable,
    { settings, ...merging }: Collecting,
    readers: SliceReaders | null = null,
    temporary?: string
  ): Effect.fn.Return<JobResult, never, Scope.Scope> {
    const tally = Merge.emptyTally()
    const { answer, columns, rename } = merging.run.manifest
    const sink = forFormat(settings.format, { compression: settings.compression })
    const names = ResultColumns.all(columns, answer, rename)
    const parts = yield* ResultParts.make(
      Join.joined(store, merging, { memoryBudget: settings.memoryBudget, readers, temporary }, tally),
      (batches) => sink.encode(names, batches),
      settings.partBytes
    )
    return { ...parts, tally: Effect.sync(() => tally) }
  }
)
