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
  why: Schema.Literals(["cancel", "deadline", "retry"]),
  /** ISO 8601. */
  at: Schema.String
})

const marks = stored("cancel", Mark)

type Why = typeof Mark.Type["why"]

const mark = Effect.fnUntraced(function*(store: Store, key: string, why: Why) {
  const at = new Date(yield* Clock.currentTimeMillis).toISOString()
  yield* store.create(key, marks.encode({ version: 1, why, at }))
})

/** From now on nothing more of the run is submitted. @internal */
export const cancelRun = (store: Store, runId: string) => mark(store, Layout.cancelled(runId), "cancel")

/** From now on nothing more of the attempt is submitted. @internal */
export const cancelAttempt = (store: Store, runId: string, attempt: number) =>
  mark(store, Layout.cancelledAttempt(runId, attempt), "deadline")

/** From now on nothing more of the attempt is submitted: another one takes over what it left. @internal */
export const supersedeAttempt = (store: Store, runId: string, attempt: number) =>
  mark(store, Layout.superseded(runId, attempt), "retry")

/** By which mark an attempt is cancelled, or null. @internal */
export type CancelledBy = (attempt: number) => Why | null

/** Why a job was not submitted. @internal */
export const reasons: { readonly [why in Why]: string } = {
  cancel: "the run was cancelled before this job was submitted",
  deadline: "the deadline was reached before this job was submitted",
  retry: "its records were taken into another attempt before this job was submitted"
}

/** Which attempts of a run are cancelled. @internal */
export const cancelledBy = Effect.fnUntraced(function*(store: Store, runId: string) {
  const { objects } = yield* store.list(Layout.cancelled(runId))
  const keys = new Set(objects.map(({ key }) => key))
  const by: CancelledBy = (attempt) =>
    keys.has(Layout.cancelled(runId))
      ? "cancel"
      : keys.has(Layout.cancelledAttempt(runId, attempt))
      ? "deadline"
      : keys.has(Layout.superseded(runId, attempt))
      ? "retry"
      : null
  return by
})
