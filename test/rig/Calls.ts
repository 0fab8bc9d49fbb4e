/** Whole runs of which one call goes wrong, each time another one and in another way. */
import { PutObjectCommand, S3Client } from "@aws-sdk/client-s3"
import { Aws, type BatchError, Capacity, Ledger, S3 } from "@bedrock-batch/sdk"
import { Cause, Effect, Fiber, Layer, Option, type Scope } from "effect"
import { check, Folder } from "../crash/Check.ts"
import { minRecords, type Scenario } from "../crash/scenarios.ts"
import * as Servers from "../crash/servers.ts"
import { wholeRun } from "../crash/wholeRun.ts"
import * as Line from "./Line.ts"

const usual = { rows: 24, rowsPerJob: 24, partBytes: undefined, photos: false, rounds: false, ending: "retry" } as const

/** The retry as one more batch job, and on demand. */
export const scenarios: ReadonlyArray<Scenario> = [
  { ...usual, name: "again", format: "csv", failing: 0.6 },
  { ...usual, name: "few", format: "jsonl", failing: 0.2 }
]

/** The name of a call, the same in all runs of a scenario. */
const nameOf = (prefix: string) => (server: "s3" | "bedrock", method: string, url: URL): string => {
  const path = decodeURIComponent(url.pathname).replace(/\/[^/]+/, server === "s3" ? "" : "$&")
  const given = url.searchParams.get("prefix") ?? url.searchParams.get("nameContains")
  return `${method} ${path}${given === null ? "" : ` of ${given}`}`
    .replaceAll(`${prefix}/`, "")
    .replaceAll(/(again|few)-[0-9a-f]{10}/g, "run")
    .replaceAll(/[0-9a-f]{16}/g, "p")
    .replaceAll(/(run-\d+-\d{6})-[0-9a-z]+/g, "$1")
    .replaceAll(/outputs\/([0-9-]+)\/[a-z0-9]{12}\//g, "outputs/$1/id/")
    .replaceAll(/model-invocation-job\/.*/g, "model-invocation-job/arn")
}

/** A store whose S3 client soon gives up on a call that is not answered. */
const impatient = (endpoint: string, { bucket, region }: Servers.S3, prefix: string) =>
  Layer.unwrap(Effect.gen(function*() {
    const client = yield* Effect.acquireRelease(
      Effect.sync(() =>
        new S3Client({
          endpoint,
          region,
          forcePathStyle: true,
          retryMode: "standard",
          requestHandler: { connectionTimeout: 500, socketTimeout: 500 }
        })
      ),
      (client) => Effect.sync(() => client.destroy())
    )
    return S3.layer({ bucket, prefix, client })
  }))

/** What came of a run. */
export interface Came {
  readonly calls: ReadonlyArray<Line.Call>
  /** Whether its fault has struck. */
  readonly struck: boolean
  /** Digests of its result files. */
  readonly results: ReadonlyMap<string, string>
  /** Whether the run failed as one that is to be run again, which was done. */
  readonly again: boolean
  /** What is not as it must be. */
  readonly violations: ReadonlyArray<string>
}

const isPassing = (cause: Cause.Cause<BatchError.BatchError>): boolean => {
  const error = Cause.findErrorOption(cause)
  return Option.isSome(error) && error.value.isRetryable
}

let runs = 0

/** Runs a scenario over a line of which one call goes wrong, or none, and checks what came of it. */
export const runWith = Effect.fnUntraced(function*(
  s3: Servers.S3,
  scenario: Scenario,
  fault: Line.Fault | null,
  reference: ReadonlyMap<string, string> | null
): Effect.fn.Return<Came, never, Scope.Scope> {
  const prefix = `calls-${runs++}`
  const { emulator, options, repeated } = yield* Servers.service(s3, scenario, prefix, { token: "ignored" }, 40)
  const line = yield* Line.make({
    endpoints: { s3: s3.endpoint, bedrock: options.endpoints!.bedrock! },
    fault,
    nameOf: nameOf(prefix)
  })
  const aws = Aws.layer({ ...options, endpoints: line.endpoints, onDemand: { callTimeout: "500 millis" } })
  const store = fault?.kind === "hanging" ? impatient(line.endpoints.s3, s3, prefix) : aws
  const capacity = Capacity.layerFixed({ region: s3.region, quotaPause: "100 millis", limits: { minRecords } })
  const ledger = Ledger.layer({ settleAfter: "2 seconds" }).pipe(Layer.provide(store))
  const layer = Layer.mergeAll(aws, store, capacity, ledger)
  const life = Effect.exit(Effect.provide(wholeRun(scenario, () => {}), Layer.fresh(layer)))
  const first = yield* life
  const again = first._tag === "Failure" && isPassing(first.cause)
  const exit = again ? yield* life : first
  const seen = { calls: line.calls, struck: line.struck(), again }
  if (exit._tag === "Failure") return { ...seen, results: new Map(), violations: [Cause.pretty(exit.cause)] }
  const { files, report } = exit.value
  const done = { _tag: "Done" as const, files, counts: { ...report.counts } }
  const folder = new Folder(s3.client, s3.bucket, prefix)
  const { results, violations } = yield* Effect.promise(() => check(scenario, folder, emulator, done, reference, repeated()))
  return { ...seen, results, violations }
}, Effect.scoped)

const polling = "GET /model-invocation-jobs of run"

/** What may go wrong with a call. */
const kindsOf = ({ answered, conditional, method, name }: Line.Call): ReadonlyArray<Line.Kind> => [
  "throttled",
  "broken",
  "lost",
  ...(answered > 0 ? ["cut off"] as const : []),
  ...(method === "GET" || method === "HEAD" ? [] : ["unanswered"] as const),
  ...(conditional || name === "POST /model-invocation-job" ? ["conflicting"] as const : []),
  ...(conditional ? ["repeated"] as const : []),
  ...(conditional && /plan\.json|claim-\d+$/.test(name) ? ["forestalled"] as const : []),
  "hanging"
]

/** Bedrock's control plane is given a minute to answer. */
const isLong = ({ call, kind }: Line.Fault) => kind === "hanging" && call.includes("/model-invocation-job")

/** Somebody else makes the object: the same, but for what is fresh in each; who has the lease of a job gives it back. */
const forestall = (s3: Servers.S3): NonNullable<Line.Fault["before"]> => async (url, body) => {
  const Key = decodeURIComponent(url.pathname.slice(`/${s3.bucket}/`.length))
  const Body = body.replace(/("(?:nonce|owner)":")[^"]+/, "$1somebody").replace("\"released\":false", "\"released\":true")
  await s3.client.send(new PutObjectCommand({ Bucket: s3.bucket, Key, Body }))
}

/** Every call of a run that is not among `known`, with all that may go wrong with it. */
export const faultsOf = (s3: Servers.S3, calls: ReadonlyArray<Line.Call>, known: ReadonlySet<string>) => {
  const times = new Map<string, number>()
  return calls.flatMap((call): ReadonlyArray<Line.Fault> => {
    const nth = (times.get(call.name) ?? 0) + 1
    times.set(call.name, nth)
    // How often a job's state is asked for is left to chance.
    if (known.has(`${call.name} ${nth}`) || (call.name === polling && nth > 2)) return []
    return kindsOf(call).map((kind) => ({ kind, call: call.name, nth, before: forestall(s3) }))
  })
}

/** What came of many runs. */
export interface Summary {
  runs: number
  /** Faults whose call was not made. */
  readonly spared: Array<string>
  /** Faults after which the run had to be run again. */
  readonly again: Array<string>
  readonly violations: Array<string>
}

/** Runs a scenario once with each of the faults, which are chosen by the calls of a run without any. */
export const each = Effect.fnUntraced(function*(
  s3: Servers.S3,
  scenario: Scenario,
  choose: (calls: ReadonlyArray<Line.Call>) => ReadonlyArray<Line.Fault>,
  atOnce: number
) {
  const reference = yield* runWith(s3, scenario, null, null)
  const summary: Summary = { runs: 0, spared: [], again: [], violations: [...reference.violations] }
  const one = Effect.fnUntraced(function*(fault: Line.Fault) {
    const name = `${scenario.name}: ${fault.call}, no. ${fault.nth}, ${fault.kind}`
    const came = yield* runWith(s3, scenario, fault, reference.results)
    summary.runs++
    if (!came.struck) summary.spared.push(name)
    if (came.again) summary.again.push(name)
    for (const violation of came.violations) summary.violations.push(`${name}: ${violation}`)
  })
  const faults = choose(reference.calls)
  const long = yield* Effect.forkChild(
    Effect.forEach(faults.filter(isLong), one, { concurrency: "unbounded", discard: true })
  )
  yield* Effect.forEach(faults.filter((fault) => !isLong(fault)), one, { concurrency: atOnce, discard: true })
  yield* Fiber.join(long)
  return summary
})

/** One of so many equal shares of all faults. */
export interface Share {
  readonly index: number
  readonly of: number
}

/** Lets each call of each scenario go wrong in each way, one in a run, as far as they are of the share. */
export const all = Effect.fnUntraced(function*({ index, of }: Share, atOnce: number) {
  const s3 = yield* Servers.s3(undefined, "calls-bucket")
  const known = new Set<string>()
  return yield* Effect.forEach(scenarios, (scenario) =>
    each(s3, scenario, (calls) => {
      const faults = faultsOf(s3, calls, known)
      for (const { call, nth } of faults) known.add(`${call} ${nth}`)
      return faults.filter((_, i) => i % of === index)
    }, atOnce))
})
