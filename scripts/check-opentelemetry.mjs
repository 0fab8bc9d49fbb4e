// Runs examples/opentelemetry.ts and checks what it exports: `node scripts/check-opentelemetry.mjs`.
import assert from "node:assert/strict"
import { spawnSync } from "node:child_process"
import { fileURLToPath } from "node:url"

const { status, stderr, stdout } = spawnSync(process.execPath, ["opentelemetry.ts"], {
  cwd: fileURLToPath(new URL("../examples/", import.meta.url)),
  encoding: "utf8",
  stdio: ["ignore", "pipe", "pipe"]
})
process.stdout.write(stdout)
process.stderr.write(stderr)
assert.equal(status, 0)

const lines = stdout.split("\n")
const run = /"run":"(countries-[0-9a-f]{10})"/.exec(stdout)?.[1]
const spans = lines.flatMap((line) => {
  const [, name, attributes] = /^span (\S+) \d+ ms (.*)$/.exec(line) ?? []
  return name === undefined ? [] : [{ name, attributes: JSON.parse(attributes) }]
})
const of = (name) => spans.filter((span) => span.name === name).map(({ attributes }) => attributes)
for (const name of ["prepare", "run"]) assert.deepEqual(of(name), [{ run }], name)
assert.deepEqual(of("awaitAll"), [{ runs: [run], attempts: [1], jobs: 1 }])
assert.deepEqual(of("submit"), [{ run, job: "1-000000", attempt: 1 }])
assert.equal(of("collect").length, 1)

// The last export counts.
const metrics = new Map(lines.flatMap((line) => {
  const [, name, value] = /^metric (\S+ \{.*\}) (\S+)$/.exec(line) ?? []
  return name === undefined ? [] : [[name, Number(value)]]
}))
const jobs = [...metrics].filter(([name]) => name.startsWith("bedrock_batch_jobs "))
assert.ok(jobs.length > 0 && jobs.every(([, value]) => value === 0), "no job is open at the end")
assert.equal(metrics.get("bedrock_batch_records_processed_total {}"), 187)
assert.equal(metrics.get("bedrock_batch_records_collected_total {\"outcome\":\"succeeded\"}"), 187)
assert.ok(metrics.get("bedrock_batch_tokens_total {\"type\":\"output\"}") > 0)
console.log(`opentelemetry: ${spans.length} spans and ${metrics.size} metrics of run ${run}`)
