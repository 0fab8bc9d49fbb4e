/**
 * Limits as users give them.
 *
 * @internal
 */
import { InvalidOption } from "../BatchError.ts"
import { defaults, type Limits } from "../Limits.ts"

/** The first thing that is wrong with limits, or null. @internal */
export const limitsProblem = (limits: Partial<Limits>): InvalidOption | null => {
  if (typeof limits !== "object" || limits === null) {
    return new InvalidOption({ path: "limits", message: "limits must be an object" })
  }
  for (const [name, value] of Object.entries(limits)) {
    const path = `limits.${name}`
    if (!Object.hasOwn(defaults, name)) {
      return new InvalidOption({ path, message: `there is no limit ${name}: the limits are ${Object.keys(defaults).join(", ")}` })
    }
    const least = name === "minRecords" ? 0 : 1
    if (value !== undefined && !(Number.isSafeInteger(value) && value >= least)) {
      return new InvalidOption({ path, message: `${path} is ${value}, and must be an integer of at least ${least}` })
    }
  }
  return null
}
