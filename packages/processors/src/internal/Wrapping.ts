/**
 * Which processors stand around others: they encode as those inside do, with at most a shape of the answer added that
 * is the same for every request.
 *
 * @internal
 */
import type { Processor } from "../Processor.ts"

const inside = new WeakMap<Processor<object>, Processor<object>>()

/** Remembers that `outer` stands around `inner`. @internal */
export const wrap = <P extends Processor<object>>(outer: P, inner: Processor<object>): P => {
  inside.set(outer, inner)
  return outer
}

/** @internal */
export const innermost = (processor: Processor<object>): Processor<object> => {
  const inner = inside.get(processor)
  return inner === undefined ? processor : innermost(inner)
}
