/**
 * Ids of processors that are made with options: `name/1?dimensions=256&normalize=true`. An id has the options that were
 * given, in one order, so that equal options give equal ids.
 *
 * @internal
 */

type Value = string | number | boolean | ReadonlyArray<string>

/** @internal */
export const variantId = (name: string, options: { readonly [option: string]: Value | undefined }): string => {
  const given = Object.entries(options).flatMap(([option, value]) =>
    value === undefined ? [] : [`${option}=${String(value)}`]
  )
  return given.length === 0 ? name : `${name}?${given.join("&")}`
}

/**
 * The options in an id, as texts; null where it has another name.
 *
 * @internal
 */
export const variantOptions = (name: string, id: string): ReadonlyMap<string, string> | null => {
  if (id === name) return new Map()
  if (!id.startsWith(`${name}?`)) return null
  return new Map(id.slice(name.length + 1).split("&").map((option) => {
    const equals = option.indexOf("=")
    return equals === -1 ? [option, ""] : [option.slice(0, equals), option.slice(equals + 1)]
  }))
}

/**
 * The one of `values` that an option has as its text, or undefined.
 *
 * @internal
 */
export const oneOf = <A extends Value>(values: ReadonlyArray<A>, text: string | undefined): A | undefined =>
  values.find((value) => String(value) === text)
