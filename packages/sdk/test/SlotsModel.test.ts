import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Schema } from "effect"
import { commandKinds, commandOf, type Habits, play, usual } from "./rig/LedgerModel.ts"
import { memoryStore } from "./rig/MemoryStore.ts"
import { inWholeSeconds } from "./rig/Stage.ts"

/** How many command sequences are played; `CASES` in the environment raises it, `SEED` gives others. */
const cases = Number(process.env.CASES ?? 400)

/** Worlds of processes that share slots: what the guide on reliability rests on holds in them. */
const sound: ReadonlyArray<Partial<Habits>> = [
  { verbs: ["awaitAll", "awaitAll"], jobs: 2, slots: 1 },
  { verbs: ["awaitAll", "awaitAll"], jobs: 3, slots: 2 },
  { verbs: ["awaitAll", "submit"], jobs: 2, slots: 1 },
  { verbs: ["submit", "submit"], jobs: 2, slots: 1 },
  { verbs: ["awaitAll", "awaitAll", "awaitAll"], jobs: 2, slots: 1, lag: 100_000 },
  { verbs: ["awaitAll", "submit", "awaitAll"], jobs: 3, slots: 2, lag: 60_000, showsTokens: false }
]

const int = (maximum: number) => Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum })))

const commands = Arbitrary.array(
  Arbitrary.map(
    Arbitrary.all([int(commandKinds - 1), int(5), int(10), int(3)]),
    ([what, who, a, b]) => commandOf(what, who, a, b)
  ),
  { maxLength: 60 }
)

describe("slots that processes share, over sequences of commands", { timeout: 3_600_000 }, () => {
  it.effect("count every open job and are never lost, whoever dies, stands still or is told what when", () =>
    Effect.gen(function*() {
      const seen = { sent: 0, several: 0, cancelled: 0 }
      const result = yield* Arbitrary.checkEffect(
        Arbitrary.all({ world: int(sound.length - 1), commands, coarse: int(1) }),
        Effect.fnUntraced(function*({ coarse, commands, world }) {
          const files = memoryStore()
          const habits = { ...usual, tokenKept: 0, ...sound[world] }
          const played = yield* play(habits, commands, coarse === 0 ? files : inWholeSeconds(files))
          seen.sent += played.sent
          seen.several += Number(played.sent > played.jobs.length)
          seen.cancelled += Number(played.cancelled)
          return true
        }),
        { runs: cases, size: 60, seed: process.env.SEED ?? 1 }
      )
      if (result._tag === "Falsified") {
        const { failure } = result
        const why = failure._tag === "PropertyError" ? failure.error.message : "it is not so"
        assert.fail(`${why}\n(run ${result.runs}, replay ${result.replay})`)
      }
      assert.isAbove(seen.several, cases / 20)
      assert.isAbove(seen.cancelled, cases / 100)
    }))
})
