/**
 * The failures of the sources.
 *
 * @internal
 */
import { BatchError, InvalidColumns, InvalidOption, InvalidSource } from "../../BatchError.ts"

/** @internal */
export interface Place {
  readonly uri: string | null
  readonly row?: number | undefined
  readonly column?: string | undefined
  readonly cause?: unknown
}

const where = (place: Place): string => {
  const parts = [
    ...(place.uri === null ? [] : [place.uri]),
    ...(place.row === undefined ? [] : [`row ${place.row}`]),
    ...(place.column === undefined ? [] : [`column ${JSON.stringify(place.column)}`])
  ]
  return parts.length === 0 ? "" : `${parts.join(", ")}: `
}

/**
 * A source that cannot be used; the message begins with the place.
 *
 * @internal
 */
export const invalidSource = (
  method: string,
  problem: InvalidSource["problem"],
  message: string,
  place: Place
): BatchError =>
  new BatchError({
    module: "Source",
    method,
    reason: new InvalidSource({
      message: where(place) + message,
      problem,
      uri: place.uri,
      row: place.row ?? null,
      column: place.column ?? null,
      ...(place.cause === undefined ? {} : { cause: place.cause })
    })
  })

/** @internal */
export const invalidOption = (method: string, path: string, message: string, cause?: unknown): BatchError =>
  new BatchError({
    module: "Source",
    method,
    reason: new InvalidOption({ message: `${path}: ${message}`, path, ...(cause === undefined ? {} : { cause }) })
  })

const distance = (a: string, b: string): number => {
  let above = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const swap = above[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      row.push(Math.min(above[j]! + 1, row[j - 1]! + 1, swap))
    }
    above = row
  }
  return above[b.length]!
}

/** The name that was probably meant, where one is close. */
const nearestOf = (name: string, available: ReadonlyArray<string>): string | null => {
  const wanted = name.toLowerCase()
  let best: string | null = null
  let least = Math.max(1, Math.floor(name.length / 3)) + 1
  for (const candidate of available) {
    const edits = distance(wanted, candidate.toLowerCase())
    if (edits < least) {
      best = candidate
      least = edits
    }
  }
  return best
}

/**
 * Columns that an option names and the source does not have.
 *
 * @internal
 */
export const missingColumns = (
  method: string,
  uri: string | null,
  missing: ReadonlyArray<string>,
  available: ReadonlyArray<string>,
  option = "columns"
): BatchError => {
  const nearest = new Map<string, string>()
  for (const name of missing) {
    const near = nearestOf(name, available)
    if (near !== null) nearest.set(name, near)
  }
  const named = missing.map((name) => {
    const near = nearest.get(name)
    return JSON.stringify(name) + (near === undefined ? "" : ` (did you mean ${JSON.stringify(near)}?)`)
  })
  return new BatchError({
    module: "Source",
    method,
    reason: new InvalidColumns({
      message: `${where({ uri })}columns that \`${option}\` names are not in the source: ${named.join(", ")}; it has ${
        available.map((name) => JSON.stringify(name)).join(", ")
      }`,
      missing,
      clashing: [],
      available,
      nearest: Object.fromEntries(nearest)
    })
  })
}
