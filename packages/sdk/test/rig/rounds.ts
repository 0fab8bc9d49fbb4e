import { assert } from "@effect/vitest"
import { Clock, Effect, Stream } from "effect"
import type { BatchError } from "../../src/BatchError.ts"
import { sha256 } from "../../src/internal/Digest.ts"
import * as RowsFile from "../../src/internal/RowsFile.ts"
import type { Job } from "../../src/Job.ts"
import type { PrepareRound } from "../../src/prepareStep.ts"
import type { ObjectStore } from "../../src/store/ObjectStore.ts"

type Store = ObjectStore["Service"]

/** Runs an effect by a clock that goes on by a second each time that somebody looks at it; nobody's sleep ends. */
export const ticking = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.suspend(() => {
    let now = Date.UTC(2026, 10, 23)
    const look = () => now += 1000
    const nanos = () => BigInt(look()) * 1_000_000n
    return Effect.provideService(effect, Clock.Clock, {
      currentTimeMillisUnsafe: look,
      currentTimeMillis: Effect.sync(look),
      currentTimeNanosUnsafe: nanos,
      currentTimeNanos: Effect.sync(nanos),
      monotonicTimeNanosUnsafe: nanos,
      monotonicTimeNanos: Effect.sync(nanos),
      sleep: () => Effect.never
    })
  })

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
