import * as Key from "../../src/store/Key.ts"

/** Keys in one chunk at most; a full one is split in two. */
const most = 512

/** Keys in the order in which a store lists them, in chunks: with any number of them it is cheap to add and to find one. */
export class SortedKeys {
  readonly #chunks: Array<Array<string>> = [[]]

  /** Index of the chunk that a key is in, or belongs in. */
  #chunkOf(key: string): number {
    let low = 0
    let high = this.#chunks.length - 1
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      if (Key.compare(this.#chunks[middle]![0]!, key) <= 0) low = middle
      else high = middle - 1
    }
    return low
  }

  /** Index of the first key of a chunk that is not before `key`. */
  #placeIn(chunk: ReadonlyArray<string>, key: string): number {
    let low = 0
    let high = chunk.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (Key.compare(chunk[middle]!, key) < 0) low = middle + 1
      else high = middle
    }
    return low
  }

  /** Adds a key that is not there yet. */
  add(key: string): void {
    const index = this.#chunkOf(key)
    const chunk = this.#chunks[index]!
    chunk.splice(this.#placeIn(chunk, key), 0, key)
    if (chunk.length > most) this.#chunks.splice(index + 1, 0, chunk.splice(most >>> 1))
  }

  delete(key: string): void {
    const index = this.#chunkOf(key)
    const chunk = this.#chunks[index]!
    const place = this.#placeIn(chunk, key)
    if (chunk[place] !== key) return
    chunk.splice(place, 1)
    if (chunk.length === 0 && this.#chunks.length > 1) this.#chunks.splice(index, 1)
  }

  /** The keys that start with a prefix, in order. */
  *startingWith(prefix: string): Generator<string> {
    const index = this.#chunkOf(prefix)
    let place = this.#placeIn(this.#chunks[index]!, prefix)
    for (const chunk of this.#chunks.slice(index)) {
      for (; place < chunk.length; place++) {
        if (!chunk[place]!.startsWith(prefix)) return
        yield chunk[place]!
      }
      place = 0
    }
  }
}
