/**
 * A queue of what is due when.
 *
 * @since 0.1.0
 */

/**
 * Items in the order of their times; items of the same time in the order in which they were added.
 *
 * @since 0.1.0
 * @category models
 */
export class Timetable<A> {
  readonly #heap: Array<{ readonly at: number; readonly order: number; readonly item: A }> = []
  #added = 0

  /** Time of the first item; infinity if there is none. */
  get nextAt(): number {
    return this.#heap[0]?.at ?? Number.POSITIVE_INFINITY
  }

  /** Adds an item. */
  add(at: number, item: A): void {
    const heap = this.#heap
    let index = heap.push({ at, order: this.#added++, item }) - 1
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (this.#isBefore(parent, index)) break
      this.#swap(parent, index)
      index = parent
    }
  }

  /** Takes the first item off if its time is not after `now`. */
  takeDue(now: number): A | undefined {
    const heap = this.#heap
    const first = heap[0]
    if (first === undefined || first.at > now) return undefined
    const last = heap.pop()
    if (heap.length > 0 && last !== undefined) {
      heap[0] = last
      let index = 0
      while (true) {
        const left = index * 2 + 1
        if (left >= heap.length) break
        const child = left + 1 < heap.length && this.#isBefore(left + 1, left) ? left + 1 : left
        if (this.#isBefore(index, child)) break
        this.#swap(index, child)
        index = child
      }
    }
    return first.item
  }

  #isBefore(a: number, b: number): boolean {
    const one = this.#heap[a]
    const other = this.#heap[b]
    if (one === undefined || other === undefined) return true
    return one.at < other.at || (one.at === other.at && one.order < other.order)
  }

  #swap(a: number, b: number): void {
    const one = this.#heap[a]
    const other = this.#heap[b]
    if (one === undefined || other === undefined) return
    this.#heap[a] = other
    this.#heap[b] = one
  }
}
