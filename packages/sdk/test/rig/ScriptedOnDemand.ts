import type { Json } from "@bedrock-batch/processors/Processor"
import { Clock, Effect } from "effect"
import { toBatchError } from "../../src/bedrock/BatchJobs.ts"
import { OnDemand } from "../../src/bedrock/OnDemand.ts"
import { sha256 } from "../../src/internal/Digest.ts"
import * as Layout from "../../src/internal/Layout.ts"
import type { Job } from "../../src/Job.ts"
import type { ObjectStore } from "../../src/store/ObjectStore.ts"

/**
 * What a call comes to:
 *
 * - `answer`: the model's answer; `lost`: the model ran, the answer did not come; `server`: a 500;
 * - `throttled`, `quota`: refused unread;
 * - `validation`, `not-found`: refused for what is asked; `access`: for who asks;
 * - `bug`: a defect of the client.
 */
export type Turn =
  | "answer"
  | "lost"
  | "server"
  | "throttled"
  | "quota"
  | "validation"
  | "not-found"
  | "access"
  | "bug"

export interface Call {
  /** Row of the record. */
  readonly row: number
  /** When it was begun, by the test's clock. */
  readonly at: number
  /** When it came to its end; null while it runs or when it was given up. */
  endedAt: number | null
}

const codes = {
  server: ["InternalServerException", 500],
  throttled: ["ThrottlingException", 429],
  quota: ["ServiceQuotaExceededException", 400],
  validation: ["ValidationException", 400],
  "not-found": ["ResourceNotFoundException", 404],
  access: ["AccessDeniedException", 403]
} as const

/** Bedrock's calls on demand as a script plays them. */
export class ScriptedOnDemand {
  readonly region = "us-east-1"
  concurrency = 4
  /** What a call comes to, and after how many milliseconds. */
  turn: (row: number, nth: number) => Turn = () => "answer"
  millis: (row: number) => number = () => 100
  /** The model's answer. */
  answer: (row: number) => Json = (row) => ({ said: `answer ${row}` })
  readonly calls: Array<Call> = []
  running = 0
  mostRunning = 0
  /** How often the model ran, or may have, for each row. */
  readonly paid = new Map<number, number>()

  get paidInAll(): number {
    return [...this.paid.values()].reduce((sum, count) => sum + count, 0)
  }

  readonly invoke: OnDemand["Service"]["invoke"] = Effect.fnUntraced({ self: this }, function*(
    this: ScriptedOnDemand,
    { body }
  ) {
    const row = Number(typeof body === "object" && body !== null && "row" in body ? body.row : NaN)
    const call: Call = { row, at: yield* Clock.currentTimeMillis, endedAt: null }
    const turn = this.turn(row, this.calls.filter((call) => call.row === row).length)
    this.calls.push(call)
    this.running++
    this.mostRunning = Math.max(this.mostRunning, this.running)
    if (turn === "answer" || turn === "lost" || turn === "server") {
      this.paid.set(row, (this.paid.get(row) ?? 0) + 1)
    }
    yield* Effect.sleep(this.millis(row)).pipe(
      Effect.ensuring(Effect.sync(() => {
        this.running--
      }))
    )
    call.endedAt = yield* Clock.currentTimeMillis
    if (turn === "answer") return this.answer(row)
    if (turn === "bug") return yield* Effect.die(new Error("scripted bug"))
    const [code, status] = turn === "lost" ? [null, null] : codes[turn]
    return yield* toBatchError("invoke", { code, status, message: `scripted ${turn}` }, "OnDemand")
  })

  get service(): OnDemand["Service"] {
    return OnDemand.of({ region: this.region, concurrency: this.concurrency, invoke: this.invoke })
  }
}

/** A job on demand over the rows that are given, with its files in the store. */
export const onDemandJob = Effect.fnUntraced(function*(store: ObjectStore["Service"], rows: ReadonlyArray<number>) {
  const key = "1-000000"
  const write = Effect.fnUntraced(function*(key: string, text: string, records: number) {
    const bytes = Buffer.from(text)
    yield* store.create(key, bytes)
    const info = yield* store.head(key)
    return { key, size: bytes.length, etag: info!.etag, sha256: sha256(bytes), records }
  })
  const lines = rows.map((row) => JSON.stringify({ recordId: Layout.recordId(row), modelInput: { row } }))
  const half = Math.ceil(lines.length / 2)
  const input = `run/inputs/p/${key}/`
  // The first file has no line feed at its end.
  const files = [
    yield* write(`${input}part-0.jsonl`, lines.slice(0, half).join("\n"), half),
    yield* write(`${input}part-1.jsonl`, lines.slice(half).map((line) => `${line}\n`).join(""), lines.length - half)
  ]
  const job: Job = {
    version: 1,
    runId: "run",
    key,
    attempt: 1,
    index: 0,
    lane: "on-demand",
    model: "us.anthropic.claude-haiku-4-5-20251001-v1:0",
    region: "us-east-1",
    invocationType: "Converse",
    name: "run-1-000000-00000000",
    token: "0".repeat(64),
    prepareId: "p",
    input,
    output: Layout.onDemand("run", key),
    files,
    rows: yield* write("run/rows/p/1-000000.arrow", "rows", rows.length),
    firstRow: rows[0]!,
    lastRow: rows.at(-1)!,
    records: rows.length,
    bytes: files.reduce((sum, { size }) => sum + size, 0),
    timeoutHours: 72
  }
  return job
})
