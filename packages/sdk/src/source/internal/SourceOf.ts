/**
 * Makes the value of type `Source` from what it takes to open it.
 *
 * @internal
 */
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { BatchError } from "../../BatchError.ts"
import type { ObjectStore } from "../../store/ObjectStore.ts"
import type { SourceRecipe } from "./Recipe.ts"
import type { OpenSource, Source } from "../Source.ts"

/** The row and the services are known to the compiler only: no value of them exists. */
const types = <Row extends object, R>(): Source<Row, R>["~@bedrock-batch/sdk/Source"] =>
  Object.freeze({}) as Source<Row, R>["~@bedrock-batch/sdk/Source"]

/** @internal */
export const sourceOf = <Row extends object, R>(
  open: Effect.Effect<OpenSource, BatchError, R | ObjectStore | Scope.Scope>,
  recipe: SourceRecipe | null = null
): Source<Row, R> => ({ "~@bedrock-batch/sdk/Source": types<Row, R>(), open, recipe })
