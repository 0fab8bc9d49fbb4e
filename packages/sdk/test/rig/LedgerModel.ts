import { Cause, Effect, Exit, Layer, Stream } from "effect"
import { isDeepStrictEqual } from "node:util"
import { awaitAll } from "../../src/awaitAll.ts"
import type { BatchError } from "../../src/BatchError.ts"
import { BatchJobs, type CreateRequest, type JobState, toBatchError } from "../../src/bedrock/BatchJobs.ts"
import { OnDemand } from "../../src/bedrock/OnDemand.ts"
import { sha256 } from "../../src/internal/Digest.ts"
import * as Layout from "../../src/internal/Layout.ts"
import { jobLists, manifests } from "../../src/internal/Manifest.ts"
import { cancelledCode, isCancelled } from "../../src/internal/Refusals.ts"
import * as SlotObjects from "../../src/internal/SlotObjects.ts"
import {
  type EndedJob,
  isTerminal,
  type Job,
  type RefusedJob,
  type SubmittedJob,
  type TerminalStatus
} from "../../src/Job.ts"
import * as Ledger from "../../src/Ledger.ts"
import { defaults } from "../../src/Limits.ts"
import * as Capacity from "../../src/schedule/Capacity.ts"
import { layerShared } from "../../src/schedule/SharedCapacity.ts"
import { type ObjectInfo, ObjectStore } from "../../src/store/ObjectStore.ts"
import { submit } from "../../src/submit.ts"
import type { WaitStrategy } from "../../src/wait/Wait.ts"
import { ScriptedJobs, settings } from "./ScriptedJobs.ts"
import { Life, Stage, Violation, type Waiting } from "./Stage.ts"

type Store = ObjectStore["Service"]

export type Verb = "submit" | "awaitAll"

/** What the service and its clients are like. */
export interface Habits {
  /** What each process runs. */
  readonly verbs: ReadonlyArray<Verb>
  readonly jobs: number
  /** For how long the service knows a token, in milliseconds; 0 ignores tokens. */
  readonly tokenKept: number
  /** Whether the service may forget all tokens at any time. */
  readonly forgetful: boolean
  /** From what age, in milliseconds, every list shows a job. A younger one may be shown, too. */
  readonly lag: number
  readonly showsTokens: boolean
  /** By how much each process's clock is wrong, in milliseconds. */
  readonly skews: ReadonlyArray<number>
  /** Whether a process may stand still between its second look and its call, though tokens do not protect. */
  readonly freezes: boolean
  readonly ledger: Ledger.Options
  /** Which jobs each process is about; all of them where it is not said. */
  readonly parts: ReadonlyArray<ReadonlyArray<number>>
  /** How many slots the processes share; 0 for processes that have slots of their own. */
  readonly slots: number
}

export const usual: Habits = {
  verbs: ["submit", "submit"],
  jobs: 1,
  tokenKept: Infinity,
  forgetful: false,
  lag: 0,
  showsTokens: true,
  skews: [],
  freezes: false,
  ledger: {},
  parts: [],
  slots: 0
}

/** What becomes of a create call that is under way. */
export const fates = [
  "accepted",
  "accepted, its answer lost",
  "accepted, answered by a 500",
  "accepted, answered without an ARN",
  "accepted, answered by a conflict",
  "lost on its way",
  "answered by a 500",
  "answered by a conflict",
  "refused: quota",
  "refused: throttled",
  "refused: validation"
] as const

/** What becomes of a call at a service that breaks its word is the last. */
export type Fate = typeof fates[number] | "accepted, answered by a refusal"

interface Call {
  readonly life: Life
  readonly request: CreateRequest
  readonly sentAt: number
  answer: Effect.Effect<{ readonly arn: string }, BatchError> | null
}

/** The longest time in which a create call takes effect, in milliseconds. */
const callLimit = 60_000

/** Process `number` of a world: it lives again and again until it has what it wants. */
export class Process {
  readonly name: string
  life: Life | null = null
  lives = 0
  /** What it came to. */
  result: ReadonlyArray<Result> | null = null
  /** What its program gave. */
  given: ReadonlyArray<Result> = []
  readonly number: number
  readonly verb: Verb
  constructor(number: number, verb: Verb) {
    this.number = number
    this.verb = verb
    this.name = `process ${number + 1}`
  }
  get runs(): boolean {
    return this.life !== null && this.life.runs
  }
}

type Result = SubmittedJob | EndedJob | RefusedJob

const runId = "run"

/** What a claim of a life has come to. */
interface Held {
  readonly life: Life
  readonly jobKey: string
  readonly number: number
  /** The second look's list of marks. */
  marks: Waiting | undefined
  looked: boolean
  /** Whether the second look showed that nothing is to be sent. */
  forbidden: string | null
}

/** Processes that submit and await the jobs of one run over one store, and the service. */
export class World {
  readonly stage: Stage
  readonly service = new ScriptedJobs()
  readonly processes: ReadonlyArray<Process>
  /** Handlers of events. */
  readonly handlers: Array<Process> = []
  readonly calls: Array<Call> = []
  /** How many calls were sent. */
  sent = 0
  adopted = 0
  givenUp = 0
  cancelled = false
  /** Claims that no call was made for and that were not given up: a life's last one of each job. */
  #held: Array<Held> = []
  #events = 0
  /** Names of jobs of which somebody was told that they are cancelled and do not exist. */
  readonly #nonexistent = new Set<string>()
  /** The operation that takes effect now. */
  #current: Waiting | null = null
  /** When a life last listed the service's jobs for one of ours. */
  readonly #listedAt = new Map<Life, Map<string, number>>()

  /** Whether lists show jobs that are younger than their lag. */
  showsEarly = false
  readonly habits: Habits
  readonly files: Store
  readonly jobs: ReadonlyArray<Job>

  constructor(habits: Habits, files: Store, jobs: ReadonlyArray<Job>) {
    this.habits = habits
    this.files = files
    this.jobs = jobs
    this.stage = new Stage(files, (key) =>
      key.replace(/^run\/jobs\/1-00000/, "job ").replace(/^run\//, "").replace(slotFolder, "slot "))
    this.stage.mayGo = (key) => key.startsWith("capacity/")
    this.service.tokenKept = habits.tokenKept
    this.service.showsTokens = habits.showsTokens
    this.processes = habits.verbs.map((verb, number) => new Process(number, verb))
    this.stage.afterWrite.push((life, key, created) => this.#wrote(life, key, created))
    this.stage.afterList.push((life, prefix, objects) => this.#listed(life, prefix, objects))
    this.stage.afterHead.push((life, key, isThere) => this.#lookedFor(life, key, isThere))
    this.stage.checks.push(this.#check)
  }

  /** Whether a call leaves at once after the second look. Where tokens protect, it need not. */
  get sendsAtOnce(): boolean {
    return !this.habits.freezes && (this.habits.tokenKept < Infinity || this.habits.forgetful)
  }

  /** Whether no job can come of a claim that was settled by a list: lists are in time, and nobody sends late. */
  get settlesForGood(): boolean {
    return this.sendsAtOnce && this.habits.ledger.settleAfter === undefined && this.habits.lag <= 210_000
  }

  #wrote(life: Life, key: string, created: boolean): void {
    const match = /^run\/jobs\/(.+)\.(claim|refused)-(\d+)$/.exec(key)
    if (match === null) return
    const jobKey = match[1]!
    const number = Number(match[3])
    const held = this.#heldBy(life, jobKey)
    if (match[2] === "claim" && created) {
      this.#held = this.#held.filter((other) => other !== held)
      this.#held.push({ life, jobKey, number, marks: undefined, looked: false, forbidden: null })
    } else if (match[2] === "refused" && held?.number === number) {
      if (held.looked) this.givenUp++
      this.#held = this.#held.filter((other) => other !== held)
    }
  }

  #heldBy(life: Life, jobKey: string): Held | undefined {
    return this.#held.find((held) => held.life === life && held.jobKey === jobKey)
  }

  #listed(life: Life, prefix: string, objects: ReadonlyArray<ObjectInfo>): void {
    for (const held of this.#held) {
      if (held.life !== life) continue
      const marked = objects.some(({ key }) => key === "run/cancelled" || key === "run/cancelled-1")
      if (held.marks === this.#current && marked) held.forbidden = "the run is cancelled"
      if (prefix !== `run/jobs/${held.jobKey}.`) continue
      held.looked = true
      if (objects.some(({ key }) => key.endsWith(".arn"))) held.forbidden = "the job is accepted"
    }
  }

  /** In a folder the second look is for one name after the other. */
  #lookedFor(life: Life, key: string, isThere: boolean): void {
    const held = this.#held.find((held) => held.life === life && key === `run/jobs/${held.jobKey}.arn`)
    if (held === undefined) return
    held.looked = true
    if (isThere) held.forbidden = "the job is accepted"
  }

  /** Who has looked for the second time and is about to send, or to give his claim up. */
  get #hasty() {
    for (const { jobKey, life, looked, number } of this.#held) {
      const process = this.processes.find((process) => process.life === life)
      if (!looked || process === undefined) continue
      const job = this.jobs.find(({ key }) => key === jobKey)
      const next = life.waiting.find(({ key, kind }) =>
        (kind === "send" && key === job?.name) || (kind === "create" && key.endsWith(`${jobKey}.refused-${number}`))
      )
      if (next !== undefined) return { process, next }
    }
    return null
  }

  readonly #check: Effect.Effect<void, Violation | BatchError> = Effect.gen({ self: this }, function*() {
    const { made } = this.service
    if (new Set(made.map(({ request }) => request.jobName)).size < made.length) {
      return yield* this.stage.violated("two paid jobs for one key")
    }
    if (this.habits.slots > 0) yield* this.#checkSlots
    if (made.length === 0) return
    // What is paid for is known, or known to be unknown: a claim without a refusal is looked after by whoever comes.
    const entries = yield* this.#entries
    for (const { request, state } of made) {
      if (!this.jobs.some(({ name }) => name === request.jobName)) continue
      if (this.settlesForGood && this.#nonexistent.has(request.jobName)) {
        return yield* this.stage.violated(`${state.arn} is paid for, and somebody was told that it does not exist`)
      }
      const job = this.jobs.find(({ name }) => name === request.jobName)!
      const entry = entries.get(job.key)
      if (entry === undefined || !(entry.known || entry.openClaims.length > 0)) {
        return yield* this.stage.violated(`nothing in the ledger tells of ${state.arn}`)
      }
    }
  })

  /** No more jobs are open than there are slots, and each is counted by one. */
  readonly #checkSlots = Effect.gen({ self: this }, function*(this: World) {
    const open = this.service.made.filter(({ state }) => !isTerminal(state.status))
    if (open.length > this.habits.slots) {
      return yield* this.stage.violated(`${open.length} jobs are open, and there are ${this.habits.slots} slots`)
    }
    const holders = (yield* this.holders).map(({ job }) => job)
    for (const { request } of open) {
      const job = this.jobs.find(({ name }) => name === request.jobName)
      if (job !== undefined && !holders.includes(job.key)) {
        return yield* this.stage.violated(`job ${job.key} is open, and no slot counts it`)
      }
    }
  })

  /** Who holds the slots. */
  get holders() {
    return Effect.gen({ self: this }, function*(this: World) {
      const { slots } = yield* this.stage.timed(SlotObjects.look(this.files, slotFolder))
      const held = [...slots.values()].filter(({ isFree }) => !isFree)
      const found = yield* Effect.forEach(held, (place) =>
        Effect.map(SlotObjects.holderOf(this.files, slotFolder, place), (holder) => ({
          slot: place.slot,
          generation: place.generation,
          job: holder?.job ?? "",
          claim: holder?.claim ?? 0
        })))
      return found
    })
  }

  get #entries() {
    return Effect.map(this.files.list(Layout.ledger(runId)), ({ objects }) => {
      const keys = new Set(objects.map(({ key }) => key))
      return new Map(this.jobs.map(({ key }) => {
        const prefix = `run/jobs/${key}.`
        const claims = [...keys].filter((name) => name.startsWith(`${prefix}claim-`))
        const openClaims = claims.filter((name) => !keys.has(name.replace("claim-", "refused-")))
          .map((name) => Number(name.slice(`${prefix}claim-`.length)))
        return [key, { known: keys.has(`${prefix}arn`) || keys.has(`${prefix}end`), openClaims }]
      }))
    })
  }

  /** The names of the ledger's objects of a job. */
  objectsOf(index = 0) {
    const prefix = `run/jobs/${this.jobs[index]!.key}.`
    return Effect.map(this.files.list(prefix), ({ objects }) => objects.map(({ key }) => key.slice(prefix.length)))
  }

  /** A stored object as JSON, or null. */
  readonly #json = Effect.fnUntraced({ self: this }, function*(this: World, key: string) {
    const bytes = yield* this.files.get(key)
    const value: unknown = bytes === null ? null : JSON.parse(Buffer.from(bytes).toString())
    return value
  })

  /** A call leaves: it must have an intent, a claim of its own that no call was made for, and no reason not to. */
  readonly #send = Effect.fnUntraced({ self: this }, function*(this: World, life: Life, request: CreateRequest) {
    const { stage } = this
    this.sent++
    const job = this.jobs.find(({ name }) => name === request.jobName)
    if (job === undefined) return yield* stage.violated(`${life.name} sends a call for no job: ${request.jobName}`)
    const intent = yield* this.#json(`run/jobs/${job.key}.intent`)
    if (!isDeepStrictEqual(intent, JSON.parse(JSON.stringify(request)))) {
      return yield* stage.violated(`${life.name} sends a request that is not the stored one`)
    }
    const held = this.#heldBy(life, job.key)
    if (held === undefined) return yield* stage.violated(`${life.name} sends without a claim of its own`)
    if (!held.looked) return yield* stage.violated(`${life.name} sends without a second look`)
    if (held.forbidden !== null) {
      return yield* stage.violated(`${life.name} sends although it saw that ${held.forbidden}`)
    }
    const claim = yield* this.files.head(`run/jobs/${job.key}.claim-${held.number}`)
    if (this.sendsAtOnce && this.habits.ledger.sendWithin === undefined && stage.now - claim!.modifiedAt > 31_000) {
      return yield* stage.violated(`${life.name} sends by a claim that is older than sendWithin`)
    }
    const open = (yield* this.#entries).get(job.key)!.openClaims.some((number) => number < held.number)
    const listedAt = this.#listedAt.get(life)?.get(job.name)
    if (this.sendsAtOnce && this.habits.ledger.sendWithin === undefined && open) {
      if (listedAt === undefined || stage.now - listedAt > 31_000) {
        return yield* stage.violated(`${life.name} sends without a list that is fresh, and an earlier claim is open`)
      }
    }
    this.#held = this.#held.filter((other) => other !== held)
    const call: Call = { life, request, sentAt: stage.now, answer: null }
    this.calls.push(call)
    return call
  })

  /** What the service is for one life. */
  #jobsOf(life: Life, number: number): BatchJobs["Service"] {
    const scripted = this.service.service
    return BatchJobs.of({
      ...scripted,
      // Each process has options of its own: the stored request counts.
      settings: { ...settings, roleArn: `arn:aws:iam::123456789012:role/process-${number + 1}` },
      create: Effect.fnUntraced({ self: this }, function*(this: World, request: CreateRequest) {
        const call = yield* life.ask<Call, Violation>({
          kind: "send",
          key: request.jobName,
          effect: Effect.catchTag(this.#send(life, request), "BatchError", (error) => Effect.die(error)),
          tell: () => `sends a create call for ${request.jobName}`
        }).pipe(Effect.catchTag("Violation", (violation) => this.#fail(violation)))
        return yield* life.ask({
          kind: "answer",
          key: request.jobName,
          effect: Effect.suspend(() => call.answer ?? Effect.die(new Error("no answer yet"))),
          tell: (exit) => (Exit.isSuccess(exit) ? `hears: ${shortArn(exit.value.arn)}` : `hears: ${messageOf(exit)}`),
          ready: () => call.answer !== null
        })
      }),
      list: (query) =>
        Stream.unwrap(Effect.map(
          life.ask<Array<JobState>, BatchError>({
            kind: "list jobs",
            key: query.nameContains ?? "all jobs",
            effect: Effect.map(Stream.runCollect(scripted.list(query)), (states) => {
              const listedAt = this.#listedAt.get(life) ?? new Map<string, number>()
              this.#listedAt.set(life, listedAt.set(query.nameContains ?? "", this.stage.now))
              return states
            }),
            tell: (exit) =>
              `lists the service's jobs: ${
                Exit.isSuccess(exit) ? exit.value.map(({ arn }) => shortArn(arn)).join() || "none" : "fails"
              }`
          }),
          Stream.fromIterable
        ))
    })
  }

  /** A violation that a call showed: kept until the step is over, since real code would take it for an answer. */
  #violation: Violation | null = null
  #fail(violation: Violation): Effect.Effect<never> {
    this.#violation ??= violation
    return Effect.die(violation)
  }

  /** Gives what was kept back. */
  readonly #raise: Effect.Effect<void, Violation> = Effect.suspend(() =>
    this.#violation === null ? Effect.void : Effect.fail(this.#violation)
  )

  #capacityOf(slots: number) {
    return slots === 0
      ? Capacity.layerFixed({ region: this.service.region })
      : layerShared({ limits: { maxOpenJobs: slots }, manyOld: 1 })
  }

  #programOf(process: Process, life: Life): Effect.Effect<unknown, BatchError> {
    const files = Layer.succeed(ObjectStore, life.store)
    const ledger = Ledger.layer(this.habits.ledger).pipe(Layer.provide(files))
    const jobs = Layer.succeed(BatchJobs, this.#jobsOf(life, process.number))
    const services = Layer.mergeAll(
      files,
      jobs,
      ledger,
      this.#capacityOf(this.habits.slots).pipe(Layer.provide(Layer.mergeAll(files, jobs, ledger))),
      Layer.succeed(OnDemand, {
        region: this.service.region,
        concurrency: 1,
        invoke: () => Effect.die(new Error("there are no jobs on demand"))
      })
    )
    const wait: WaitStrategy = {
      "~@bedrock-batch/sdk/WaitStrategy": "scripted",
      open: Effect.succeed({
        before: () => Effect.void,
        wait: (job) => {
          const state = () => this.service.made.find((made) => made.state.arn === job.arn)?.state
          return life.ask({
            kind: "wait",
            key: job.key,
            effect: Effect.sync(() => this.#ended(job, `told to ${life.name}`)),
            tell: () => `hears that ${shortArn(job.arn)} has ended`,
            ready: () => isTerminal(state()?.status ?? ""),
            local: true
          }).pipe(Effect.orDie)
        }
      })
    }
    /** A job of a cancelled run, as `awaitAll` gives it. */
    const submitted = (job: Job) =>
      Effect.catchIf(submit(job), isCancelled, ({ reason }) =>
        Effect.succeed<Result>({ ...job, status: "Refused", code: cancelledCode, message: reason.message }))
    const part = this.habits.parts[process.number]
    const mine = part === undefined ? this.jobs : part.map((index) => this.jobs[index]!)
    const keep = (given: ReadonlyArray<Result>) => Effect.sync(() => void (process.given = given))
    return Effect.provide(
      process.verb === "awaitAll"
        ? Effect.flatMap(awaitAll(mine.map(submit), { wait }), keep)
        : Effect.flatMap(Effect.forEach(mine, submitted), keep),
      services
    )
  }

  #ended(job: SubmittedJob, message: string): EndedJob {
    const status = this.service.made.find(({ state }) => state.arn === job.arn)?.state.status ?? ""
    return { ...job, status: isTerminal(status) ? status : "Failed", message, counters: null, repeatedCalls: 0 }
  }

  /** Begins a life of a process. */
  readonly begin = Effect.fnUntraced({ self: this }, function*(this: World, process: Process) {
    const { stage } = this
    process.lives++
    const again = process.lives === 1 ? "begins" : "begins again"
    stage.tell(`${process.name} ${again}: ${process.verb}`)
    const life = new Life(process.name, stage, this.habits.skews[process.number] ?? 0)
    process.life = life
    yield* stage.begin(life, this.#programOf(process, life))
    yield* this.#look(process)
  })

  /** Looks at how a life ended. */
  readonly #look = Effect.fnUntraced({ self: this }, function*(this: World, process: Process) {
    yield* this.#raise
    const { life } = process
    if (life === null || life.exit === null) return
    const { exit } = life
    process.life = null
    if (Exit.isSuccess(exit)) {
      process.result = process.given
      if (this.handlers.includes(process)) return
      this.stage.tell(`${process.name} has what it wants: ${process.given.map(describe).join(", ")}`)
      yield* this.#audit(process.name, process.given)
      return
    }
    if (Cause.hasDies(exit.cause)) {
      return yield* this.stage.violated(`${process.name} crashes: ${Cause.pretty(exit.cause)}`)
    }
    const error = Exit.findErrorOption(exit)
    if (error._tag === "None") return this.stage.tell(`${process.name} is gone`)
    const { reason } = error.value
    this.stage.tell(`${process.name} ends with ${reason._tag}: ${reason.message}`)
    const given = reason._tag === "Unavailable" || reason._tag === "Undecided" ||
      (reason._tag === "Refused" && reason.code === "ValidationException")
    if (!given) {
      return yield* this.stage.violated(`${process.name} fails for no reason that was given`)
    }
  })

  /** What a process came to is what the ledger and the service hold. */
  readonly #audit = Effect.fnUntraced({ self: this }, function*(
    this: World,
    name: string,
    jobs: ReadonlyArray<Result>
  ) {
    for (const job of jobs) {
      const made = this.service.made.find(({ request }) => request.jobName === job.name)
      if (!("arn" in job)) {
        if (job.code !== cancelledCode) continue
        if (!this.cancelled) return yield* this.stage.violated(`${name} takes the run for cancelled`)
        this.#nonexistent.add(job.name)
        continue
      }
      if (made?.state.arn !== job.arn) {
        return yield* this.stage.violated(`${name} has ${job.arn}, which is not the paid job`)
      }
      const key = `run/jobs/${job.key}.${"status" in job ? "end" : "arn"}`
      const stored = yield* this.#json(key).pipe(Effect.orDie)
      if (!isDeepStrictEqual(stored, JSON.parse(JSON.stringify(job)))) {
        return yield* this.stage.violated(`${name} has another ${key} than the one that was recorded first`)
      }
      if ("adopted" in job && job.adopted) this.adopted++
    }
  })

  /** Lets a process do its next operation that is ready; begins its next life where it has none. */
  readonly step = Effect.fnUntraced({ self: this }, function*(this: World, process: Process, which = 0) {
    if (process.result !== null) return false
    if (!process.runs) {
      yield* this.begin(process)
      return true
    }
    const ready = process.life!.waiting.filter((waiting) => waiting.ready())
    const next = ready[which % Math.max(1, ready.length)]
    if (next === undefined) return false
    yield* this.let(process, next)
    return true
  })

  readonly let = Effect.fnUntraced({ self: this }, function*(
    this: World,
    process: Process,
    waiting: Waiting,
    how: "whole" | "answer lost" | "lost" = "whole"
  ) {
    this.service.listLag = this.showsEarly ? 0 : this.habits.lag
    const life = process.life!
    this.#current = waiting
    yield* this.stage.let(life, waiting, how).pipe(Effect.andThen(this.#raise))
    this.#expect(life, waiting)
    yield* this.#look(process)
  })

  /** Lets an operation take effect, and keeps its answer back until the effect that is given is run. */
  readonly hold = Effect.fnUntraced({ self: this }, function*(this: World, process: Process, waiting: Waiting) {
    const life = process.life!
    this.#current = waiting
    const answer = yield* this.stage.hold(life, waiting)
    return answer.pipe(
      Effect.andThen(Effect.sync(() => this.#expect(life, waiting))),
      Effect.andThen(this.#raise),
      Effect.andThen(Effect.suspend(() => this.#look(process)))
    )
  })

  /** After a claim comes the second look. */
  #expect(life: Life, { key }: Waiting): void {
    const held = this.#held.find((held) => held.life === life && key === `run/jobs/${held.jobKey}.claim-${held.number}`)
    if (held !== undefined) held.marks ??= life.waiting.findLast(({ key }) => key === "run/cancelled")
  }

  /** Lets a process go on until it is about to do something; false where it does not get there by itself. */
  readonly until = Effect.fnUntraced({ self: this }, function*(this: World, process: Process, about: About) {
    for (let steps = 0; steps < 60; steps++) {
      const next = process.life?.waiting.find((waiting) => this.isAbout(process, waiting, about))
      if (process.runs && next !== undefined) return true
      if (!(yield* this.step(process))) return false
    }
    return false
  })

  isAbout(process: Process, waiting: Waiting, about: About): boolean {
    switch (about) {
      case "claim":
        return waiting.kind === "create" && waiting.key.includes(".claim-")
      case "look again":
        return (waiting.kind === "list" || waiting.kind === "head") && this.#held.some(({ life, looked }) => life === process.life && !looked)
      case "send":
        return waiting.kind === "send"
      case "hear":
        return waiting.kind === "answer"
      case "record":
        return waiting.kind === "create" && /\.(arn|refused-\d+|end)$/.test(waiting.key)
      case "ask the list":
        return waiting.kind === "list jobs"
      case "sleep":
        return waiting.kind === "sleep"
    }
  }

  /**
   * Time passes. A call that is under way takes effect within its limit; and nobody stands still between his second
   * look and his call, unless he may.
   */
  readonly pass = Effect.fnUntraced({ self: this }, function*(
    this: World,
    millis: number,
    fate: Fate = "lost on its way"
  ) {
    const until = this.stage.now + millis
    for (let hasty = this.#hasty; this.sendsAtOnce && hasty !== null; hasty = this.#hasty) {
      yield* this.let(hasty.process, hasty.next)
    }
    for (;;) {
      const call = this.calls.find(({ answer, sentAt }) => answer === null && sentAt + callLimit < until)
      if (call === undefined) break
      this.stage.pass(call.sentAt + callLimit - this.stage.now)
      yield* this.decide(call, fate)
    }
    this.stage.pass(until - this.stage.now)
  })

  /** The service decides about a call. */
  readonly decide = Effect.fnUntraced({ self: this }, function*(this: World, call: Call, fate: Fate) {
    const fail = (code: string | null, status: number | null) => {
      const message = code ?? (status === null ? "connection reset" : `${status}`)
      return Effect.fail(toBatchError("create", { code, status, message }))
    }
    const accepts = fate.startsWith("accepted")
    const before = this.service.made.length
    const arn = accepts ? this.service.accept(call.request, this.stage.now) : ""
    const made = this.service.made.length > before
    switch (fate) {
      case "accepted":
        call.answer = Effect.succeed({ arn })
        break
      case "accepted, its answer lost":
      case "lost on its way":
        call.answer = fail(null, null)
        break
      case "accepted, answered by a 500":
      case "answered by a 500":
        call.answer = fail("InternalServerException", 500)
        break
      case "accepted, answered without an ARN":
        call.answer = fail(null, 200)
        break
      case "accepted, answered by a refusal":
        call.answer = fail("ValidationException", 400)
        break
      case "accepted, answered by a conflict":
      case "answered by a conflict":
        call.answer = fail("ConflictException", 400)
        break
      case "refused: quota":
        call.answer = fail("ServiceQuotaExceededException", 400)
        break
      case "refused: throttled":
        call.answer = fail("ThrottlingException", 429)
        break
      case "refused: validation":
        call.answer = fail("ValidationException", 400)
    }
    const whose = call.life.dead ? `${call.life.name}, which is dead,` : call.life.name
    const what = accepts ? ` (${made ? "a new job" : "known by its token"}: ${shortArn(arn)})` : ""
    this.stage.tell(`the call of ${whose} is ${fate}${what}`)
    yield* this.stage.check
  })

  /** The calls that no decision was made about. */
  get underWay(): ReadonlyArray<Call> {
    return this.calls.filter(({ answer }) => answer === null)
  }

  readonly kill = Effect.fnUntraced({ self: this }, function*(this: World, process: Process, late = false) {
    if (!process.runs) return
    yield* this.stage.kill(process.life!, late)
    process.life = null
    // An event that nobody took care of is lost.
    if (this.handlers.includes(process)) process.result = []
  })

  readonly interrupt = Effect.fnUntraced({ self: this }, function*(this: World, process: Process) {
    if (!process.runs) return
    yield* this.stage.interrupt(process.life!)
    yield* this.#look(process)
  })

  /** Somebody cancels the run, or the attempt. */
  readonly cancel = Effect.fnUntraced({ self: this }, function*(this: World, scope: "run" | "attempt") {
    const key = scope === "run" ? Layout.cancelled(runId) : Layout.cancelledAttempt(runId, 1)
    this.cancelled = true
    this.stage.tell(`somebody writes ${scope === "run" ? "cancelled" : "cancelled-1"}`)
    yield* this.stage.timed(this.files.create(key, Buffer.from("{}"))).pipe(Effect.orDie)
  })

  /** The service forgets all tokens, and knows none from now on. */
  forgetTokens(): void {
    if (this.service.tokenKept === 0) return
    this.service.tokenKept = 0
    this.stage.tell("the service forgets all tokens")
  }

  /** A job ends at the service. */
  end(index: number, status: TerminalStatus): void {
    const made = this.service.made[index]
    if (made === undefined || isTerminal(made.state.status)) return
    this.service.change(index, { status })
    this.stage.tell(`${shortArn(made.state.arn)} ends: ${status}`)
  }

  /** An event of a job's end reaches a handler, which records it by itself. */
  readonly event = Effect.fnUntraced({ self: this }, function*(this: World, index: number) {
    const made = this.service.made[index]
    if (made === undefined || !isTerminal(made.state.status)) return null
    const { arn, submittedAt } = made.state
    const job = this.jobs.find(({ name }) => name === made.request.jobName)!
    const ended = this.#ended({ ...job, arn, submittedAt, adopted: false }, `event ${++this.#events}`)
    const handler = new Process(this.processes.length + this.handlers.length, "submit")
    this.handlers.push(handler)
    this.stage.tell(`event ${this.#events} tells ${handler.name} that ${shortArn(arn)} has ended`)
    const life = new Life(handler.name, this.stage, 0)
    handler.life = life
    const services = Ledger.layer().pipe(Layer.provide(Layer.succeed(ObjectStore, life.store)))
    const program = Ledger.Ledger.use((ledger) => ledger.end(ended)).pipe(Effect.provide(services))
    yield* this.stage.begin(life, program)
    yield* this.#look(handler)
    return handler
  })

  /** From here on nothing fails: everybody lives until he has what he wants, and the jobs end. */
  readonly finish = Effect.fnUntraced({ self: this }, function*(this: World) {
    const { stage } = this
    stage.tell("-- from here on nothing fails --")
    for (let rounds = 0; rounds < 3_000; rounds++) {
      let moved = false
      for (const process of [...this.processes, ...this.handlers]) {
        if (process.result === null && (yield* this.step(process))) moved = true
      }
      if (moved) continue
      const undecided = this.underWay[0]
      const at = Math.min(...stage.lives.flatMap((life) => life.waiting.flatMap(({ at }) => at ?? [])))
      // Jobs end whether or not anybody waits for it.
      if (this.habits.slots > 0) this.service.made.forEach((_, index) => this.end(index, "Completed"))
      if (undecided !== undefined) yield* this.decide(undecided, "accepted")
      else if (stage.lives.some((life) => life.waiting.some(({ kind }) => kind === "wait"))) {
        this.service.made.forEach((_, index) => this.end(index, "Completed"))
      } else if (Number.isFinite(at)) yield* this.pass(at - stage.now)
      else break
    }
    while (stage.late.length > 0) yield* stage.landLate(0)
    if (this.processes.some(({ result }) => result === null)) return yield* stage.violated("it does not come to an end")
    yield* this.#final
  })

  /** All jobs have ended: whoever wants all slots gets them, within the time that the ledger needs and some looks. */
  readonly #takeAll = Effect.gen({ self: this }, function*(this: World) {
    const { stage } = this
    const life = new Life("whoever takes all slots", stage)
    const files = Layer.succeed(ObjectStore, life.store)
    const ledger = Ledger.layer(this.habits.ledger).pipe(Layer.provide(files))
    const jobs = Layer.succeed(BatchJobs, this.#jobsOf(life, this.processes.length))
    const services = this.#capacityOf(this.habits.slots).pipe(Layer.provide(Layer.mergeAll(files, jobs, ledger)))
    const { model, region } = this.jobs[0]!
    const keys = Array.from({ length: this.habits.slots }, (_, i) => `1-${i}`)
    const takers = keys.map((key) => ({ model, region, runId: "other", key }))
    const taken = Capacity.Capacity.use(({ take }) =>
      Effect.scoped(Effect.forEach(takers, (taker) => take(taker), { discard: true })))
    yield* stage.begin(life, Effect.provide(taken, services))
    const from = stage.now
    while (life.runs) {
      const next = life.waiting.find((waiting) => waiting.ready())
      const at = Math.min(...life.waiting.flatMap(({ at }) => at ?? []))
      if (next !== undefined) yield* stage.let(life, next)
      else if (Number.isFinite(at) && stage.now - from < 900_000) stage.pass(at - stage.now)
      else return yield* stage.violated("a slot is lost")
    }
    if (life.exit === null || Exit.isFailure(life.exit)) return yield* stage.violated("the slots cannot be taken")
  })

  readonly #final: Effect.Effect<void, Violation> = Effect.gen({ self: this }, function*() {
    const { stage } = this
    const entries = yield* Effect.orDie(this.#entries)
    for (const job of this.jobs) {
      const made = this.service.made.filter(({ request }) => request.jobName === job.name)
      const entry = entries.get(job.key)!
      const results = this.processes.flatMap(({ result }) => result?.filter(({ key }) => key === job.key) ?? [])
      const refused = results.every((result) => "status" in result && result.status === "Refused")
      // All of them were told that the service does not take the job: another might try again.
      if (made.length === 0 && !this.cancelled && refused) return
      if (made.length === 0 && !this.cancelled) return yield* stage.violated(`job ${job.key} was never made`)
      if (made.length === 1 && !this.#nonexistent.has(job.name) && !entry.known) {
        return yield* stage.violated(`the ledger does not name the paid job of ${job.key}`)
      }
    }
    // Whoever comes after all of them sends nothing, asks for little, and leaves no paid job unknown.
    yield* this.pass(this.habits.lag + 600_000)
    const last = new Process(this.processes.length + this.handlers.length, "submit")
    const { sent } = this
    // In a folder it looks for one name after the other.
    const most = (this.files.listsFolders === true ? 200 : 8) * this.jobs.length
    for (let steps = 0; last.result === null; steps++) {
      if (steps > most || !(yield* this.step(last))) {
        return yield* stage.violated("the last one does not find the jobs")
      }
    }
    if (this.sent !== sent) return yield* stage.violated("the last one sends a call")
    if (this.habits.slots > 0) yield* this.#takeAll
    const after = yield* Effect.orDie(this.#entries)
    for (const job of this.jobs) {
      const made = this.service.made.some(({ request }) => request.jobName === job.name)
      if (made !== after.get(job.key)!.known) {
        return yield* stage.violated(`the ledger is wrong about ${job.key} in the end`)
      }
    }
  })
}

/** The folder of the slots. */
const slotFolder = SlotObjects.folderOf("us-east-1", "anthropic.claude-haiku-4-5-20251001-v1:0")

/** What a process is about to do. */
export type About = "claim" | "look again" | "send" | "hear" | "record" | "ask the list" | "sleep"

const shortArn = (arn: string): string => `job ${Number(arn.slice(arn.lastIndexOf("/") + 1))} of the service`

const describe = (job: Result): string =>
  "arn" in job ? `${shortArn(job.arn)}${"status" in job ? `, ${job.status}` : ""}` : `no job (${job.code})`

const messageOf = (exit: Exit.Failure<unknown, BatchError>): string => {
  const error = Exit.findErrorOption(exit)
  return error._tag === "Some" ? error.value.reason.message : "nothing"
}

const empty = sha256()

/** A world whose run is prepared: `count` jobs with one file each. */
export const makeWorld = Effect.fnUntraced(function*(habits: Habits, files: Store) {
  const base = new Stage(files)
  const jobs: Array<Job> = []
  for (let index = 0; index < habits.jobs; index++) {
    const key = Layout.jobKey(1, index)
    const input = Layout.inputs(runId, "p", key)
    const fileOf = Effect.fnUntraced(function*(name: string) {
      yield* base.timed(files.create(name, new Uint8Array(0)))
      const info = yield* files.head(name)
      return { key: name, size: 0, etag: info!.etag, sha256: empty, records: 1 }
    })
    jobs.push({
      version: 1,
      runId,
      key,
      attempt: 1,
      index,
      lane: "batch",
      model: "us.anthropic.claude-haiku-4-5-20251001-v1:0",
      region: "us-east-1",
      invocationType: "Converse",
      name: `run-${key}-00000000`,
      token: `${index}`.repeat(64),
      prepareId: "p",
      input,
      output: Layout.outputs(runId, key),
      files: [yield* fileOf(`${input}part-0.jsonl`)],
      rows: yield* fileOf(Layout.rows(runId, "p", key)),
      firstRow: index,
      lastRow: index,
      records: 1,
      bytes: 0,
      timeoutHours: 72
    })
  }
  if (habits.slots > 0) yield* Effect.orDie(base.timed(writeManifest(files, jobs)))
  return new World(habits, files, jobs)
})

/** What names the jobs, for whoever knows a job by its key only. */
const writeManifest = Effect.fnUntraced(function*(files: Store, jobs: ReadonlyArray<Job>) {
  const key = Layout.jobList(runId, "p")
  const list = jobLists.encode(jobs)
  yield* files.create(key, list)
  const digests = { source: "", model: "", invocationType: "", prompt: "", parameters: "", processor: "", selection: "" }
  const bounds = { ...defaults, maxRecordsPerJob: 1, maxJobs: null, maxRecordsTotal: null }
  yield* files.create(
    Layout.manifest(runId),
    manifests.encode({
      version: 1,
      runId,
      name: runId,
      createdAt: "2026-11-23T00:00:00.000Z",
      fingerprint: { ...digests, rename: "" },
      model: jobs[0]!.model,
      region: jobs[0]!.region,
      invocationType: "Converse",
      processor: "test",
      source: null,
      columns: [],
      answer: [],
      rename: {},
      bounds,
      records: jobs.length,
      bytes: 0,
      jobs: { key, count: jobs.length, sha256: sha256(list) }
    })
  )
})

/** What may be told to a world. Each number is taken modulo what there is. */
export interface Command {
  readonly what: typeof weighted[number]
  readonly who: number
  readonly a: number
  readonly b: number
}

const times = (count: number) => <A>(value: A): ReadonlyArray<A> => Array.from({ length: count }, () => value)

/** Commands by how often they are given; the first is the simplest. */
const weighted = [
  ...times(10)("step" as const),
  ...times(8)("until" as const),
  ...times(6)("decide" as const),
  ...times(2)("die" as const),
  "interrupt",
  ...times(2)("lose" as const),
  "land late",
  "lists",
  ...times(2)("end" as const),
  ...times(2)("event" as const),
  "cancel",
  "forget",
  ...times(6)("pass" as const)
] as const

export const commandOf = (what: number, who: number, a: number, b: number): Command =>
  ({ what: weighted[what % weighted.length]!, who, a, b })

export const commandKinds = weighted.length

const abouts: ReadonlyArray<About> = ["claim", "look again", "send", "hear", "record", "ask the list", "sleep"]

const spans = [1_000, 29_000, 31_000, 60_000, 90_000, 120_000, 241_000, 301_000, 700_000, 3_600_000, 259_200_000]

const statuses: ReadonlyArray<TerminalStatus> = ["Completed", "PartiallyCompleted", "Stopped", "Expired", "Failed"]

const pick = <A>(list: ReadonlyArray<A>, index: number): A | undefined => list[index % Math.max(1, list.length)]

/** Carries a command out; one that does not fit does nothing. */
export const carryOut = Effect.fnUntraced(function*(world: World, { a, b, what, who }: Command) {
  const process = pick([...world.processes, ...world.handlers.filter(({ result }) => result === null)], who)!
  switch (what) {
    case "step":
      for (let steps = 0; steps <= a && (yield* world.step(process, b)); steps++);
      return
    case "until":
      return yield* world.until(process, pick(abouts, a)!)
    case "decide": {
      const call = pick(world.underWay, who)
      return call === undefined ? undefined : yield* world.decide(call, pick(fates, a)!)
    }
    case "die":
      return yield* world.kill(process, a % 2 === 1)
    case "interrupt":
      return yield* world.interrupt(process)
    case "lose": {
      const waiting = process.life?.waiting.find(({ lose, ready }) => lose !== null && ready())
      if (waiting === undefined) return
      return yield* world.let(process, waiting, a % 2 === 0 ? "lost" : "answer lost")
    }
    case "land late":
      return yield* world.stage.landLate(who)
    case "lists":
      world.showsEarly = !world.showsEarly
      return
    case "end":
      return world.end(a % Math.max(1, world.service.made.length), pick(statuses, b)!)
    case "event":
      return yield* world.event(a % Math.max(1, world.service.made.length))
    case "cancel":
      return world.cancelled || a % 4 > 1 ? undefined : yield* world.cancel(a % 2 === 0 ? "run" : "attempt")
    case "forget":
      return world.habits.forgetful ? world.forgetTokens() : undefined
    case "pass":
      return yield* world.pass(pick(spans, a)!, b % 2 === 0 ? "accepted" : "lost on its way")
  }
})

/** Carries commands out in a world, and then lets everybody come to his end. */
export const play = Effect.fnUntraced(function*(habits: Habits, commands: ReadonlyArray<Command>, files: Store) {
  const world = yield* makeWorld(habits, files)
  for (const command of commands) yield* carryOut(world, command)
  yield* world.finish()
  return world
})
