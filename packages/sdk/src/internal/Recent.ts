/**
 * The last few of something.
 *
 * @internal
 */

/** @internal */
export interface Recent {
  readonly has: (id: string) => boolean
  readonly add: (id: string) => void
  /** Gives whether it was there. */
  readonly delete: (id: string) => boolean
}

/** Remembers the last `most` ids that were added. @internal */
export const makeRecent = (most: number): Recent => {
  const ids = new Set<string>()
  return {
    has: (id) => ids.has(id),
    add: (id) => {
      ids.delete(id)
      ids.add(id)
      if (ids.size <= most) return
      const [oldest] = ids
      if (oldest !== undefined) ids.delete(oldest)
    },
    delete: (id) => ids.delete(id)
  }
}
