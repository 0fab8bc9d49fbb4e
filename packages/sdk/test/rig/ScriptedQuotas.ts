import { Effect, Stream } from "effect"
import type { BatchError } from "../../src/BatchError.ts"
import { toBatchError } from "../../src/bedrock/BatchJobs.ts"
import { type Quota, ServiceQuotas } from "../../src/schedule/Quotas.ts"

/** Service Quotas as a script plays it. */
export class ScriptedQuotas {
  /** The applied rows. */
  applied: Array<Quota>
  /** AWS's defaults. */
  defaults: Array<Quota> = []
  /** Every call, in order: `get <code>`, `list`, `defaults`. */
  readonly calls: Array<string> = []
  /** Why every call fails, or null. */
  failure: BatchError | null = null
  /** How long every call takes, in milliseconds. */
  takes = 0

  constructor(applied: Array<Quota> = []) {
    this.applied = applied
  }

  /** Lets every call be refused, or fail for lack of capacity. */
  fail(code: "AccessDeniedException" | "TooManyRequestsException" | null): void {
    this.failure = code === null
      ? null
      : toBatchError("list", { code, status: 400, message: `scripted ${code}` }, "ServiceQuotas")
  }

  /** Changes the value of an applied row. */
  set(code: string, value: number): void {
    this.applied = this.applied.map((row) => (row.code === code ? { ...row, value } : row))
  }

  #answer<A>(call: string, answer: () => A): Effect.Effect<A, BatchError> {
    return Effect.suspend(() => {
      this.calls.push(call)
      const result = this.failure === null ? Effect.succeed(answer()) : Effect.fail(this.failure)
      return this.takes === 0 ? result : Effect.andThen(Effect.sleep(this.takes), result)
    })
  }

  get service(): ServiceQuotas["Service"] {
    return ServiceQuotas.of({
      get: (code) => this.#answer(`get ${code}`, () => this.applied.find((row) => row.code === code) ?? null),
      list: Stream.unwrap(this.#answer("list", () => Stream.fromIterable(this.applied))),
      defaults: Stream.unwrap(this.#answer("defaults", () => Stream.fromIterable(this.defaults)))
    })
  }
}
