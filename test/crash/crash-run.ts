// One process of a run, to be killed: `node crash-run.ts <task as JSON>`. It says on channel 3 what it is about, before
// and after everything that lasts.
import { Aws, BatchJobs, Capacity, Ledger, ObjectStore, OnDemand } from "@bedrock-batch/sdk"
import { Effect, Layer, Stream } from "effect"
import { writeSync } from "node:fs"
import { kindsOf, type Phase } from "../../packages/sdk/src/internal/DurableWrites.ts"
import * as Scenarios from "./scenarios.ts"
import { wholeRun } from "./wholeRun.ts"

const { options, scenario, stops }: Scenarios.Task = JSON.parse(process.argv[2]!)

const say = (message: Scenarios.Message) => void writeSync(3, `${JSON.stringify(message)}\n`)

let state: Phase = "prepare"
const enter = (next: Phase) => {
  state = next
  say({ _tag: "State", phase: next })
}

const passed = stops.map(() => 0)
const reached = (name: string, phase: Phase, when: "before" | "after") =>
  Effect.sync(() => {
    say({ _tag: "Point", point: name, phase, when })
    for (const [at, stop] of stops.entries()) {
      if (stop.point !== name || stop.phase !== phase || stop.when !== when || ++passed[at]! < stop.nth) continue
      say({ _tag: "Stopped", stop: at })
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
    }
  })

/** What a point is called now. */
const now = (name: string, phase: Phase): Scenarios.Point =>
  state === "retry" && phase !== "retry" && phase !== "cancel" ? { name: Scenarios.later(name), phase: "retry" } : { name, phase }

/** An effect between its two points. */
const between = <A, E, R>(name: string, phase: Phase, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.suspend(() => {
    const point = now(name, phase)
    return reached(point.name, point.phase, "before").pipe(
      Effect.andThen(effect),
      Effect.tap(() => reached(point.name, point.phase, "after"))
    )
  })

const durably = <A, E, R>(key: string, write: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.suspend(() => {
    const kinds = kindsOf(key)
    const [kind] = kinds
    if (kind !== undefined && kinds.length === 1) return between(kind.name, kind.phase, write)
    console.error(`the write of ${key} is of ${kinds.length} kinds: name it in DurableWrites.ts`)
    return process.exit(Scenarios.unnamedWrite)
  })

const aws = Aws.layer(options)
const store = Layer.effect(
  ObjectStore.ObjectStore,
  ObjectStore.ObjectStore.useSync((inner) =>
    ObjectStore.ObjectStore.of({
      ...inner,
      create: (key, bytes) => durably(key, inner.create(key, bytes)),
      write: (key, bytes, options) => durably(key, inner.write(key, bytes, options)),
      copy: (from, key) => durably(key, inner.copy(from, key)),
      remove: (key) => durably(key, inner.remove(key)),
      removeAll: (keys) => keys.reduce((remove, key) => durably(key, remove), inner.removeAll(keys))
    })
  )
).pipe(Layer.provide(aws))
const jobs = Layer.effect(
  BatchJobs.BatchJobs,
  BatchJobs.BatchJobs.useSync((inner) =>
    BatchJobs.BatchJobs.of({
      ...inner,
      create: (request) => between("create call", "submit", inner.create(request)),
      stop: (arn) => between("stop call", "cancel", inner.stop(arn)),
      list: (query) =>
        Stream.suspend(() => {
          const { name, phase } = now("list call", state === "submit" ? "submit" : "await")
          return Stream.fromEffectDrain(reached(name, phase, "before")).pipe(
            Stream.concat(inner.list(query)),
            Stream.concat(Stream.fromEffectDrain(reached(name, phase, "after")))
          )
        })
    })
  )
).pipe(Layer.provide(aws))
const onDemand = Layer.effect(
  OnDemand.OnDemand,
  OnDemand.OnDemand.useSync((inner) =>
    OnDemand.OnDemand.of({ ...inner, invoke: (request) => between("invoke call", "submit", inner.invoke(request)) })
  )
).pipe(Layer.provide(aws))
// A claim is sent soon or never, so that what is not answered is settled soon.
const ledger = Ledger.layer({ settleAfter: "4 seconds", sendWithin: "2 seconds", leaseFor: "4 seconds" }).pipe(Layer.provide(store))
const capacity = Capacity.layerFixed({
  region: options.region!,
  quotaPause: "100 millis",
  limits: { minRecords: Scenarios.minRecords }
})
const layer = Layer.mergeAll(store, jobs, onDemand, ledger, capacity)

const { files, report } = await Effect.runPromise(Effect.provide(wholeRun(scenario, enter), layer))
say({ _tag: "Done", files, counts: { ...report.counts } })
