/**
 * Kills the processes of runs at every durable step and at random moments, lets others finish, and holds what they paid
 * for and what they lost against runs that nobody disturbed.
 *
 *     npm run crash -- [--kills N] [--seed S] [--json]
 */
import { Chance } from "@bedrock-batch/emulator"
import { Effect } from "effect"
import * as fs from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Phase } from "../../packages/sdk/src/internal/DurableWrites.ts"
import { buildIfMissing, command } from "../rig/Command.ts"
import { check, type Checked, Folder } from "./Check.ts"
import { type Ended, type Life, nameOf, start, type Target } from "./Lives.ts"
import { isCut, points, type Scenario, scenarios, type Stop } from "./scenarios.ts"
import * as Servers from "./servers.ts"

const help = `npm run crash -- [options]

Runs whole runs (prepare, submit, await, collect, retry) in processes of their own against an emulated Bedrock and an S3
server, kills each process (SIGKILL) before or after one of its durable writes and calls, or at a random moment, and lets
others go on. Then every job must have been created exactly once, every row be in the result exactly once, and every
result file be byte for byte that of a run that nobody disturbed.

  --kills N             kills at least, a fifth of them in each phase            (200)
  --seed S              what is left to chance follows from it                   (crash)
  --runs-at-once N      runs at the same time                                    (4)
  --json                prints one JSON object instead of a table
  --s3-endpoint URL     an S3 server to use in place of our own; credentials and Region come from the environment
  --s3-bucket NAME      its bucket                                               (crash-bucket)
  --keep                leaves the objects of the runs in that bucket, where they are otherwise removed

Exits with 1 if anything is not as it must be, and says of which run, after which kills.
`

const { usage, values: options } = command(help, {
  options: {
    kills: { type: "string", default: "200" },
    seed: { type: "string", default: "crash" },
    "runs-at-once": { type: "string", default: "4" },
    json: { type: "boolean", default: false },
    "s3-endpoint": { type: "string" },
    "s3-bucket": { type: "string", default: "crash-bucket" },
    keep: { type: "boolean", default: false }
  }
})
const numberOf = (name: "kills" | "runs-at-once"): number => {
  const number = Number(options[name])
  return Number.isSafeInteger(number) && number > 0 ? number : usage(`--${name} takes a whole number above 0`)
}
const wanted = numberOf("kills")
const atOnce = numberOf("runs-at-once")
const { seed } = options

buildIfMissing("emulator")

/** The phases of a whole run, in order. */
const phases: ReadonlyArray<Phase> = ["prepare", "submit", "await", "collect", "retry", "cancel"]

const violations: Array<string> = []
const tally = { kills: 0, twoAlive: 0, byPhase: new Map<string, number>(), byPoint: new Map<string, number>() }
const sums = {
  jobsPlanned: 0,
  jobsCreated: 0,
  rowsIn: 0,
  rowsOut: 0,
  duplicates: 0,
  missing: 0,
  callsAnswered: 0,
  callsRepeated: 0
}

/** The points that a run comes to. */
const known = new Set<string>()

const count = (counts: Map<string, number>, name: string) => void counts.set(name, (counts.get(name) ?? 0) + 1)

const counted = (checked: Checked) =>
  (["jobsPlanned", "jobsCreated", "rowsIn", "rowsOut", "duplicates", "missing"] as const).map((name) =>
    [name, checked[name]] as const
  )

/** An undisturbed run: its results, and the points that it came to. */
interface Reference {
  readonly scenario: Scenario
  readonly results: ReadonlyMap<string, string>
  readonly points: ReadonlySet<string>
}

const cache = fs.mkdtempSync(join(tmpdir(), "crash-"))

const program = Effect.gen(function*() {
  const s3 = yield* Servers.s3(options["s3-endpoint"], options["s3-bucket"])
  const env = { PATH: process.env["PATH"], NODE_COMPILE_CACHE: cache, ...s3.env }
  const base = `crash-${process.pid}-${Date.now().toString(36)}`
  yield* Servers.putPhotos(s3, base, options.keep)

  /** Runs the processes of one run and checks what they leave. */
  const running = Effect.fnUntraced(function*<A>(
    scenario: Scenario,
    name: string,
    disturbed: boolean,
    live: (service: Servers.Service) => Promise<A>,
    doneOf: (lived: A) => Ended["done"],
    reference: ReadonlyMap<string, string> | null
  ) {
    const prefix = `${base}/${name}`
    const service = yield* Servers.service(s3, scenario, prefix, disturbed ? Servers.troubles : {})
    const folder = new Folder(s3.client, s3.bucket, prefix)
    const lived = yield* Effect.promise(() => live(service))
    const done = doneOf(lived)
    // What is looked at now is what there is.
    service.emulator.faults.clear()
    const checked = done === null
      ? null
      : yield* Effect.promise(() => check(scenario, folder, service.emulator, done, reference, service.repeated()))
    if (disturbed && checked !== null) {
      for (const [name, value] of counted(checked)) sums[name] += value
      sums.callsAnswered += (yield* service.emulator.stats).callsAnswered
      sums.callsRepeated += service.repeated()
    }
    if (!options.keep && checked !== null && checked.violations.length === 0) {
      yield* Effect.promise(() => folder.remove())
    }
    return { lived, checked }
  }, Effect.scoped)

  const references = yield* Effect.forEach(scenarios, (scenario) =>
    Effect.gen(function*() {
      const { checked, lived } = yield* running(
        scenario,
        `reference-${scenario.name}`,
        false,
        async ({ options, provoke }) => {
          const life = start({ scenario, options }, [], env, () => [], (message) => {
            if (message._tag === "State") provoke(message.phase, () => true)
          })
          return { ended: await life.ended, points: life.points }
        },
        ({ ended }) => ended.done,
        null
      )
      if (checked === null) {
        const output = lived.ended.output.slice(0, 4000)
        return yield* Effect.fail(new Error(`the undisturbed run ${scenario.name} failed, exit code ${lived.ended.code}:\n${output}`))
      }
      for (const violation of checked.violations) violations.push(`the undisturbed run ${scenario.name}: ${violation}`)
      const reference: Reference = { scenario, results: checked.results, points: lived.points }
      return reference
    }), { concurrency: atOnce })

  // Every point is come to by somebody, so that the list has no entry that is dead.
  const come = new Set(references.flatMap(({ points }) => [...points]))
  for (const { name } of points) if (come.has(`before ${name}`)) known.add(name)
  for (const { name } of points) {
    if (!known.has(name)) violations.push(`no run comes to the point "${name}"`)
  }

  // The kills of each phase: at its points in turn, and up to one in four at a random moment.
  const chance = Chance.make(seed)
  const shuffle = <A>(list: ReadonlyArray<A>) =>
    list.map((one) => ({ one, at: chance.next() })).sort((a, b) => a.at - b.at).map(({ one }) => one)
  const stopsOf = (phase: Phase): ReadonlyArray<Stop> =>
    points.filter((point) => point.phase === phase && known.has(point.name)).flatMap(({ name }) =>
      (["before", "after"] as const).map((when) => ({ point: name, phase, when, nth: 1 }))
    )
  const longest: { readonly [phase in Phase]: number } =
    { prepare: 100, submit: 400, await: 400, collect: 200, retry: 1000, cancel: 200 }
  const queues = new Map(phases.map((phase) => {
    const stops = stopsOf(phase)
    // A cancelled run has no end to be killed at, so that is few kills beside those that were asked for.
    const quota = phase === "cancel" ? Math.ceil(wanted / 20) : Math.ceil(wanted / (phases.length - 1))
    const most = phase === "cancel" ? 0 : Math.floor(quota / 4)
    const random = stops.length === 0 ? quota : quota < stops.length ? most : Math.min(most, quota - stops.length)
    let turn: Array<Stop> = []
    const next = (): Stop => {
      if (turn.length === 0) turn = shuffle(stops)
      return { ...turn.pop()!, nth: 1 + chance.below(2) }
    }
    const targets = Array.from({ length: quota }, (_, i): Target => {
      const millis = chance.below(longest[phase])
      return { phase, stop: i < random ? null : next(), millis, misses: 0 }
    })
    return [phase, shuffle(targets)]
  }))

  /** Points that runs come to whose jobs nobody stops: there they are looked for. */
  const uncut = new Set(references.flatMap(({ points, scenario }) => isCut(scenario) ? [] : [...points]))

  /** The targets of the next run: a few of each phase, in the order in which a run comes to them. */
  const take = (reference: Reference): ReadonlyArray<Target> => {
    const rank = ({ stop }: Target) =>
      stop === null ? -1 : 2 * points.findIndex(({ name }) => name === stop.point) + (stop.when === "after" ? 1 : 0)
    return [...queues.values()].flatMap((queue) => {
      const mine = queue.filter(({ stop }) =>
        stop === null
          ? !isCut(reference.scenario)
          : reference.points.has(`before ${stop.point}`) && isCut(reference.scenario) !== uncut.has(`before ${stop.point}`)
      ).slice(0, 2)
      for (const target of mine) queue.splice(queue.indexOf(target), 1)
      return mine.sort((a, b) => rank(a) - rank(b))
    })
  }
  const giveBack = (target: Target) => void queues.get(target.phase)!.push(target)
  const missed = (target: Target) => {
    const misses = target.misses + 1
    if (misses > 8) return void violations.push(`no process came to its end ${nameOf(target)}, in ${misses} runs`)
    const stop = target.stop === null ? null : { ...target.stop, nth: 1 }
    giveBack({ ...target, stop, millis: target.millis / 2, misses })
  }

  /** One process after the other, and at times two together, until one comes to the end. */
  const live = async (scenario: Scenario, all: ReadonlyArray<Target>, service: Servers.Service) => {
    const killed: Array<string> = []
    const left = new Set(all)
    let alive: ReadonlyArray<Life> = []
    let done: Ended["done"] = null
    const begin = (targets: ReadonlyArray<Target>) => {
      const wants = (point: string) => targets.some(({ stop }) => stop?.point === point)
      const others = () => alive.filter((other) => other !== life)
      const life: Life = start({ scenario, options: service.options }, targets, env, others, (message) => {
        if (message._tag === "State") service.provoke(message.phase, wants)
      })
      alive = [...alive, life]
    }
    while (alive.length > 0 || done === null) {
      if (alive.length === 0) {
        const targets = [...left]
        // A job that one process found refused, another one sends again.
        const two = targets.length > 1 && scenario.ending !== "refused" && 4 * tally.twoAlive <= tally.kills
        // The second is to be killed later than the first, else where the next one would.
        begin(two ? targets.filter((_, i) => i !== 1) : targets)
        if (two) begin(targets.slice(1))
      }
      const { ended, life } = await Promise.race(alive.map(async (life) => ({ life, ended: await life.ended })))
      alive = alive.filter((other) => other !== life)
      if (ended.done !== null) {
        done = ended.done
      } else if (ended.kill !== null) {
        const { phase, target, twoAlive } = ended.kill
        const name = nameOf({ ...target, phase })
        killed.push(twoAlive ? `${name} (two alive)` : name)
        tally.kills++
        if (twoAlive) tally.twoAlive++
        count(tally.byPhase, phase)
        count(tally.byPoint, name)
        left.delete(target)
        // It came too late: at its next chance it comes earlier.
        if (target.phase !== phase) missed(target)
      } else {
        for (const other of alive) other.end()
        await Promise.all(alive.map(({ ended }) => ended))
        return { done: null, killed, problem: `a process ended with exit code ${ended.code}:\n${ended.output.slice(0, 4000)}` }
      }
    }
    for (const target of left) missed(target)
    return { done, killed, problem: null }
  }

  let runs = 0
  const left = () => [...queues.values()].some((queue) => queue.length > 0)
  const worker = Effect.gen(function*() {
    while (left() && violations.length < 20) {
      const index = runs++
      // A scenario that comes to the points that are left.
      const reference = references.map((_, i) => references[(index + i) % references.length]!)
        .map((reference) => ({ reference, targets: take(reference) }))
        .reduce((best, one) => {
          const [more, less] = one.targets.length > best.targets.length ? [one, best] : [best, one]
          for (const target of less.targets) queues.get(target.phase)!.unshift(target)
          return more
        })
      const { scenario } = reference.reference
      const name = `${scenario.name}-${index}`
      const { checked, lived } = yield* running(
        scenario,
        name,
        true,
        (service) => live(scenario, reference.targets, service),
        ({ done }) => done,
        reference.reference.results
      )
      const problems = [...(lived.problem === null ? [] : [lived.problem]), ...(checked?.violations ?? [])]
      for (const problem of problems) {
        violations.push(`run ${name}, seed ${seed}, after the kills [${lived.killed.join("; ")}]: ${problem}`)
      }
      if (!options.json || process.stderr.isTTY) {
        console.error(`${name}: ${lived.killed.length} kills, ${problems.length === 0 ? "whole" : "BROKEN"}; ${tally.kills} kills in all`)
      }
    }
  })
  yield* Effect.forEach(Array.from({ length: atOnce }, () => worker), (one) => one, { concurrency: "unbounded", discard: true })
})

await Effect.runPromise(Effect.scoped(program))
  .catch((error: unknown) => violations.push(error instanceof Error ? error.message : String(error)))
  .finally(() => fs.rmSync(cache, { recursive: true, force: true }))

const { kills, twoAlive } = tally
if (violations.length === 0 && kills < wanted) violations.push(`only ${kills} of ${wanted} kills took place`)
if (violations.length === 0 && twoAlive * 5 < wanted) {
  violations.push(`only ${twoAlive} of ${kills} kills took place with two processes alive`)
}

const sorted = (counts: ReadonlyMap<string, number>, names: ReadonlyArray<string>) =>
  Object.fromEntries(names.flatMap((name) => counts.has(name) ? [[name, counts.get(name)!]] : []))
const pointNames = [
  ...points.flatMap(({ name }) => [`before ${name}`, `after ${name}`]),
  ...phases.map((phase) => nameOf({ phase, stop: null }))
]
const byPhase = sorted(tally.byPhase, phases)
const byPoint = sorted(tally.byPoint, pointNames)

if (options.json) {
  console.log(JSON.stringify({ kills, ...sums, byPhase, byPoint, twoAlive }))
} else {
  const lines: ReadonlyArray<readonly [string, string | number]> = [
    ["kills", kills],
    ...phases.map((phase) => [`  in ${phase}`, tally.byPhase.get(phase) ?? 0] as const),
    ["  with two processes alive", twoAlive],
    ...points.flatMap(({ name }): ReadonlyArray<readonly [string, string]> => {
      const [before, after] = ["before", "after"].map((when) => tally.byPoint.get(`${when} ${name}`) ?? 0)
      return known.has(name) ? [[`  ${name}`, `${before} before, ${after} after`]] : []
    }),
    ...phases.map((phase) => [`  at random, in ${phase}`, tally.byPoint.get(nameOf({ phase, stop: null })) ?? 0] as const),
    ["jobs planned", sums.jobsPlanned],
    ["jobs created", sums.jobsCreated],
    ["rows in", sums.rowsIn],
    ["rows out", sums.rowsOut],
    ["  more than once", sums.duplicates],
    ["  missing", sums.missing],
    ["on-demand calls answered", sums.callsAnswered],
    ["  more than once", sums.callsRepeated]
  ]
  for (const [name, value] of lines) console.log(`${name.padEnd(44)} ${value}`)
}
for (const violation of violations) console.error(violation)
process.exitCode = violations.length === 0 ? 0 : 1
