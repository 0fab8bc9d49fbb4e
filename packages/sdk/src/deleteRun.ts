/**
 * Removes a run and all that it left.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { BatchError, RunConflict, Unavailable } from "./BatchError.ts"
import { cancelRun } from "./internal/CancelMarks.ts"
import * as Layout from "./internal/Layout.ts"
import { checkRunId, notFound } from "./internal/RunKeys.ts"
import { type Entry, Ledger } from "./Ledger.ts"
import { ObjectStore } from "./store/ObjectStore.ts"

/**
 * Schema for what a deletion removed, or would remove.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Deletion = Schema.Struct({
  runId: Schema.String,
  /** Whether nothing was removed: this is what would have been. */
  dryRun: Schema.Boolean,
  objects: Schema.Natural,
  bytes: Schema.Natural,
  /** The same by the folders directly below the run's, in the order of their names; `""` stands for the run's own. */
  folders: Schema.Array(Schema.Struct({
    folder: Schema.String,
    objects: Schema.Natural,
    bytes: Schema.Natural
  }))
})

/**
 * What a deletion removed, or would remove.
 *
 * @since 0.1.0
 * @category models
 */
export interface Deletion extends Schema.Schema.Type<typeof Deletion> {}

/**
 * Options of `deleteRun`.
 *
 * @since 0.1.0
 * @category configuration
 */
export interface DeleteOptions {
  /** Only says what would be removed; default false. */
  readonly dryRun?: boolean | undefined
}

const at = { module: "Run", method: "delete" }

/** How often the run is listed until nothing new lies there. */
const maximumRounds = 5

/** Jobs that an error names. */
const named = 3

/**
 * Whether a paid job may be running, or a process may be about to pay for one. A job on demand has no intent: it is
 * one that nobody works on when its newest claim is too old.
 */
const isOpen = ({ accepted, claims, ended, intended, unlisted }: Entry, now: number, leaseFor: number): boolean => {
  if (ended) return false
  if (accepted) return true
  return intended
    ? claims.some((claim) => !claim.refused && claim.number > unlisted)
    : claims.some((claim) => !claim.refused && now - claim.at <= leaseFor)
}

const checkEnded = Effect.fnUntraced(function*(runId: string, hint: string) {
  const ledger = yield* Ledger
  const entries = yield* ledger.entries(runId)
  const open = [...entries.jobs].filter(([, entry]) => isOpen(entry, entries.at, ledger.leaseFor)).map(([key]) => key)
  if (open.length === 0) return
  const some = open.slice(0, named).join(", ") + (open.length > named ? ` and ${open.length - named} more` : "")
  const count = open.length === 1 ? "1 job" : `${open.length} jobs`
  return yield* new BatchError({
    ...at,
    reason: new RunConflict({
      runId,
      problem: "not-ended",
      differs: [],
      message: `run ${runId} has ${count} that may still be running (${some}): ` +
        `await the run, or cancel it and await what is open, then delete it${hint}`
    })
  })
})

/** Ranks of keys: what has a lower one is removed before. */
const ranks = [0, 1, 2, 3, 4]

/**
 * The job lists first: without them nobody can take the run up. Of the ledger last what says that a job is not open,
 * for whoever finishes the deletion.
 */
const rankOf = (runId: string, key: string): number => {
  if (key.startsWith(`${runId}/prepare/`)) return 0
  if (key.startsWith(Layout.attempts(runId))) return 2
  if (!key.startsWith(Layout.ledger(runId))) return 1
  return /\.(?:end|refused-\d+|unlisted-\d+)$/.test(key) ? 4 : 3
}

/**
 * Removes a run: its inputs, outputs, results, attempts and ledger. Nothing of it can be had back. A run of the same id
 * that is prepared later is another one: its jobs have other names and tokens.
 *
 * It is refused with `RunConflict` (`not-ended`) while a job may be open, of any attempt: one that Bedrock accepted and
 * that has no end in the ledger, or one whose create call has no known answer; and with `not-found` where there is no
 * such run. The run is cancelled first, so that nothing is submitted meanwhile. A deletion that is cut off leaves a
 * cancelled run that cannot be loaded or collected any more (its job lists go first), and is finished by calling this
 * again.
 *
 * Nobody should prepare or collect the run meanwhile: what is written behind the deletion's back may stay. On S3 it
 * needs `s3:ListBucket`, `s3:PutObject` and `s3:DeleteObject`; in a bucket that keeps versions the old ones stay.
 *
 * @since 0.1.0
 * @category constructors
 * @example
 * ```ts
 * import { Run } from "@bedrock-batch/sdk"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const { bytes, objects } = yield* Run.delete("jokes-0123456789", { dryRun: true })
 *   yield* Effect.log(`${objects} objects, ${bytes} bytes`)
 *   return yield* Run.delete("jokes-0123456789")
 * })
 * ```
 */
export const deleteRun = Effect.fn("Run.delete")(
  function*(runId: string, options?: DeleteOptions): Effect.fn.Return<Deletion, BatchError, ObjectStore | Ledger> {
    yield* Effect.annotateCurrentSpan({ run: runId })
    const store = yield* ObjectStore
    yield* checkRunId(at, runId)
    const folder = `${runId}/`
    const [plan, manifest, mark] = [Layout.plan(runId), Layout.manifest(runId), Layout.cancelled(runId)]
    const before = (yield* store.list(folder)).objects
    if (!before.some(({ key }) => key === plan || key === manifest || key === mark)) {
      return yield* notFound(at, runId, store.base)
    }
    yield* checkEnded(runId, "")
    const sizes = new Map(before.map(({ key, size }) => [key, size]))
    if (options?.dryRun === true) return deletionOf(runId, true, sizes)

    yield* cancelRun(store, runId)
    yield* checkEnded(runId, ". It is cancelled already")
    const last = new Set([plan, manifest, mark])
    for (let round = 1;; round++) {
      const objects = (yield* store.list(folder)).objects.filter(({ key }) => !last.has(key))
      if (objects.length === 0) break
      if (round > maximumRounds) {
        return yield* new BatchError({
          ...at,
          reason: new Unavailable({
            code: "conflict",
            retryAfterMillis: null,
            message: `somebody still writes below ${store.uri(folder)}, for example ${objects[0]?.key}: ` +
              `end what prepares or collects run ${runId}, and delete it again`
          })
        })
      }
      for (const { key, size } of objects) sizes.set(key, size)
      for (const rank of ranks) {
        yield* store.removeAll(objects.flatMap(({ key }) => (rankOf(runId, key) === rank ? [key] : [])))
      }
    }
    // The plan before the manifest: without a manifest, `prepare` would go on under the plan's nonce.
    for (const key of [plan, manifest, mark]) yield* store.removeAll([key])
    return deletionOf(runId, false, sizes)
  }
)

const deletionOf = (runId: string, dryRun: boolean, sizes: ReadonlyMap<string, number>): Deletion => {
  const folders = new Map<string, { folder: string; objects: number; bytes: number }>()
  let bytes = 0
  for (const [key, size] of sizes) {
    const rest = key.slice(runId.length + 1)
    const folder = rest.includes("/") ? rest.slice(0, rest.indexOf("/")) : ""
    const sum = folders.get(folder) ?? { folder, objects: 0, bytes: 0 }
    sum.objects++
    sum.bytes += size
    bytes += size
    folders.set(folder, sum)
  }
  return {
    runId,
    dryRun,
    objects: sizes.size,
    bytes,
    folders: [...folders.values()].sort((a, b) => (a.folder < b.folder ? -1 : 1))
  }
}
