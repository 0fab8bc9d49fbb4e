/**
 * The marks by which a run, or an attempt of it, is cancelled.
 *
 * @internal
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { ObjectStore } from "../store/ObjectStore.ts"
import * as Layout from "./Layout.ts"
import { stored } from "./Stored.ts"

type Store = ObjectStore["Service"]

/** Only its presence counts; what is in it is for people. */
const Mark = Schema.Struct({
  version: Schema.Literal(1),
  why: Schema.Literals(["cancel", "deadline"]),
  /** ISO 8601. */
  at: Schema.String
})

const marks = stored("cancel", Mark)

const mark = Effect.fnUntraced(function*(store: Store, key: string, why: "cancel" | "deadline") {
  const at = new Date(yield* Clock.currentTimeMillis).toISOString()
  yield* store.create(key, marks.encode({ version: 1, why, at }))
})

/** From now on nothing more of the run is submitted. @internal */
export const cancelRun = (store: Store, runId: string) => mark(store, Layout.cancelled(runId), "cancel")

/** From now on nothing more of the attempt is submitted. @internal */
export const cancelAttempt = (store: Store, runId: string, attempt: number) =>
  mark(store, Layout.cancelledAttempt(runId, attempt), "deadline")

/** By which mark an attempt is cancelled, or null. @internal */
export type CancelledBy = (attempt: number) => "cancel" | "deadline" | null

/** Which attempts of a run are cancelled. @internal */
export const cancelledBy = Effect.fnUntraced(function*(store: Store, runId: string) {
  const { objects } = yield* store.list(Layout.cancelled(runId))
  const keys = new Set(objects.map(({ key }) => key))
  const by: CancelledBy = (attempt) =>
    keys.has(Layout.cancelled(runId))
      ? "cancel"
      : keys.has(Layout.cancelledAttempt(runId, attempt))
      ? "deadline"
      : null
  return by
})
