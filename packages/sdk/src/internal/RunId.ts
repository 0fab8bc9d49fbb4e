/**
 * Ids of runs. They become parts of job names, keys and S3 URIs: what is legal here is legal in all of them.
 *
 * @internal
 */

/** @internal */
export const maxLength = 40

/** @internal */
export const maxNameLength = 63

/** Digits behind the name in an id that is made from it. */
const digits = 10

const pattern = /^[A-Za-z0-9][A-Za-z0-9.-]*$/

/** @internal */
export const isLegal = (id: unknown, most: number = maxLength): id is string =>
  typeof id === "string" && id.length <= most && pattern.test(id)

/** The folder beside the runs that says who holds a slot. @internal */
export const reserved = "capacity"

/**
 * The id of a run that is given none: the name, and digits of what the run is. Of a name that is too long the beginning
 * is taken, and all of it counts in the digits.
 *
 * @internal
 */
export const fromName = (name: string, content: object, digest: (value: unknown) => string): string => {
  const room = maxLength - digits - 1
  const isWhole = name.length <= room
  const start = isWhole ? name : name.slice(0, room).replace(/[.-]+$/, "")
  return `${start}-${digest(isWhole ? content : { name, content }).slice(0, digits)}`
}

/** @internal */
export const explain = (what: string, id: unknown, most: number = maxLength): string =>
  `${what} ${JSON.stringify(id)} must have 1 to ${most} letters, digits, "." or "-", the first a letter or digit`
