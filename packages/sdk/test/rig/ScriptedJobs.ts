import { Clock, Effect, Stream } from "effect"
import type { BatchError } from "../../src/BatchError.ts"
import {
  BatchJobs,
  type CreateRequest,
  type JobSettings,
  type JobState,
  type ListQuery,
  toBatchError
} from "../../src/bedrock/BatchJobs.ts"
import { isTerminal, type TerminalStatus } from "../../src/Job.ts"

/**
 * What a create call comes to:
 *
 * - `accept`: the job is there and answered;
 * - `lost`: the job is there, the answer is not; `dropped`: neither;
 * - `error-accepted`, `error`: a 500, with and without the job;
 * - `no-arn`: the job is there, the answer 200 does not name it;
 * - `conflict`: the service says that the token is in use, and makes no job;
 * - `quota`, `throttled`, `validation`, `access`, `expired`: refused.
 */
export type Turn =
  | "accept"
  | "lost"
  | "dropped"
  | "error-accepted"
  | "error"
  | "no-arn"
  | "conflict"
  | "quota"
  | "throttled"
  | "validation"
  | "access"
  | "expired"

export interface Made {
  readonly request: CreateRequest
  readonly at: number
  state: JobState
  /** When it was asked to stop. */
  stoppedAt: number | null
}

export const settings: JobSettings = {
  roleArn: "arn:aws:iam::123456789012:role/test",
  tags: {},
  outputKmsKeyId: null,
  vpc: null,
  inputBucketOwner: null,
  outputBucketOwner: null
}

const account = "arn:aws:bedrock:us-east-1:123456789012:model-invocation-job/"

/** Bedrock's batch service as a script plays it. */
export class ScriptedJobs {
  readonly region: string
  /** What the next create calls come to, in order; then `accept`. */
  readonly turns: Array<Turn> = []
  /** Every create request that arrived. */
  readonly creates: Array<CreateRequest> = []
  /** The jobs that were made: what is paid for. */
  readonly made: Array<Made> = []
  /** The most jobs that were open at once. */
  mostOpen = 0
  /** How each list was asked for. */
  readonly lists: Array<ListQuery> = []
  readonly gets: Array<string> = []
  /** Every job that was asked to stop, in order. */
  readonly stops: Array<string> = []
  /** Failures of the next stop calls. */
  readonly stopFailures: Array<BatchError> = []
  /** For how long a job that was asked to stop is `Stopping`, in milliseconds; one of Infinity never stops. */
  stopLasts = 30_000
  /** Failures of the next lists. */
  readonly listFailures: Array<BatchError> = []
  /** For how long a token gives the same job, in milliseconds; 0 ignores tokens. */
  tokenKept = Infinity
  /** For how long a new job is in no list, in milliseconds. */
  listLag = 0
  /** Whether lists show tokens. */
  showsTokens = true
  /** ARNs that no list shows. */
  readonly hidden = new Set<string>()

  constructor(region = "us-east-1") {
    this.region = region
  }

  /** Makes a job, or finds the token's. */
  accept(request: CreateRequest, at: number): string {
    const known = this.made.find((job) =>
      job.request.clientRequestToken === request.clientRequestToken && at - job.at < this.tokenKept
    )
    if (known !== undefined) return known.state.arn
    const arn = `${account}${String(this.made.length).padStart(12, "0")}`
    const state: JobState = {
      arn,
      name: request.jobName,
      token: request.clientRequestToken,
      model: request.modelId,
      status: "Submitted",
      message: null,
      submittedAt: new Date(at).toISOString(),
      inputUri: request.inputUri,
      outputUri: request.outputUri,
      counters: null
    }
    this.made.push({ request, at, state, stoppedAt: null })
    this.mostOpen = Math.max(this.mostOpen, this.open)
    return arn
  }

  /** How many jobs are open. */
  get open(): number {
    return this.made.filter(({ state }) => !isTerminal(state.status)).length
  }

  change(index: number, change: Partial<JobState>): void {
    const job = this.made[index]!
    job.state = { ...job.state, ...change }
  }

  /** Ends the job that has been open for the longest time. */
  endFirst(status: TerminalStatus = "Completed"): void {
    const first = this.made.findIndex(({ state }) => !isTerminal(state.status))
    if (first >= 0) this.change(first, { status })
  }

  /** Ends every job that is open. */
  endAll(status: TerminalStatus = "Completed"): void {
    this.made.forEach(({ state }, i) => {
      if (!isTerminal(state.status)) this.change(i, { status })
    })
  }

  /** Lets jobs stop that were asked to long enough ago. */
  readonly #pass = Effect.map(Clock.currentTimeMillis, (now) => {
    this.made.forEach(({ state, stoppedAt }, i) => {
      if (isTerminal(state.status) || stoppedAt === null) return
      this.change(i, { status: now - stoppedAt >= this.stopLasts ? "Stopped" : "Stopping" })
    })
    return now
  })

  readonly stop = Effect.fnUntraced({ self: this }, function*(this: ScriptedJobs, arn: string) {
    this.stops.push(arn)
    const failure = this.stopFailures.shift()
    if (failure !== undefined) return yield* failure
    const now = yield* this.#pass
    const made = this.made.find(({ state }) => state.arn === arn)
    if (made === undefined) {
      return yield* toBatchError("stop", { code: "ResourceNotFoundException", status: 404, message: arn })
    }
    if (!isTerminal(made.state.status)) made.stoppedAt ??= now
    yield* this.#pass
  })

  readonly create = Effect.fnUntraced({ self: this }, function*(this: ScriptedJobs, request: CreateRequest) {
    this.creates.push(request)
    const at = yield* Clock.currentTimeMillis
    const fail = (code: string | null, status: number | null) =>
      toBatchError("create", { code, status, message: `scripted ${code ?? status ?? "loss"}` })
    const turn = this.turns.shift() ?? "accept"
    switch (turn) {
      case "accept":
        return { arn: this.accept(request, at) }
      case "lost":
        this.accept(request, at)
        return yield* fail(null, null)
      case "dropped":
        return yield* fail(null, null)
      case "error-accepted":
        this.accept(request, at)
        return yield* fail("InternalServerException", 500)
      case "error":
        return yield* fail("InternalServerException", 500)
      case "no-arn":
        this.accept(request, at)
        return yield* fail(null, 200)
      case "conflict":
        return yield* fail("ConflictException", 400)
      case "quota":
        return yield* fail("ServiceQuotaExceededException", 400)
      case "throttled":
        return yield* fail("ThrottlingException", 429)
      case "validation":
        return yield* fail("ValidationException", 400)
      case "access":
        return yield* fail("AccessDeniedException", 403)
      case "expired":
        return yield* fail("ExpiredTokenException", 403)
    }
  })

  get service(): BatchJobs["Service"] {
    return BatchJobs.of({
      region: this.region,
      settings,
      create: this.create,
      get: (arn) =>
        Effect.flatMap(this.#pass, () => {
          this.gets.push(arn)
          const found = this.made.find(({ state }) => state.arn === arn)
          return found === undefined
            ? Effect.fail(toBatchError("get", { code: "ResourceNotFoundException", status: 404, message: arn }))
            : Effect.succeed(found.state)
        }),
      list: ({ nameContains, status, submittedAfter }) =>
        Stream.unwrap(Effect.gen({ self: this }, function*() {
          this.lists.push({ nameContains, submittedAfter, ...(status === undefined ? {} : { status }) })
          const failure = this.listFailures.shift()
          if (failure !== undefined) return Stream.fail(failure)
          const now = yield* this.#pass
          return Stream.fromIterable(this.made.filter(({ at, state }) =>
            now - at >= this.listLag && !this.hidden.has(state.arn) &&
            (submittedAfter === undefined || at > submittedAfter) &&
            (status === undefined || state.status === status) &&
            (nameContains === undefined || state.name.includes(nameContains))
          ).map(({ state }) => (this.showsTokens ? state : { ...state, token: null })).reverse())
        })),
      stop: this.stop
    })
  }
}
