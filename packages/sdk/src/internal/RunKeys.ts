/**
 * Which runs there are, and which ids can be theirs.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import { BatchError, InvalidOption, RunConflict } from "../BatchError.ts"
import * as RunId from "./RunId.ts"

/** Whether a folder of this name may be that of a run. @internal */
export const mayBeRun = (name: string): boolean => RunId.isLegal(name) && name !== RunId.reserved

/** Fails with `InvalidOption` for what is no run id. @internal */
export const checkRunId = (at: { readonly module: string; readonly method: string }, runId: string) =>
  mayBeRun(runId)
    ? Effect.void
    : Effect.fail(
      new BatchError({
        ...at,
        reason: new InvalidOption({
          path: "runId",
          message: runId === RunId.reserved
            ? `${JSON.stringify(runId)} is the folder of those who hold slots of the quota, and no run`
            : RunId.explain("runId", runId)
        })
      })
    )

/** The error for a run that does not exist. @internal */
export const notFound = (
  at: { readonly module: string; readonly method: string },
  runId: string,
  base: string
): BatchError =>
  new BatchError({
    ...at,
    reason: new RunConflict({
      runId,
      problem: "not-found",
      differs: [],
      message: `there is no run ${runId} under ${base}; list the runs to see which there are`
    })
  })
