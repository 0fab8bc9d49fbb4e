import { assert, it } from "@effect/vitest"
import { durableWrites, kindsOf, type Phase } from "../../src/internal/DurableWrites.ts"
import * as Layout from "../../src/internal/Layout.ts"
import { nameOf } from "../../src/internal/MediaCopies.ts"

const runId = "tweets-2025.v1-0a1b2c3d4e"
const prepareId = "0123456789abcdef"
const [first, later] = [Layout.jobKey(1, 7), Layout.jobKey(12, 1_234_567)]

/** The keys that each function of the layout stands for, and the phase and kind of each. */
const keys: { readonly [name in keyof typeof Layout]: ReadonlyArray<readonly [string, Phase, string]> } = {
  plan: [[Layout.plan(runId), "prepare", "plan"]],
  manifest: [[Layout.manifest(runId), "prepare", "manifest"]],
  attempt: [[Layout.attempt(runId, 2), "retry", "manifest of a later attempt"]],
  cancelled: [[Layout.cancelled(runId), "cancel", "cancellation"]],
  cancelledAttempt: [[Layout.cancelledAttempt(runId, 3), "cancel", "cancellation of an attempt"]],
  superseded: [[Layout.superseded(runId, 3), "retry", "supersession of an attempt"]],
  checkpoint: [[Layout.checkpoint(runId, prepareId, 12), "prepare", "checkpoint"]],
  jobList: [[Layout.jobList(runId, prepareId), "prepare", "job list"]],
  inputs: [
    [`${Layout.inputs(runId, prepareId, first)}part-0.jsonl`, "prepare", "input file"],
    [`${Layout.inputs(runId, prepareId, later)}part-11.jsonl`, "retry", "input file of a later attempt"],
    [Layout.inputs(runId, prepareId, first) + nameOf("s3://b/k.png", "png"), "prepare", "copy of media"],
    [Layout.inputs(runId, prepareId, later) + nameOf("s3://b/v", "three_gp"), "retry", "copy of media of a later attempt"]
  ],
  rows: [
    [Layout.rows(runId, prepareId, first), "prepare", "rows file"],
    [Layout.rows(runId, prepareId, later), "retry", "rows file of a later attempt"]
  ],
  ledger: [
    [`${Layout.ledger(runId)}${first}.intent`, "submit", "intent"],
    [`${Layout.ledger(runId)}${first}.claim-12`, "submit", "claim"],
    [`${Layout.ledger(runId)}${first}.refused-1`, "submit", "refusal"],
    [`${Layout.ledger(runId)}${first}.unlisted-2`, "cancel", "settlement by list"],
    [`${Layout.ledger(runId)}${first}.arn`, "submit", "ARN"],
    [`${Layout.ledger(runId)}${first}.end`, "await", "end"],
    [`${Layout.ledger(runId)}${later}.intent`, "retry", "intent of a later attempt"],
    [`${Layout.ledger(runId)}${later}.claim-1`, "retry", "claim of a later attempt"],
    [`${Layout.ledger(runId)}${later}.refused-3`, "retry", "refusal of a later attempt"],
    [`${Layout.ledger(runId)}${later}.unlisted-1`, "retry", "settlement by list of a later attempt"],
    [`${Layout.ledger(runId)}${later}.arn`, "retry", "ARN of a later attempt"],
    [`${Layout.ledger(runId)}${later}.end`, "retry", "end of a later attempt"]
  ],
  results: [
    [`${Layout.results(runId, "1-parquet")}${first}.parquet`, "collect", "result file"],
    [`${Layout.results(runId, "1-csv-parts-1000-without-0a1b2c3d")}${first}-000012.csv`, "collect", "result file"],
    [`${Layout.results(runId, "1-jsonl")}${first}.json`, "collect", "job report"],
    [`${Layout.results(runId, "1-arrow")}report.json`, "collect", "report"],
    [`${Layout.results(runId, "2-jsonl")}${first}.jsonl`, "retry", "result file of a later attempt"],
    [`${Layout.results(runId, "2-parquet-snappy")}${first}.json`, "retry", "job report of a later attempt"],
    [`${Layout.results(runId, "11-arrow")}report.json`, "retry", "report of a later attempt"]
  ],
  jobReport: [[Layout.jobReport(runId, "1-csv", first), "collect", "job report"]],
  report: [[Layout.report(runId, "2-csv"), "retry", "report of a later attempt"]],
  onDemand: [
    [`${Layout.onDemand(runId, first)}part-000000.jsonl.out`, "submit", "on-demand part"],
    [`${Layout.onDemand(runId, later)}part-000012.jsonl.out`, "retry", "on-demand part of a later attempt"]
  ],
  // Bedrock writes there.
  outputs: [],
  // The beginning of keys, and names within them.
  prepares: [],
  attempts: [],
  resultsOf: [],
  jobKey: [],
  recordId: [],
  rowOf: []
}

it("every key of a run is of one kind of write", () => {
  assert.sameMembers(Object.keys(keys), Object.keys(Layout))
  for (const [key, phase, name] of Object.values(keys).flat()) {
    assert.deepStrictEqual(kindsOf(key).map((kind) => [kind.phase, kind.name]), [[phase, name]], key)
  }
})

it("a kind of write has a name of its own, and none is forgotten here", () => {
  const names = durableWrites.map(({ name }) => name)
  assert.strictEqual(new Set(names).size, names.length)
  assert.sameMembers([...new Set(Object.values(keys).flat().map(([, , name]) => name))], names)
})

it("other keys are of no kind", () => {
  for (const key of ["", "plan.json", `${runId}/plan.json.tmp`, `${runId}/jobs/1-000000.claim-`, `${runId}/x/run.json`]) {
    assert.deepStrictEqual(kindsOf(key), [], key)
  }
})
