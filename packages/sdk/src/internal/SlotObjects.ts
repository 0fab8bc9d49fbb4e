/**
 * Slots as objects in the store: who holds one, in generations.
 *
 * `capacity/<quota>/<slot>/<generation>` says who took the slot, `<generation>.free` that he holds it no more. Both are
 * written once, and a generation follows only when the one before is free. Old generations are removed, never the
 * newest of a slot: so whoever writes a generation that was there before, having looked long ago, finds a newer one
 * behind it.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { ObjectStore } from "../store/ObjectStore.ts"
import { sha256 } from "./Digest.ts"
import { reserved } from "./RunId.ts"
import { stored } from "./Stored.ts"

type Store = ObjectStore["Service"]

/** Who took a slot: a job, for the create call of one claim. @internal */
export const Holder = Schema.Struct({
  version: Schema.Literal(1),
  runId: Schema.String,
  /** The job's key in its run. */
  job: Schema.String,
  /** The number of the claim; 1 is the first. */
  claim: Schema.Natural,
  /** Fresh id of whoever took it: one life of a process. */
  owner: Schema.String
})

/** @internal */
export interface Holder extends Schema.Schema.Type<typeof Holder> {}

/** One generation of a slot. @internal */
export interface Place {
  readonly slot: number
  /** 1 is the first. */
  readonly generation: number
}

/** A slot by its newest generation. @internal */
export interface Slot extends Place {
  readonly isFree: boolean
  /** When the newest generation was written, by the store's clock, in milliseconds since 1970. */
  readonly at: number
}

/** What one list shows. @internal */
export interface View {
  /** By number; a slot that was never taken is absent. */
  readonly slots: ReadonlyMap<number, Slot>
  /** The store's clock when the list began, in milliseconds since 1970. */
  readonly at: number
  /** Keys of generations that may be removed. */
  readonly old: ReadonlyArray<string>
}

const holders = stored("Capacity", Holder)
const marks = stored("Capacity", Schema.Struct({ version: Schema.Literal(1) }))

const longestName = 120

/**
 * The folder of what shares a quota: what is not safe in a URI is replaced so that no two have the same.
 *
 * @internal
 */
export const folderOf = (region: string, quota: string): string => {
  const name = `${region}.${quota}`.replace(/[^A-Za-z0-9.-]/gu, (text) => `_${Buffer.from(text).toString("hex")}`)
  const short = name.length > longestName ? `${name.slice(0, longestName - 33)}_${sha256(name).slice(0, 32)}` : name
  return `${reserved}/${short}/`
}

/** @internal */
export const slotFolder = (folder: string, slot: number): string => `${folder}${String(slot).padStart(4, "0")}/`

/** @internal */
export const keyOf = (folder: string, { generation, slot }: Place): string =>
  `${slotFolder(folder, slot)}${String(generation).padStart(8, "0")}`

const freeKeyOf = (folder: string, place: Place): string => `${keyOf(folder, place)}.free`

const named = /^(\d+)\/(\d+)(\.free)?$/

/** The one before the newest stays: a folder is not listed at once, and might show neither of two that just changed. */
const kept = 2

/** All slots, by one list. @internal */
export const look = Effect.fnUntraced(function*(store: Store, folder: string, slot?: number) {
  const prefix = slot === undefined ? folder : slotFolder(folder, slot)
  const { at, objects } = yield* store.list(prefix)
  const seen: Array<Slot & { readonly key: string }> = []
  const slots = new Map<number, Slot>()
  for (const { key, modifiedAt } of objects) {
    const match = named.exec(key.slice(folder.length))
    if (match === null) continue
    const [number, generation, isFree] = [Number(match[1]), Number(match[2]), match[3] !== undefined]
    const one = { slot: number, generation, isFree, at: modifiedAt, key }
    seen.push(one)
    const known = slots.get(number)
    if (known === undefined || generation > known.generation || (generation === known.generation && isFree)) {
      slots.set(number, { slot: number, generation, isFree, at: modifiedAt })
    }
  }
  const old = seen.filter(({ generation, slot }) => generation <= slots.get(slot)!.generation - kept)
  const view: View = { slots, at, old: old.map(({ key }) => key) }
  return view
})

/**
 * Takes a generation; false when somebody else has it, or a later one is there. `place.generation` is the one after a
 * free one.
 *
 * @internal
 */
export const take = Effect.fnUntraced(function*(store: Store, folder: string, place: Place, holder: Holder) {
  const { created } = yield* store.create(keyOf(folder, place), holders.encode(holder))
  if (!created) return false
  const newest = (yield* look(store, folder, place.slot)).slots.get(place.slot)
  return newest !== undefined && newest.generation === place.generation && !newest.isFree
})

/** Who took a generation; null where it is there no more. @internal */
export const holderOf = (store: Store, folder: string, place: Place) => holders.read(store, keyOf(folder, place))

/** Says that a generation is held no more. @internal */
export const free = (store: Store, folder: string, place: Place) =>
  Effect.asVoid(store.create(freeKeyOf(folder, place), marks.encode({ version: 1 })))
