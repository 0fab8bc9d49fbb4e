import * as Prompt from "@bedrock-batch/processors/Prompt"
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Cause, Effect, Exit, Layer, Schema, Stream } from "effect"
import type { BatchError } from "../src/BatchError.ts"
import { BatchJobs } from "../src/bedrock/BatchJobs.ts"
import { OnDemand } from "../src/bedrock/OnDemand.ts"
import { sha256 } from "../src/internal/Digest.ts"
import * as Layout from "../src/internal/Layout.ts"
import * as RowsFile from "../src/internal/RowsFile.ts"
import type { Job } from "../src/Job.ts"
import * as Ledger from "../src/Ledger.ts"
import { prepare } from "../src/prepare.ts"
import { prepareStep } from "../src/prepareStep.ts"
import * as Run from "../src/Run.ts"
import * as Capacity from "../src/schedule/Capacity.ts"
import * as Source from "../src/source/Source.ts"
import { ObjectStore } from "../src/store/ObjectStore.ts"
import { submit } from "../src/submit.ts"
import { model } from "./rig/Bench.ts"
import { memoryStore } from "./rig/MemoryStore.ts"
import { ScriptedJobs } from "./rig/ScriptedJobs.ts"
import { Life, Stage, type Violation, type Waiting } from "./rig/Stage.ts"
import { ticking } from "./rig/ticking.ts"

type Store = ObjectStore["Service"]

/** How many command sequences are played; `CASES` in the environment raises it, `SEED` gives others. */
const cases = Math.ceil(Number(process.env.CASES ?? 300) / 6)

const runId = "jokes"
const topics = Array.from({ length: 9 }, (_, i) => `topic ${i}`)

/** How a process cuts the rows, and in which order its source gives them. */
interface Cut {
  readonly perJob: number
  readonly perFile: number
  readonly reversed: boolean
  /** What the prompt says: code of another version, under the same version. */
  readonly words: string
  /** Whether it prepares in rounds; left out: its rows are a stream, which nobody goes on with. */
  readonly rounds?: boolean
}

const plain: Cut = { perJob: 3, perFile: 2, reversed: false, words: "A joke about" }

const cuts: ReadonlyArray<Cut> = [
  plain,
  { ...plain, perJob: 4, perFile: 10 },
  { ...plain, perJob: 9, perFile: 4 },
  { ...plain, reversed: true },
  { ...plain, perJob: 2, perFile: 1, reversed: true, words: "Another joke about" },
  { ...plain, words: "A much, much longer joke about" }
]

/** In one go or in several, where a look at the clock takes a second. */
const prepared = Effect.fnUntraced(function*(cut: Cut) {
  const { rounds, reversed } = cut
  const rows = (reversed ? topics.toReversed() : topics).map((topic) => ({ topic }))
  if (rounds === undefined) return yield* prepare(optionsOf(cut, Source.rows(Stream.fromIterable(rows), { version: "1" })))
  const options = optionsOf(cut, Source.rows(rows))
  while (rounds && !(yield* ticking(prepareStep(options, "7 seconds"))).prepared);
  return yield* prepare(options)
})

const optionsOf = ({ perFile, perJob, words }: Cut, source: Source.Source<{ readonly topic: string }>) =>
  ({
    name: runId,
    runId,
    source,
    model,
    prompt: Prompt.fromColumns(
      ["topic"],
      ({ topic }) => [{ role: "user", content: `${words} ${String(topic)}.` }],
      { version: "1" }
    ),
    limits: { minRecords: 1, maxFileRecords: perFile },
    maxRecordsPerJob: perJob
  }) as const

/** Those that may go on where another stopped. */
const rounds: Cut = { perJob: 2, perFile: 2, reversed: false, words: "A joke about", rounds: true }

const goingOn: ReadonlyArray<Cut> = [
  rounds,
  { ...rounds, perJob: 3, perFile: 10 },
  { ...rounds, perJob: 1, words: "Another joke about" },
  { ...rounds, rounds: false }
]

/** A process that prepares the run and submits its jobs, in one life after the other. */
class Author {
  readonly name: string
  readonly cut: Cut
  life: Life | null = null
  /** Once it has submitted them all. */
  jobs: ReadonlyArray<Job> | null = null
  given: ReadonlyArray<Job> = []
  constructor(number: number, cut: Cut) {
    this.name = `process ${number + 1}`
    this.cut = cut
  }
  get runs(): boolean {
    return this.life !== null && this.life.runs
  }
}

class World {
  readonly stage: Stage
  readonly service = new ScriptedJobs()
  readonly authors: ReadonlyArray<Author>
  readonly files: Store
  /** Whether somebody else has put files into folders. */
  strays = false
  readonly #ids: Array<string> = []
  readonly #writers = new Map<string, Life>()
  #strange: string | null = null
  /** The jobs of run.json, once they were found whole. Objects are not changed: only more of them may come. */
  #jobs: ReadonlyArray<Job> | null = null

  constructor(authors: ReadonlyArray<Cut>, files: Store) {
    this.files = files
    this.authors = authors.map((cut, number) => new Author(number, cut))
    this.stage = new Stage(files, (key) =>
      key.replace(/^jokes\//, "").replace(/[0-9a-f]{16}/, (id) => {
        if (!this.#ids.includes(id)) this.#ids.push(id)
        return `p${this.#ids.indexOf(id) + 1}`
      }))
    this.stage.afterWrite.push((life, key) => {
      const match = /^jokes\/(?:inputs|rows|prepare)\/([^/]+)\//.exec(key)
      if (match === null) return
      const writer = this.#writers.get(match[1]!)
      if (writer !== undefined && writer !== life) {
        this.#strange ??= `${life.name} writes into the folder of another life: ${key}`
      }
      this.#writers.set(match[1]!, life)
    })
    this.stage.checks.push(Effect.suspend(() => this.audit))
  }

  /** The life that writes under an id. */
  writerOf(prepareId: string): Life | undefined {
    return this.#writers.get(prepareId)
  }

  /** Everything that the manifest names is there, whole and alone, and every row is in it once. */
  readonly audit: Effect.Effect<void, Violation | BatchError> = Effect.gen({ self: this }, function*() {
    const { files, stage } = this
    if (this.#strange !== null) return yield* stage.violated(this.#strange)
    if ((yield* files.head(Layout.manifest(runId))) === null) {
      if (this.service.made.length > 0) return yield* stage.violated("a job is paid for before the run is prepared")
      return
    }
    const jobs = this.#jobs ??= yield* this.#whole
    const names = (found: ReadonlyArray<{ readonly key: string }>) =>
      found.map(({ key }) => stage.shorten(key)).join(", ")
    for (const job of jobs) {
      const { objects } = yield* files.list(job.input)
      if (!this.strays && names(objects) !== names(job.files)) {
        return yield* stage.violated(
          `the folder of ${job.key} holds ${names(objects)}, and run.json says ${names(job.files)}`
        )
      }
    }
    for (const { request } of this.service.made) {
      const job = jobs.find(({ name }) => name === request.jobName)
      if (job === undefined || request.inputUri !== files.uri(job.input)) {
        return yield* stage.violated(`${request.jobName} is paid for and not in run.json`)
      }
    }
    if (new Set(this.service.made.map(({ request }) => request.jobName)).size < this.service.made.length) {
      return yield* stage.violated("two paid jobs for one key")
    }
  })

  /** The jobs of run.json, whose files are as it says, and hold every row once. */
  readonly #whole = Effect.gen({ self: this }, function*() {
    const { files, stage } = this
    const { jobs } = yield* Effect.provideService(Run.load(runId), ObjectStore, files)
    const seen = new Set<string>()
    let row = 0
    for (const job of jobs) {
      const lines: Array<string> = []
      for (const file of [...job.files, job.rows]) {
        const bytes = yield* files.get(file.key)
        if (bytes === null || bytes.length !== file.size || sha256(bytes) !== file.sha256) {
          return yield* stage.violated(`${stage.shorten(file.key)} is not what run.json says`)
        }
        if (file !== job.rows) lines.push(...Buffer.from(bytes).toString().trimEnd().split("\n"))
      }
      const kept = yield* Stream.runCollect(RowsFile.read(files.read(job.rows.key), (message) => message)).pipe(
        Effect.orDie
      )
      const cells = kept.flatMap((batch) => batch.columns[0] ?? [])
      const right = lines.length === job.records && cells.length === job.records && job.firstRow === row &&
        lines.every((line, i) =>
          line.includes(`"${Layout.recordId(row + i)}"`) && line.includes(`joke about ${String(cells[i])}.`)
        )
      if (!right) return yield* stage.violated(`the records of ${job.key} are not its rows`)
      for (const cell of cells) seen.add(String(cell))
      row += job.records
    }
    if (row !== topics.length || seen.size !== row) return yield* stage.violated("not every row is in the run once")
    return jobs
  })

  #servicesOf(life: Life) {
    const scripted = this.service.service
    const files = Layer.succeed(ObjectStore, life.store)
    return Layer.mergeAll(
      files,
      Ledger.layer().pipe(Layer.provide(files)),
      Capacity.layerFixed({ region: this.service.region, limits: { minRecords: 1 } }),
      Layer.succeed(OnDemand, {
        region: this.service.region,
        concurrency: 1,
        invoke: () => Effect.die(new Error("there are no jobs on demand"))
      }),
      Layer.succeed(BatchJobs, {
        ...scripted,
        create: (request) =>
          life.ask({
            kind: "send",
            key: request.jobName,
            effect: scripted.create(request),
            tell: () => `has ${request.jobName} made`
          }),
        list: (query) =>
          Stream.unwrap(Effect.map(
            life.ask({
              kind: "list jobs",
              key: query.nameContains ?? "",
              effect: Stream.runCollect(scripted.list(query)),
              tell: () => "lists the service's jobs"
            }),
            Stream.fromIterable
          ))
      })
    )
  }

  readonly begin = Effect.fnUntraced({ self: this }, function*(this: World, author: Author) {
    this.stage.tell(`${author.name} begins (${author.cut.perJob} records a job, ${author.cut.perFile} a file)`)
    const life = new Life(author.name, this.stage)
    author.life = life
    const program = Effect.gen(function*() {
      const run = yield* prepared(author.cut)
      yield* Effect.forEach(run.jobs, submit)
      author.given = run.jobs
    })
    yield* this.stage.begin(life, Effect.provide(program, this.#servicesOf(life)))
    yield* this.#look(author)
  })

  readonly #look = Effect.fnUntraced({ self: this }, function*(this: World, author: Author) {
    const exit = author.life?.exit ?? null
    if (exit === null) return
    author.life = null
    if (Exit.isSuccess(exit)) {
      this.stage.tell(`${author.name} has submitted all jobs`)
      author.jobs = author.given
      return
    }
    const error = Exit.findErrorOption(exit)
    if (Cause.hasDies(exit.cause) || (error._tag === "Some" && error.value.reason._tag !== "Unavailable")) {
      return yield* this.stage.violated(`${author.name} fails: ${Cause.pretty(exit.cause)}`)
    }
    const why = error._tag === "Some" ? error.value.reason.message : "an interruption"
    this.stage.tell(`${author.name} ends with ${why}`)
  })

  readonly let = Effect.fnUntraced({ self: this }, function*(
    this: World,
    author: Author,
    waiting: Waiting,
    how: "whole" | "answer lost" | "lost" = "whole"
  ) {
    yield* this.stage.let(author.life!, waiting, how)
    yield* this.#look(author)
  })

  /** Lets a process do its next operation; begins its next life where it has none. */
  readonly step = Effect.fnUntraced({ self: this }, function*(this: World, author: Author, which = 0) {
    if (author.jobs !== null) return false
    if (!author.runs) {
      yield* this.begin(author)
      return true
    }
    const ready = author.life!.waiting.filter((waiting) => waiting.ready())
    const next = ready[which % Math.max(1, ready.length)]
    if (next === undefined) return false
    yield* this.let(author, next)
    return true
  })

  /** Lets a process go on until it is about to do what is asked for. */
  readonly until = Effect.fnUntraced({ self: this }, function*(
    this: World,
    author: Author,
    is: (waiting: Waiting) => boolean
  ) {
    for (let steps = 0; steps < 200; steps++) {
      const next = author.life?.waiting.find(is)
      if (author.runs && next !== undefined) return next
      if (!(yield* this.step(author))) break
    }
    return assert.fail(`${author.name} does not come to that:\n${this.stage.log.join("\n")}`)
  })

  readonly kill = Effect.fnUntraced({ self: this }, function*(this: World, author: Author, late = false) {
    if (!author.runs) return
    yield* this.stage.kill(author.life!, late)
    author.life = null
  })

  /** From here on nothing fails, and everybody comes to the same run. */
  readonly finish = Effect.fnUntraced({ self: this }, function*(this: World) {
    const { stage } = this
    stage.tell("-- from here on nothing fails --")
    for (let rounds = 0; rounds < 3_000; rounds++) {
      let moved = false
      for (const author of this.authors) if (yield* this.step(author)) moved = true
      if (moved) continue
      const at = Math.min(...stage.lives.flatMap((life) => life.waiting.flatMap(({ at }) => at ?? [])))
      if (!Number.isFinite(at)) break
      stage.pass(at - stage.now)
    }
    while (stage.late.length > 0) yield* stage.landLate(0)
    yield* stage.check
    const [first, ...others] = this.authors.map(({ jobs }) => JSON.stringify(jobs))
    if (first === "null" || others.some((other) => other !== first)) {
      return yield* stage.violated("they do not come to one run")
    }
    if (this.service.made.length !== this.authors[0]!.jobs!.length) {
      return yield* stage.violated("not every job is paid for")
    }
  })
}

const world = (...authors: ReadonlyArray<Cut>) => new World(authors, memoryStore())

const int = (maximum: number) => Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum })))

const kinds = ["step", "step", "step", "die", "lose", "land late", "interrupt", "pass", "step"] as const

const commands = Arbitrary.array(Arbitrary.all([int(kinds.length - 1), int(2), int(11)]), { maxLength: 40 })

const play = Effect.fnUntraced(function*(of: World, given: ReadonlyArray<readonly [number, number, number]>) {
  for (const [kind, who, a] of given) {
    const author = of.authors[who % of.authors.length]!
    switch (kinds[kind]) {
      case "step":
        for (let steps = 0; steps <= a && (yield* of.step(author, a)); steps++);
        break
      case "die":
        yield* of.kill(author, a % 2 === 1)
        break
      case "lose": {
        const waiting = author.life?.waiting.find(({ lose, ready }) => lose !== null && ready())
        if (waiting !== undefined) yield* of.let(author, waiting, a % 2 === 0 ? "lost" : "answer lost")
        break
      }
      case "land late":
        yield* of.stage.landLate(a)
        break
      case "interrupt":
        if (author.runs) yield* of.stage.interrupt(author.life!)
        break
      case "pass":
        of.stage.pass([1_000, 61_000, 301_000, 86_400_000][a % 4]!)
    }
  }
  yield* of.finish()
})

const isWrite = (pattern: RegExp) => ({ key, kind }: Waiting) =>
  (kind === "create" || kind === "write") && pattern.test(key)

const isManifest = isWrite(/\/run\.json$/)

const finishAlone = Effect.fnUntraced(function*(of: World, author: Author) {
  while (author.jobs === null) {
    if (yield* of.step(author)) continue
    const at = author.life?.waiting[0]?.at ?? null
    if (at === null) return assert.fail(`${author.name} does not go on:\n${of.stage.log.join("\n")}`)
    of.stage.pass(at - of.stage.now)
  }
})

describe("prepare and submit, over sequences of commands", { timeout: 3_600_000 }, () => {
  it.effect("come to one whole run and pay for each of its jobs once, whoever dies or cuts the rows how", () =>
    Effect.gen(function*() {
      let [several, adopted] = [0, 0]
      const result = yield* Arbitrary.checkEffect(
        Arbitrary.all({ cuts: Arbitrary.array(int(cuts.length - 1), { minLength: 2, maxLength: 3 }), commands }),
        Effect.fnUntraced(function*({ commands, cuts: chosen }) {
          const of = world(...chosen.map((cut) => cuts[cut]!))
          yield* play(of, commands)
          const writers = of.stage.log.flatMap((line) => /writes inputs\/(p\d+)/.exec(line)?.[1] ?? [])
          several += Number(new Set(writers).size > 1)
          adopted += Number(of.stage.log.some((line) => line.includes("writes run.json, which is there already")))
          return true
        }),
        { runs: cases, size: 40, seed: process.env.SEED ?? 1 }
      )
      if (result._tag === "Falsified") {
        const why = result.failure._tag === "PropertyError" ? result.failure.error.message : "it is not so"
        assert.fail(`${why}\n(run ${result.runs}, replay ${result.replay})`)
      }
      assert.isAbove(several, cases / 4)
      assert.isAbove(adopted, cases / 20)
    }))

  it.effect("come to one whole run of jobs that several have made, where they prepare in rounds", () =>
    Effect.gen(function*() {
      let [several, adopted] = [0, 0]
      const result = yield* Arbitrary.checkEffect(
        Arbitrary.all({ cuts: Arbitrary.array(int(goingOn.length - 1), { minLength: 2, maxLength: 3 }), commands }),
        Effect.fnUntraced(function*({ commands, cuts: chosen }) {
          const of = world(...chosen.map((cut) => goingOn[cut]!))
          yield* play(of, commands)
          several += Number(new Set(of.authors[0]!.jobs!.map(({ prepareId }) => prepareId)).size > 1)
          adopted += Number(of.stage.log.some((line) => line.includes("writes run.json, which is there already")))
          return true
        }),
        { runs: cases / 2, size: 40, seed: process.env.SEED ?? 1 }
      )
      if (result._tag === "Falsified") {
        const why = result.failure._tag === "PropertyError" ? result.failure.error.message : "it is not so"
        assert.fail(`${why}\n(run ${result.runs}, replay ${result.replay})`)
      }
      assert.isAbove(several, cases / 8)
      assert.isAbove(adopted, cases / 40)
    }))
})

/** Limits that cut differently, and a source that gives its rows in another order. */
const other: Cut = { ...plain, perJob: 4, perFile: 10, reversed: true, words: "Another joke about" }

const violationOf = <A, R>(effect: Effect.Effect<A, Violation, R>) =>
  Effect.map(Effect.flip(effect), (violation) => violation.message.split("\n")[0] ?? "")

const recordsOf = ({ jobs }: Author) => jobs?.map(({ records }) => records)

const pair = () => {
  const of = world(plain, other)
  const [a, b] = of.authors
  return { of, a: a!, b: b! }
}

describe("two that prepare one run", { timeout: 120_000 }, () => {
  it.effect("one that stands still before run.json adopts the run of another, and its own files are in no job", () =>
    Effect.gen(function*() {
      const { a, b, of } = pair()
      yield* of.until(a, isManifest)
      yield* finishAlone(of, b)
      of.stage.pass(86_400_000)
      yield* of.finish()
      assert.isTrue(of.stage.log.includes("process 1 writes run.json, which is there already"))
      assert.isTrue(a.jobs!.every(({ prepareId }) => prepareId === b.jobs![0]!.prepareId))
      assert.lengthOf((yield* of.files.list(`${runId}/inputs/`)).objects, 12)
    }))

  it.effect("one that goes on with its files after the jobs of another were sent changes none of their folders", () =>
    Effect.gen(function*() {
      const { a, b, of } = pair()
      yield* of.until(a, isWrite(/\/inputs\//))
      yield* finishAlone(of, b)
      const before = of.stage.log.length
      yield* of.finish()
      assert.isTrue(of.stage.log.slice(before).some((line) => /^process 1 writes inputs\//.test(line)))
      assert.deepStrictEqual(a.jobs, b.jobs)
    }))

  it.effect("whoever plans second cuts as the first has planned, and in the order of his own source", () =>
    Effect.gen(function*() {
      const { a, b, of } = pair()
      yield* of.until(a, isWrite(/\/(inputs|rows)\//))
      yield* finishAlone(of, b)
      yield* of.finish()
      assert.deepStrictEqual(recordsOf(b), [3, 3, 3])
      const line = Buffer.from((yield* of.files.get(b.jobs![0]!.files[0]!.key))!).toString().split("\n")[0]!
      assert.include(line, "Another joke about topic 8.")
    }))

  it.effect("of two that plan at once, the first that is stored counts", () =>
    Effect.gen(function*() {
      for (const swapped of [false, true]) {
        const { a, b, of } = pair()
        yield* of.until(a, isWrite(/\/plan\.json$/))
        yield* of.until(b, isWrite(/\/plan\.json$/))
        yield* of.step(swapped ? b : a)
        yield* of.finish()
        assert.deepStrictEqual(recordsOf(a), swapped ? [4, 4, 1] : [3, 3, 3])
      }
    }))

  it.effect("a manifest whose write has no answer counts when the run is prepared again", () =>
    Effect.gen(function*() {
      const { a, of } = pair()
      yield* of.let(a, yield* of.until(a, isManifest), "answer lost")
      assert.isFalse(a.runs)
      yield* of.finish()
      assert.isFalse(of.stage.log.some((line) => line.includes("writes run.json, which")))
      assert.deepStrictEqual(recordsOf(a), [3, 3, 3])
    }))

  it.effect("a manifest that is written after its process died counts if it comes first", () =>
    Effect.gen(function*() {
      for (const first of [false, true]) {
        const { a, b, of } = pair()
        yield* of.until(a, isManifest)
        const dead = a.life
        yield* of.kill(a, true)
        const manifest = yield* of.until(b, isManifest)
        if (first) yield* of.stage.landLate(0)
        yield* of.let(b, manifest)
        if (!first) yield* of.stage.landLate(0)
        yield* of.finish()
        const { prepareId } = b.jobs![0]!
        assert.strictEqual(of.writerOf(prepareId) === dead, first)
      }
    }))

  it.effect("a death at any step, with its last write late or never, harms nothing that another has submitted", () =>
    Effect.gen(function*() {
      for (const late of [true, false]) {
        for (let steps = 1;; steps++) {
          const { a, b, of } = pair()
          for (let step = 0; step < steps; step++) yield* of.step(a, step)
          if (!a.runs) {
            assert.isAbove(steps, 40)
            break
          }
          yield* of.kill(a, late)
          yield* finishAlone(of, b)
          yield* of.finish()
        }
      }
    }))

  it.effect("at whichever step one stands still while another prepares and submits, both come to one run", () =>
    Effect.gen(function*() {
      for (let steps = 1; steps < 100; steps++) {
        const { a, b, of } = pair()
        for (let step = 0; step < steps; step++) yield* of.step(a)
        const done = a.jobs !== null
        yield* finishAlone(of, b)
        yield* of.finish()
        if (done) {
          assert.isAbove(steps, 40)
          return
        }
      }
      assert.fail("it takes more steps than are tried")
    }))
})

describe("two that prepare one run in rounds", { timeout: 120_000 }, () => {
  const pairs: ReadonlyArray<readonly [Cut, Cut]> = [
    [rounds, { ...rounds, perJob: 4, words: "Another joke about" }],
    [rounds, { ...rounds, rounds: false }],
    [{ ...rounds, rounds: false }, rounds]
  ]
  const make = ([first, second]: readonly [Cut, Cut]) => {
    const of = world(first, second)
    return { of, a: of.authors[0]!, b: of.authors[1]! }
  }

  it.effect("one goes on from the checkpoints of another that died, and leaves its files alone", () =>
    Effect.gen(function*() {
      const { a, b, of } = make(pairs[0]!)
      yield* of.until(a, isWrite(/1-000003\/part-0\.jsonl$/))
      yield* of.kill(a)
      yield* finishAlone(of, b)
      yield* of.finish()
      assert.deepStrictEqual(recordsOf(b), [2, 2, 2, 2, 1])
      const [first] = b.jobs!
      const own = b.jobs!.filter(({ prepareId }) => prepareId !== first!.prepareId)
      assert.isAtLeast(own.length, 1)
      assert.isBelow(own.length, 5)
      assert.strictEqual(of.writerOf(first!.prepareId)?.name, "process 1")
    }))

  it.effect("a death at any step, with its last write late or never, harms nothing that another has submitted", () =>
    Effect.gen(function*() {
      for (const [i, pair] of pairs.entries()) {
        for (let steps = 1;; steps++) {
          const { a, b, of } = make(pair)
          for (let step = 0; step < steps; step++) yield* of.step(a, step)
          if (!a.runs) {
            assert.isAbove(steps, 40)
            break
          }
          yield* of.kill(a, (steps + i) % 2 === 0)
          yield* finishAlone(of, b)
          yield* of.finish()
        }
      }
    }))

  it.effect("at whichever step one stands still while another prepares and submits, both come to one run", () =>
    Effect.gen(function*() {
      for (const pair of pairs) {
        for (let steps = 1;; steps += 2) {
          const { a, b, of } = make(pair)
          for (let step = 0; step < steps; step++) yield* of.step(a)
          const done = a.jobs !== null
          yield* finishAlone(of, b)
          yield* of.finish()
          if (done) break
        }
      }
    }))
})

describe("files of strangers in the folders", () => {
  const place = (of: World, index: number, name: string) =>
    Effect.gen(function*() {
      const { jobs } = yield* Effect.provideService(Run.load(runId), ObjectStore, of.files)
      of.stage.tell(`somebody writes ${name}`)
      yield* of.files.create(`${jobs[index]!.input}${name}`, Buffer.from("{}"))
    })

  it.effect("keep a job from being sent, if they are there before it is", () =>
    Effect.gen(function*() {
      for (const name of ["part-9.jsonl", "part-00.jsonl", "notes.txt"]) {
        const { a, of } = pair()
        of.strays = true
        yield* of.until(a, isWrite(/1-000000\.intent$/))
        yield* place(of, 1, name)
        assert.match(yield* violationOf(finishAlone(of, a)), /^process 1 fails: .*\/1-000001\/.* is not part of it/)
        assert.lengthOf(of.service.made, 1)
      }
    }))

  it.effect("are run and billed if they come after the folder was looked at: nobody else may write there", () =>
    Effect.gen(function*() {
      const { a, of } = pair()
      yield* of.until(a, isWrite(/1-000001\.intent$/))
      yield* place(of, 1, "part-9.jsonl")
      assert.match(yield* violationOf(finishAlone(of, a)), /^the folder of 1-000001 holds .*part-9\.jsonl, and run/)
    }))
})
