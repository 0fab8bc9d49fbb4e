/**
 * Ids of runs. They become parts of job names, keys and S3 URIs: what is legal here is legal in all of them.
 *
 * @internal
 */

/** @internal */
export const maxLength = 40

const pattern = /^[A-Za-z0-9][A-Za-z0-9.-]*$/

/** @internal */
export const isLegal = (id: unknown, most: number = maxLength): id is string =>
  typeof id === "string" && id.length <= most && pattern.test(id)

/** The folder beside the runs that says who holds a slot. @internal */
export const reserved = "capacity"

/** @internal */
export const explain = (what: string, id: unknown, most: number = maxLength): string =>
  `${what} ${JSON.stringify(id)} must have 1 to ${most} letters, digits, "." or "-", the first a letter or digit`
