/**
 * The plan of a run: whether it is the one that is meant, and how it goes on.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { BatchError, InvalidOption, InvalidSource, RunConflict } from "../BatchError.ts"
import { type Impossible, type Planned, Planner } from "../Planner.ts"
import type { Fingerprint, Plan } from "../RunManifest.ts"
import type { Definition } from "./Definition.ts"
import { canonicalJson, sha256 } from "./Digest.ts"

/** @internal */
export const error = (reason: BatchError["reason"]) => new BatchError({ module: "prepare", method: "prepare", reason })

/** What jobs of one run have in common, whoever makes them. @internal */
export const contentOf = ({ fingerprint, processor, region, source }: Definition): string =>
  sha256(canonicalJson({ fingerprint, processor: processor.id, region, columns: source.columns }))

/** The same run id with another fingerprint is refused, with the difference named. @internal */
export const agree = (definition: Definition, fingerprint: Fingerprint): Effect.Effect<void, BatchError> => {
  const differs = Object.entries(definition.fingerprint).flatMap(([part, digest]) =>
    new Map(Object.entries(fingerprint)).get(part) === digest ? [] : [part]
  )
  return differs.length === 0 ? Effect.void : Effect.fail(error(
    new RunConflict({
      runId: definition.runId,
      problem: "different",
      differs,
      message: `run ${definition.runId} exists with another ${differs.join(", ")}: choose another runId, or delete that run if it is not needed`
    })
  ))
}

/** @internal */
export const plannerOf = (
  definition: Definition,
  bounds: Plan["bounds"],
  before?: Planned
): Effect.Effect<Planner, BatchError> => {
  const planner = Planner.make(bounds, definition.source.count, definition.belowMinimum, before)
  return Result.isSuccess(planner) ? Effect.succeed(planner.success) : Effect.fail(impossible(definition, planner.failure))
}

/** @internal */
export const impossible = (definition: Definition, { message, problem, row }: Impossible): BatchError =>
  problem === "no-plan"
    ? error(new InvalidOption({ path: "limits", message }))
    : error(
      new InvalidSource({
        problem,
        uri: definition.source.uri,
        row,
        column: null,
        message: definition.source.uri === null ? message : `${definition.source.uri}: ${message}`
      })
    )
