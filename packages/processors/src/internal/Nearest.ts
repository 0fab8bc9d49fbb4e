/**
 * Suggestions for mistyped names.
 *
 * @internal
 */

const maxLength = 200

// Damerau-Levenshtein distance (optimal string alignment), or `limit + 1` where it is larger than `limit`.
const distance = (a: string, b: string, limit: number): number => {
  if (Math.abs(a.length - b.length) > limit) return limit + 1
  let before: Array<number> = []
  let above = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    let least = i
    for (let j = 1; j <= b.length; j++) {
      const change = a[i - 1] === b[j - 1] ? 0 : 1
      let cost = Math.min(above[j]! + 1, row[j - 1]! + 1, above[j - 1]! + change)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) cost = Math.min(cost, before[j - 2]! + 1)
      row.push(cost)
      if (cost < least) least = cost
    }
    if (least > limit) return limit + 1
    before = above
    above = row
  }
  return Math.min(above[b.length]!, limit + 1)
}

/**
 * The candidates that are close to a name, the closest first, equally close ones in their own order.
 *
 * @internal
 */
export const ranked = (name: string, candidates: Iterable<string>): ReadonlyArray<string> => {
  const wanted = name.toLowerCase()
  const close: Array<{ readonly candidate: string; readonly distance: number }> = []
  for (const candidate of candidates) {
    const lower = candidate.toLowerCase()
    if (lower === wanted) {
      close.push({ candidate, distance: 0 })
    } else if (wanted.length <= maxLength && lower.length <= maxLength) {
      const limit = Math.floor(Math.max(wanted.length, lower.length) / 3)
      const found = distance(wanted, lower, limit)
      if (found <= limit) close.push({ candidate, distance: found })
    }
  }
  return close.sort((a, b) => a.distance - b.distance).map((entry) => entry.candidate)
}
