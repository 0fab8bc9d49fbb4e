import { assert } from "@effect/vitest"
import { Effect, Stream } from "effect"
import type { BatchError } from "../../src/BatchError.ts"
import { sha256 } from "../../src/internal/Digest.ts"
import * as RowsFile from "../../src/internal/RowsFile.ts"
import type { Job } from "../../src/Job.ts"
import type { PrepareRound } from "../../src/prepareStep.ts"
import type { ObjectStore } from "../../src/store/ObjectStore.ts"
import { ticking } from "./ticking.ts"

type Store = ObjectStore["Service"]

/** Makes rounds of as many seconds as it is told, one after the other, until the run is prepared; gives them all. */
export const inRounds = Effect.fnUntraced(function*<E, R>(
  step: (seconds: number) => Effect.Effect<PrepareRound, E, R>,
  secondsOf: (round: number) => number
) {
  const rounds: Array<PrepareRound> = []
  while (rounds.at(-1)?.prepared !== true) {
    assert.isBelow(rounds.length, 300, "it does not come to an end")
    rounds.push(yield* ticking(step(secondsOf(rounds.length))))
  }
  return rounds
})

/** What jobs hold, without the ids of those who made them. */
export const contentOf = Effect.fnUntraced(function*(store: Store, jobs: ReadonlyArray<Job>) {
  const contents: Array<unknown> = []
  for (const job of jobs) {
    const files: Array<readonly [string, number, string]> = []
    for (const { key, records, sha256: digest, size } of job.files) {
      const bytes = yield* store.get(key)
      assert.deepStrictEqual([bytes?.length, sha256(bytes!)], [size, digest])
      const text = Buffer.from(bytes!).toString().replaceAll(job.prepareId, "xxxxxxxxxxxxxxxx")
      files.push([key.slice(job.input.length), records, text])
    }
    const kept = yield* Stream.runCollect(
      RowsFile.read(store.read(job.rows.key), (message): BatchError => assert.fail(message))
    )
    const cells = (kept[0]?.columns ?? []).map((_, j) => kept.flatMap((batch) => batch.columns[j]!))
    const { bytes, firstRow, index, key, lane, lastRow, media, records } = job
    contents.push({ key, index, lane, records, firstRow, lastRow, bytes, media, files, cells })
  }
  return contents
})
