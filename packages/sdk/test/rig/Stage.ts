import {
  Clock,
  Context,
  Data,
  Duration,
  Effect,
  Exit,
  type Fiber,
  Logger,
  Random,
  type Scheduler,
  Stream
} from "effect"
import { BatchError, Unavailable } from "../../src/BatchError.ts"
import { type ObjectInfo, ObjectStore } from "../../src/store/ObjectStore.ts"
import type { Operation } from "./WatchedStore.ts"

type Store = ObjectStore["Service"]

/** Something that must never happen has happened. */
export class Violation extends Data.TaggedError("Violation")<{ readonly message: string }> {}

/** The tasks of one life, run one after the other and only when its owner says so. */
class Turns implements Scheduler.Scheduler {
  readonly executionMode = "sync"
  readonly #tasks: Array<() => void> = []
  shouldYield() {
    return false
  }
  makeDispatcher() {
    return {
      scheduleTask: (task: () => void) => void this.#tasks.push(task),
      flush: () => this.drain()
    }
  }
  drain() {
    for (let task = this.#tasks.shift(); task !== undefined; task = this.#tasks.shift()) task()
  }
}

export type Kind = Operation | "send" | "answer" | "list jobs" | "sleep" | "wait"

/** One operation of a life, which waits until it is let go on. */
export interface Waiting {
  readonly kind: Kind
  /** The key of an object, a prefix, or what a call is about. */
  readonly key: string
  readonly ready: () => boolean
  /** When the operation is ready by itself, by the stage's time. */
  readonly at: number | null
  /** Lets it take effect; gives a sentence about it, and how it is answered. */
  readonly perform: Effect.Effect<{ readonly told: string; readonly answer: () => void }>
  /** Answers that the network failed; null where nothing goes over it. */
  readonly lose: (() => void) | null
}

interface Asked<A, E> {
  readonly kind: Kind
  readonly key: string
  readonly effect: Effect.Effect<A, E>
  readonly tell: (exit: Exit.Exit<A, E>) => string
  readonly ready?: (() => boolean) | undefined
  readonly at?: number | undefined
  readonly local?: boolean | undefined
}

const networkFailed = new BatchError({
  module: "test",
  method: "test",
  reason: new Unavailable({ code: "network", message: "the network failed", retryAfterMillis: null })
})

/** One life of a process: real code over operations that wait for the stage. */
export class Life {
  readonly waiting: Array<Waiting> = []
  dead = false
  exit: Exit.Exit<unknown, BatchError> | null = null
  /** Operations since time last passed. */
  busy = 0
  readonly #turns = new Turns()
  #fiber: Fiber.Fiber<unknown, BatchError> | null = null
  readonly clock: Clock.Clock
  readonly store: Store
  readonly name: string

  /** `skew`: by how much its clock is wrong, in milliseconds. */
  constructor(name: string, stage: Stage, skew = 0) {
    this.name = name
    const now = () => stage.now + skew
    const nanos = () => BigInt(now()) * 1_000_000n
    this.clock = {
      currentTimeMillisUnsafe: now,
      currentTimeMillis: Effect.sync(now),
      currentTimeNanosUnsafe: nanos,
      currentTimeNanos: Effect.sync(nanos),
      monotonicTimeNanosUnsafe: nanos,
      monotonicTimeNanos: Effect.sync(nanos),
      sleep: (duration) =>
        Effect.suspend(() => {
          const millis = Math.ceil(Duration.toMillis(duration))
          if (millis <= 0) return Effect.void
          const at = stage.now + millis
          return this.ask({
            kind: "sleep",
            key: `${millis} ms`,
            effect: Effect.void,
            tell: () => `wakes up after ${seconds(millis)}`,
            ready: () => stage.now >= at,
            at,
            local: true
          }).pipe(Effect.orDie)
        })
    }
    this.store = stage.storeOf(this)
  }

  begin(program: Effect.Effect<unknown, BatchError>): void {
    const context = Context.make(Clock.Clock, this.clock)
    const quiet = Effect.provide(Random.withSeed(program, this.name), Logger.layer([]))
    const fiber = Effect.runForkWith(context)(quiet, { scheduler: this.#turns })
    this.#fiber = fiber
    fiber.addObserver((exit) => {
      this.exit = exit
      this.waiting.length = 0
    })
    this.#turns.drain()
  }

  get runs(): boolean {
    return !this.dead && this.exit === null
  }

  drain(): void {
    if (!this.dead) this.#turns.drain()
  }

  /** The end of the life, wherever it is: nothing of it runs after. */
  die(): void {
    this.dead = true
    this.waiting.length = 0
  }

  /** Asks the life to end; what it must not leave undone still runs. */
  interrupt(): void {
    this.#fiber?.interruptUnsafe()
    this.drain()
  }

  /** An operation that waits for the stage. */
  ask<A, E>(asked: Asked<A, E>): Effect.Effect<A, E | BatchError> {
    return Effect.callback<A, E | BatchError>((resume) => {
      if (this.dead) return
      const waiting: Waiting = {
        kind: asked.kind,
        key: asked.key,
        ready: asked.ready ?? (() => true),
        at: asked.at ?? null,
        perform: Effect.map(Effect.exit(asked.effect), (exit) => ({
          told: asked.tell(exit),
          answer: () => {
            resume(exit)
            this.drain()
          }
        })),
        lose: asked.local === true ? null : () => {
          resume(Effect.fail(networkFailed))
          this.drain()
        }
      }
      this.waiting.push(waiting)
      return Effect.sync(() => remove(this.waiting, waiting))
    })
  }
}

/** Sentences with their numbers; what happens again and again is told once. */
const folded = (log: ReadonlyArray<string>): ReadonlyArray<string> => {
  const alike = log.map((line) => line.replace(/[\d.]+ (s|min)\b/g, "so long"))
  const lines: Array<string> = []
  const same = (from: number, to: number, length: number) =>
    to + length <= log.length && alike.slice(from, from + length).every((line, i) => line === alike[to + i])
  for (let at = 0; at < log.length;) {
    let [length, more] = [1, 0]
    for (let period = 1; period <= 24 && more === 0; period++) {
      while (same(at, at + (more + 1) * period, period)) more++
      if (more > 0) length = period
    }
    for (let i = 0; i < length; i++) lines.push(`${at + i + 1}. ${log[at + i]}`)
    if (more > 0) lines.push(`   (the same ${more} times more)`)
    at += length * (more + 1)
  }
  return lines
}

const remove = <A>(list: Array<A>, element: A): void => {
  const at = list.indexOf(element)
  if (at >= 0) list.splice(at, 1)
}

export const seconds = (millis: number): string =>
  millis >= 3_600_000 && millis % 3_600_000 === 0
    ? `${millis / 3_600_000} h`
    : millis >= 60_000 && millis % 60_000 === 0
    ? `${millis / 60_000} min`
    : `${Math.round(millis) / 1000} s`

/** So many operations of one life, while no time passes, are no work any more. */
const spinning = 150

/**
 * Where processes play: each operation of each of them waits until it is let go on, so that every interleaving can be
 * made. Time passes only when it is told to.
 */
export class Stage {
  now = Date.UTC(2026, 10, 23)
  /** What happened, in sentences. */
  readonly log: Array<string> = []
  /** Lives that have begun and neither died nor ended. */
  readonly lives: Array<Life> = []
  /** Writes of dead processes that are still under way. */
  readonly late: Array<{ readonly name: string; readonly waiting: Waiting }> = []
  /** What is looked at after each write of an object. */
  readonly afterWrite: Array<(life: Life, key: string, created: boolean) => void> = []
  /** What is looked at after each list. */
  readonly afterList: Array<(life: Life, prefix: string, objects: ReadonlyArray<ObjectInfo>) => void> = []
  /** What is looked at after each look for an object. */
  readonly afterHead: Array<(life: Life, key: string, isThere: boolean) => void> = []
  /** What must hold after each write, and whatever else changes something. */
  readonly checks: Array<Effect.Effect<void, Violation | BatchError>> = []
  readonly #seen = new Map<string, Uint8Array>()
  readonly clock: Clock.Clock
  readonly files: Store
  readonly shorten: (key: string) => string

  constructor(files: Store, shorten: (key: string) => string = (key) => key) {
    this.files = files
    this.shorten = shorten
    const now = () => this.now
    const nanos = () => BigInt(this.now) * 1_000_000n
    this.clock = {
      currentTimeMillisUnsafe: now,
      currentTimeMillis: Effect.sync(now),
      currentTimeNanosUnsafe: nanos,
      currentTimeNanos: Effect.sync(nanos),
      monotonicTimeNanosUnsafe: nanos,
      monotonicTimeNanos: Effect.sync(nanos),
      sleep: () => Effect.die(new Error("nobody sleeps on the stage itself"))
    }
  }

  tell(sentence: string): void {
    this.log.push(sentence)
  }

  violated(message: string): Violation {
    return new Violation({ message: `${message}:\n${folded(this.log).join("\n")}` })
  }

  /** Runs an effect by the time of the stage: the store's clock. */
  timed<A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.provideService(effect, Clock.Clock, this.clock)
  }

  /** The store as one life sees it. */
  storeOf(life: Life): Store {
    const { files, shorten } = this
    const outcome = (exit: Exit.Exit<unknown, unknown>, done: string) =>
      Exit.isSuccess(exit) ? done : `${done} and fails`
    const wrote = (key: string, exit: Exit.Exit<{ readonly created: boolean }, unknown>) =>
      outcome(exit, `writes ${shorten(key)}`) +
      (Exit.isSuccess(exit) && !exit.value.created ? ", which is there already" : "")
    const noted = <A extends { readonly created: boolean }, E>(key: string, effect: Effect.Effect<A, E>) =>
      Effect.tap(effect, ({ created }) =>
        Effect.sync(() => this.afterWrite.forEach((look) => look(life, key, created))))
    return ObjectStore.of({
      ...files,
      head: (key) =>
        life.ask({
          kind: "head",
          key,
          effect: Effect.tap(files.head(key), (info) =>
            Effect.sync(() => this.afterHead.forEach((look) => look(life, key, info !== null)))),
          tell: (exit) =>
            outcome(exit, `looks for ${shorten(key)}`) + (Exit.isSuccess(exit) && exit.value === null ? ": nothing" : "")
        }),
      list: (prefix) =>
        life.ask({
          kind: "list",
          key: prefix,
          effect: Effect.tap(
            files.list(prefix),
            ({ objects }) => Effect.sync(() => this.afterList.forEach((look) => look(life, prefix, objects)))
          ),
          tell: (exit) =>
            outcome(exit, `lists ${shorten(prefix)}*`) + (Exit.isSuccess(exit)
              ? `: ${exit.value.objects.map((object) => shorten(object.key)).join(", ") || "nothing"}`
              : "")
        }),
      get: (key) =>
        life.ask({
          kind: "get",
          key,
          effect: files.get(key),
          tell: (exit) => outcome(exit, `reads ${shorten(key)}`)
        }),
      read: (key, range) =>
        Stream.unwrap(Effect.map(
          life.ask({
            kind: "read",
            key,
            effect: Stream.runCollect(files.read(key, range)),
            tell: (exit) => outcome(exit, `reads ${shorten(key)}`)
          }),
          Stream.fromIterable
        )),
      create: (key, bytes) =>
        life.ask({
          kind: "create",
          key,
          effect: noted(key, files.create(key, bytes)),
          tell: (exit) => wrote(key, exit)
        }),
      write: (key, stream, options) =>
        Effect.flatMap(Stream.runCollect(stream), (chunks) =>
          life.ask({
            kind: "write",
            key,
            effect: noted(key, files.write(key, Stream.fromIterable(chunks), options)),
            tell: (exit) => wrote(key, exit)
          })),
      removeAll: (keys) =>
        life.ask({
          kind: "removeAll",
          key: keys[0] ?? "",
          effect: files.removeAll(keys),
          tell: (exit) => outcome(exit, `removes ${keys.map(shorten).join(", ")}`)
        }),
      remove: (key) => Effect.die(new Error(`${key} is removed`))
    })
  }

  /** Begins a life. */
  readonly begin = Effect.fnUntraced({ self: this }, function*(
    this: Stage,
    life: Life,
    program: Effect.Effect<unknown, BatchError>
  ) {
    this.lives.push(life)
    life.begin(program)
    yield* this.settle
  })

  /** Waits until every life waits for the stage, or has ended. */
  readonly settle: Effect.Effect<void, Violation> = Effect.gen({ self: this }, function*() {
    for (let turns = 0; turns < 2_000; turns++) {
      const idle = this.lives.find((life) => life.runs && life.waiting.length === 0)
      if (idle === undefined) {
        for (const life of this.lives.filter((life) => !life.runs)) remove(this.lives, life)
        return
      }
      yield* Effect.promise(() => new Promise<void>((resolve) => void setImmediate(resolve)))
      idle.drain()
    }
    return yield* this.violated("a process waits for nothing that could come")
  })

  /** Lets one operation take effect, and answers it. */
  readonly let = Effect.fnUntraced({ self: this }, function*(
    this: Stage,
    life: Life,
    waiting: Waiting,
    how: "whole" | "answer lost" | "lost" = "whole"
  ) {
    remove(life.waiting, waiting)
    if (++life.busy > spinning) {
      return yield* this.violated(`${life.name} does ${life.busy} operations while no time passes`)
    }
    if (how === "lost" && waiting.lose !== null) {
      this.tell(`${life.name}: the network fails before it ${verbOf(waiting.kind)} ${this.shorten(waiting.key)}`)
      waiting.lose()
    } else {
      const { answer, told } = yield* this.timed(waiting.perform)
      const lost = how === "answer lost" && waiting.lose !== null
      this.tell(`${life.name} ${told}${lost ? ", and the network fails before it is told" : ""}`)
      if (lost) waiting.lose?.()
      else answer()
    }
    yield* this.settle
    if (waiting.kind === "create" || waiting.kind === "write" || waiting.kind === "removeAll") yield* this.check
  })

  /** Lets a life's operation take effect, and keeps its answer back. */
  readonly hold = Effect.fnUntraced({ self: this }, function*(this: Stage, life: Life, waiting: Waiting) {
    const { answer, told } = yield* this.timed(waiting.perform)
    this.tell(`${life.name} ${told}, and is not told yet`)
    yield* this.check
    return Effect.gen({ self: this }, function*() {
      remove(life.waiting, waiting)
      this.tell(`${life.name} is told`)
      answer()
      yield* this.settle
      yield* this.check
    })
  })

  /** Ends a life where it is. A write that is under way may still take effect. */
  readonly kill = Effect.fnUntraced({ self: this }, function*(this: Stage, life: Life, late = false) {
    const write = life.waiting.find(({ kind }) => kind === "create" || kind === "write")
    if (late && write !== undefined) this.late.push({ name: life.name, waiting: write })
    this.tell(
      `${life.name} dies` +
        (late && write !== undefined ? `, while its write of ${this.shorten(write.key)} is under way` : "")
    )
    life.die()
    yield* this.settle
  })

  /** Lets a write of a dead process take effect. */
  readonly landLate = Effect.fnUntraced({ self: this }, function*(this: Stage, index: number) {
    const [write] = this.late.splice(index % Math.max(1, this.late.length), 1)
    if (write === undefined) return
    const { told } = yield* this.timed(write.waiting.perform)
    this.tell(`${write.name}, though dead, ${told}`)
    yield* this.check
  })

  readonly interrupt = Effect.fnUntraced({ self: this }, function*(this: Stage, life: Life) {
    this.tell(`${life.name} is interrupted`)
    life.interrupt()
    yield* this.settle
    yield* this.check
  })

  pass(millis: number): void {
    if (millis <= 0) return
    this.now += millis
    for (const life of this.lives) life.busy = 0
    this.tell(`${seconds(millis)} pass`)
  }

  /** Objects that may be removed. */
  mayGo: (key: string) => boolean = () => false

  /** What must hold always; objects are never changed, and but for those that may go never removed. */
  readonly check: Effect.Effect<void, Violation> = Effect.gen({ self: this }, function*() {
    const { objects } = yield* this.timed(this.files.list(""))
    const found = new Set(objects.map(({ key }) => key))
    for (const [key, bytes] of this.#seen) {
      if (!found.has(key)) {
        if (!this.mayGo(key)) return yield* this.violated(`${key} is gone`)
        this.#seen.delete(key)
        continue
      }
      const there = yield* this.files.get(key)
      if (there !== bytes && (there === null || Buffer.compare(there, bytes) !== 0)) {
        return yield* this.violated(`${key} was changed`)
      }
    }
    for (const key of found) {
      if (!this.#seen.has(key)) this.#seen.set(key, (yield* this.files.get(key)) ?? new Uint8Array())
    }
    for (const check of this.checks) yield* check
  }).pipe(Effect.catchTag("BatchError", (error) => Effect.die(error)))
}

const verbOf = (kind: Kind): string =>
  kind === "create" || kind === "write"
    ? "writes"
    : kind === "removeAll"
    ? "removes"
    : kind === "list" || kind === "list jobs"
    ? "lists"
    : kind === "send"
    ? "sends the call for"
    : kind === "answer"
    ? "hears the answer for"
    : "reads"

/** The times of a store that counts in whole seconds, as S3 does. */
export const inWholeSeconds = (store: Store): Store => {
  const whole = (millis: number) => Math.floor(millis / 1000) * 1000
  const info = (object: ObjectInfo) => ({ ...object, modifiedAt: whole(object.modifiedAt) })
  return ObjectStore.of({
    ...store,
    head: (key) => Effect.map(store.head(key), (object) => (object === null ? null : info(object))),
    list: (prefix) =>
      Effect.map(store.list(prefix), ({ at, objects }) => ({ at: whole(at), objects: objects.map(info) }))
  })
}
