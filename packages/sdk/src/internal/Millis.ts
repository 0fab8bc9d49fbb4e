/**
 * Durations of options, which JavaScript may give as anything.
 *
 * @internal
 */
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"

/** In milliseconds; NaN where it is no duration. @internal */
export const millisOf = (input: Duration.Input): number =>
  Option.getOrElse(Option.map(Duration.fromInput(input), Duration.toMillis), () => NaN)
