// Starts examples/http-backend.ts, uses it as a client would, and stops it: `node scripts/check-http-backend.mjs`.
import assert from "node:assert/strict"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { setTimeout as sleep } from "node:timers/promises"
import { fileURLToPath } from "node:url"

const directory = mkdtempSync(join(tmpdir(), "http-backend-"))

const startServer = async () => {
  const child = spawn(process.execPath, ["http-backend.ts"], {
    cwd: fileURLToPath(new URL("../examples/", import.meta.url)),
    env: { ...process.env, PORT: "0", DIRECTORY: directory },
    stdio: ["ignore", "pipe", "inherit"]
  })
  const exited = once(child, "exit")
  for await (const line of createInterface(child.stdout)) {
    const base = /^listening at (\S+)$/.exec(line)?.[1]
    if (base !== undefined) return { base, stop: async () => (child.kill("SIGTERM"), (await exited)[0]) }
  }
  throw new Error(`the server ended before it listened, with code ${(await exited)[0]}`)
}

const post = (base, body) => fetch(`${base}/runs`, { method: "POST", body: typeof body === "string" ? body : JSON.stringify(body) })

const rows = Array.from({ length: 120 }, (_, i) => ({ topic: `topic ${i}`, rank: i }))
const newRun = { name: "jokes", prompt: "Tell me a joke about {topic}.", rows }

try {
  let server = await startServer()
  const refused = [
    [400, "{"],
    [400, { ...newRun, name: "no spaces please" }],
    [400, { ...newRun, rows: [{ topic: {} }] }],
    [400, { ...newRun, prompt: "Tell me a joke about {topic" }],
    [400, { ...newRun, prompt: "Tell me a joke about {topics}." }],
    [400, { ...newRun, rows: rows.slice(0, 99) }],
    [413, "x".repeat(10_000_001)]
  ]
  for (const [status, body] of refused) assert.equal((await post(server.base, body)).status, status)
  for (const path of ["/runs/jokes-0000000000", "/runs/jokes-0000000000/results", "/runs/..%2f..", "/"]) {
    assert.equal((await fetch(server.base + path)).status, 404, path)
  }

  const accepted = await post(server.base, newRun)
  assert.equal(accepted.status, 202)
  const { id, records } = await accepted.json()
  assert.equal(records, 120)
  assert.equal(accepted.headers.get("location"), `/runs/${id}`)
  assert.equal((await fetch(`${server.base}/runs/${id}/results`)).status, 409)

  const deadline = Date.now() + 60_000
  while ((await (await fetch(`${server.base}/runs/${id}`)).json()).next !== "nothing") {
    assert.ok(Date.now() < deadline, "the run did not end within a minute")
    await sleep(200)
  }

  // Another process knows the run, too.
  assert.equal(await server.stop(), 0)
  server = await startServer()
  const again = await post(server.base, newRun)
  assert.equal((await again.json()).id, id)
  const answer = await fetch(`${server.base}/runs/${id}/results`)
  assert.equal(answer.headers.get("content-type"), "application/jsonl")
  const lines = (await answer.text()).trimEnd().split("\n").map((line) => JSON.parse(line))
  assert.deepEqual(lines.map(({ rank, topic }) => ({ topic, rank })), rows)
  assert.ok(lines.every((line) => line.batch_status === "succeeded" && line.response.includes(line.topic)))
  assert.equal(await server.stop(), 0)
  console.log(`http-backend: ${refused.length} bad requests refused, run ${id} answered ${lines.length} rows`)
} finally {
  rmSync(directory, { recursive: true, force: true })
}
