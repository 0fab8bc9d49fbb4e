/**
 * `@bedrock-batch/sdk/promise`: the same verbs as Promises; rejections are `BatchError`s.
 *
 * @since 0.1.0
 */
import type { Processor } from "@bedrock-batch/processors/Processor"
import type * as PromptModule from "@bedrock-batch/processors/Prompt"
import type * as Library from "@bedrock-batch/processors/PromptLibrary"
import type { Table } from "apache-arrow"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Stream from "effect/Stream"
import { awaitAll, type AwaitOptions, type ConfirmPlan } from "../awaitAll.ts"
import * as Aws from "../Aws.ts"
import type { BatchError } from "../BatchError.ts"
import type { BatchJobs } from "../bedrock/BatchJobs.ts"
import { collect, type Collected, collectJob, type CollectOptions, finish, type JobReport, type Report } from "../collect.ts"
import { type Estimate, estimate, type EstimateOptions } from "../estimate.ts"
import type { EndedJob, Job, RefusedJob, SubmittedJob } from "../Job.ts"
import type { ResultRow } from "../Outcome.ts"
import { model, type ModelDetails, type ModelList, models, type ModelsOptions } from "../models.ts"
import { type AnswerOf, type Embed, prepare, type PrepareOptions } from "../prepare.ts"
import { type PrepareRound, prepareStep } from "../prepareStep.ts"
import { probe, type Probe, type ProbeOptions } from "../probe.ts"
import { type Event, Progress } from "../Progress.ts"
import { make as makeFolding, type Summary } from "../ProgressSummary.ts"
import * as Prompts from "../Prompts.ts"
import { type Receipt, receipt, type ReceiptOptions } from "../receipt.ts"
import * as Runs from "../Run.ts"
import { type Handle, load, type Run, type RunStatus, status, type UntypedResultRow } from "../Run.ts"
import { retry, type RetryOptions } from "../retry.ts"
import { resume, run, type FinishOptions, type ResumeOptions } from "../runToEnd.ts"
import { type Submission, submit, submitWith } from "../submit.ts"

/** The same modules as in `@bedrock-batch/sdk`. */
export {
  AnthropicMessages,
  Converse,
  Families,
  Llama,
  MistralChat,
  MistralText,
  Nova,
  NovaMultimodalEmbeddings,
  OpenAiChat,
  Processor,
  Prompt,
  Raw,
  Reasoning,
  StructuredOutput,
  TitanMultimodalEmbeddings,
  TitanTextEmbeddings
} from "@bedrock-batch/processors"
/** Which models batch inference takes, what they cost, prompts by id, and how many tokens a text has, about. */
export { Catalogue, Prices, PromptLibrary, Tokens } from "@bedrock-batch/processors"
/** The error of every rejection. */
export * as BatchError from "../BatchError.ts"
/** Where rows come from. */
export * as Source from "../source/Source.ts"
/** How a job's end is learnt. */
export * as Wait from "../wait/Wait.ts"

/**
 * What every method takes.
 *
 * @since 0.1.0
 * @category configuration
 */
export interface CallOptions {
  /** Ends the call; paid jobs go on and the ledger stays true. The promise is rejected with the signal's reason. */
  readonly signal?: AbortSignal | undefined
  /**
   * Called with each event, and with what gives where the runs of this call stand, by all events so far. What it throws
   * is ignored.
   */
  readonly onProgress?: ((event: Event, summary: () => Summary) => void) | undefined
}

/**
 * A report and its rows; `rows` can be iterated more than once.
 *
 * @since 0.1.0
 * @category models
 */
export interface CollectedRows<out Row extends object> {
  /** The run, at the attempt that was collected: for `retry`, or for `Source.results`. */
  readonly run: Handle<Row>
  readonly report: Report
  /** Where each result file is, in the order of the rows. */
  readonly files: ReadonlyArray<string>
  readonly rows: AsyncIterable<Row>
  /** All rows as an Arrow table, in memory. */
  readonly table: (options?: CallOptions) => Promise<Table>
}

/**
 * The spending guard, with a Promise as callback.
 *
 * @since 0.1.0
 * @category configuration
 */
export interface Confirming {
  /** Asked once, before the first job is claimed and anything is paid for; `false`, or a rejection, stops the call. */
  readonly confirm?: ((plan: ConfirmPlan) => boolean | PromiseLike<boolean>) | undefined
}

/**
 * Options of `awaitAll` with Promises as callbacks.
 *
 * @since 0.1.0
 * @category configuration
 */
export interface Waiting extends Omit<AwaitOptions<EndedJob, BatchJobs>, "onEnded" | "confirm" | "reserve">, Confirming {
  /** Runs at each job's end; a rejection fails the wait. */
  readonly onEnded?: ((job: EndedJob) => PromiseLike<unknown>) | undefined
}

/**
 * What `run` adds to the options of `prepare`.
 *
 * @since 0.1.0
 * @category configuration
 */
export interface Finishing extends Omit<FinishOptions<BatchJobs>, "onEnded" | "confirm">, Confirming {}

/**
 * Options of `resume`.
 *
 * @since 0.1.0
 * @category configuration
 */
export interface Resuming extends Omit<ResumeOptions<BatchJobs, never, never, Aws.Services>, "onEnded" | "confirm">, Confirming {}

/**
 * A job that brings the client of its Region: see `BedrockBatch.bind`.
 *
 * @since 0.2.0
 * @category models
 */
export interface BoundJob {
  readonly job: Job
  readonly client: BedrockBatch
}

/** Has a function hear the events of an effect, beside the listener that is there. */
const tellingTo = <A, E, R>(
  onProgress: NonNullable<CallOptions["onProgress"]>,
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.flatMap(Progress, (outer) => {
    const folding = makeFolding()
    return Effect.provideService(effect, Progress, (event) =>
      Effect.gen(function*() {
        const now = yield* Clock.currentTimeMillis
        folding.follow(event, now)
        yield* Effect.ignore(Effect.try(() => onProgress(event, () => folding.summary(now))))
        yield* outer(event)
      }))
  })

/** What is given as a Promise's answer, as an Effect; a rejection is a defect, which rejects the call. */
const confirmWith = ({ confirm }: Confirming) =>
  confirm === undefined ? undefined : (plan: ConfirmPlan) => Effect.promise(async () => confirm(plan))

/**
 * A client with one runtime; it holds no logic. Its connections open on first use; dispose of it, or declare it with
 * `await using`, to close them.
 *
 * @since 0.1.0
 * @category models
 * @example
 * ```ts
 * import { BedrockBatch, Prompt, Source } from "@bedrock-batch/sdk/promise"
 *
 * await using batch = BedrockBatch.make({
 *   bucket: "my-bucket",
 *   roleArn: "arn:aws:iam::123456789012:role/bedrock-batch"
 * })
 * const { report, rows } = await batch.run({
 *   name: "jokes",
 *   source: Source.csv("topics.csv"),
 *   model: "us.anthropic.claude-haiku-4-5-20251001-v1:0",
 *   prompt: Prompt.make("Tell me a joke about {topic}.")
 * })
 * console.log(report.counts)
 * for await (const row of rows) console.log(row.batch_status, row.response)
 * ```
 */
export class BedrockBatch implements AsyncDisposable {
  readonly #runtime: ManagedRuntime.ManagedRuntime<Aws.ClientServices, BatchError>

  private constructor(layer: Layer.Layer<Aws.ClientServices, BatchError>) {
    this.#runtime = ManagedRuntime.make(layer)
  }

  /** Makes a client on AWS, or over any layer of the services (`Local.layer(...)` of `@bedrock-batch/emulator`). */
  static make(options: Aws.Options | { readonly layer: Layer.Layer<Aws.ClientServices, BatchError> }): BedrockBatch {
    return new BedrockBatch("layer" in options ? options.layer : Aws.layer(options))
  }

  /** Prepares, submits, awaits and collects; run again after a crash it goes on where it was. */
  async run<
    Row extends object,
    const P extends PromptModule.Any | undefined = undefined,
    X extends object = never,
    const N extends { readonly [column: string]: string } = {},
    const E extends Embed = "input_text",
    const B extends string | undefined = undefined,
    O extends object = {},
    const G extends boolean = false
  >(
    options: PrepareOptions<Row, Aws.Services, P, X, N, E, B, O, G> & Finishing & CallOptions
  ): Promise<CollectedRows<ResultRow<Row, AnswerOf<P, X, B, O, G>, N>>> {
    const running = run<Row, Aws.Services, P, X, N, E, B, BatchJobs, never, never, O, G>({
      ...options,
      confirm: confirmWith(options)
    })
    return this.#collected(await this.#call(running, options))
  }

  /** Writes a run's inputs and its manifest; nothing is paid for. */
  prepare<
    Row extends object,
    const P extends PromptModule.Any | undefined = undefined,
    X extends object = never,
    const N extends { readonly [column: string]: string } = {},
    const E extends Embed = "input_text",
    const B extends string | undefined = undefined,
    O extends object = {},
    const G extends boolean = false
  >(
    options: PrepareOptions<Row, Aws.Services, P, X, N, E, B, O, G> & CallOptions
  ): Promise<Run<ResultRow<Row, AnswerOf<P, X, B, O, G>, N>>> {
    return this.#call(prepare<Row, Aws.Services, P, X, N, E, B, O, G>(options), options)
  }

  /** Prepares for as long as the budget and keeps how far it came; to be called until the run is `prepared`. */
  prepareStep<
    Row extends object,
    const P extends PromptModule.Any | undefined = undefined,
    X extends object = never,
    const N extends { readonly [column: string]: string } = {},
    const E extends Embed = "input_text",
    const B extends string | undefined = undefined,
    O extends object = {},
    const G extends boolean = false
  >(
    options: PrepareOptions<Row, Aws.Services, P, X, N, E, B, O, G> & CallOptions,
    budget: Duration.Input
  ): Promise<PrepareRound> {
    return this.#call(prepareStep<Row, Aws.Services, P, X, N, E, B, O, G>(options, budget), options)
  }

  /** Says what a run would come to; nothing is written. */
  estimate<
    Row extends object,
    const P extends PromptModule.Any | undefined = undefined,
    X extends object = never,
    const N extends { readonly [column: string]: string } = {},
    const E extends Embed = "input_text",
    const B extends string | undefined = undefined,
    O extends object = {},
    const G extends boolean = false
  >(
    options: PrepareOptions<Row, Aws.Services, P, X, N, E, B, O, G> & EstimateOptions & CallOptions
  ): Promise<Estimate> {
    return this.#call(estimate<Row, Aws.Services, P, X, N, E, B, O, G>(options), options)
  }

  /** Says what a run came to, by Bedrock's own counts of tokens, with its price. */
  receipt(run: Handle<object>, options?: ReceiptOptions & CallOptions): Promise<Receipt> {
    return this.#call(receipt(run, options), options)
  }

  /** Reads a library of prompts from a folder or a prefix in S3. */
  prompts(location: string | URL, options?: CallOptions): Promise<Library.Any> {
    return this.#call(Prompts.fromStore(location), options)
  }

  /** Submits one job now; for many give the jobs to `awaitAll`, since a Promise cannot wait for its slot. */
  submit(job: Job, options?: CallOptions): Promise<SubmittedJob | EndedJob> {
    return this.#call(submit(job), options)
  }

  /**
   * Submits jobs as slots allow and waits for each one's end. Jobs of other Regions come with the clients of theirs, from
   * `bind`.
   */
  awaitAll(
    jobs: Iterable<Job | BoundJob>,
    options?: Waiting & CallOptions
  ): Promise<ReadonlyArray<EndedJob | RefusedJob>> {
    const { onEnded, ...rest } = options ?? {}
    return this.#call(
      Effect.flatMap(this.#submissions(jobs), (submissions) =>
        awaitAll(submissions, {
          ...rest,
          confirm: confirmWith(rest),
          onEnded: onEnded === undefined ? undefined : (job) => Effect.promise(() => Promise.resolve(onEnded(job)))
        })),
      options
    )
  }

  /**
   * Gives jobs to another client's `awaitAll`, where runs of several Regions are awaited together: each job is read of,
   * submitted and stopped by the client that bound it, which must not be disposed of before.
   *
   * @example
   * ```ts
   * import { BedrockBatch, Prompt, Source } from "@bedrock-batch/sdk/promise"
   *
   * const roleArn = "arn:aws:iam::123456789012:role/bedrock-batch"
   * await using east = BedrockBatch.make({ region: "us-east-1", bucket: "my-bucket-east", roleArn })
   * await using west = BedrockBatch.make({ region: "us-west-2", bucket: "my-bucket-west", roleArn })
   * const definition = {
   *   name: "jokes",
   *   source: Source.csv("topics.csv"),
   *   model: "us.anthropic.claude-haiku-4-5-20251001-v1:0",
   *   prompt: Prompt.make("Tell me a joke about {topic}.")
   * } as const
   * const here = await east.prepare(definition)
   * const there = await west.prepare({ ...definition, name: "jokes-west" })
   * const ended = await east.awaitAll([...here.jobs, ...west.bind(there.jobs)])
   * const { report } = await west.collect(there, ended.filter(({ runId }) => runId === there.id))
   * console.log(report.counts)
   * ```
   */
  bind(jobs: Iterable<Job>): ReadonlyArray<BoundJob> {
    return Array.from(jobs, (job) => ({ job, client: this }))
  }

  /** Joins the answers to the rows, one output row per input row, in input order. */
  async collect<Row extends object>(
    run: Run<Row>,
    jobs: Iterable<EndedJob | RefusedJob>,
    options?: CollectOptions & CallOptions
  ): Promise<CollectedRows<Row>> {
    return this.#collected(await this.#call(collect(run, jobs, options), options))
  }

  /** Collects one ended job; done again it finds its result. */
  collectJob(run: Handle<object>, job: EndedJob, options?: CollectOptions & CallOptions): Promise<JobReport> {
    return this.#call(collectJob(run, job, options), options)
  }

  /** Finishes a run whose jobs have all ended, by the ledger. */
  async finish<Row extends object>(run: Handle<Row>, options?: CollectOptions & CallOptions): Promise<CollectedRows<Row>> {
    return this.#collected(await this.#call(finish(run, options), options))
  }

  /** Prepares the next attempt: the same run, whose jobs are those of what did not succeed. */
  retry<Row extends object>(run: Handle<Row>, options?: RetryOptions & CallOptions): Promise<Run<Row>> {
    return this.#call(retry(run, options), options)
  }

  /** Takes up a run by its id, wherever it was left, and brings it to its end. */
  async resume(runId: string, options: Resuming & CallOptions = {}): Promise<CollectedRows<UntypedResultRow>> {
    return this.#collected(await this.#call(resume(runId, { ...options, confirm: confirmWith(options) }), options))
  }

  /** Loads a prepared run by its id; `prepare` with the same options gives it typed. */
  load(
    runId: string,
    options?: CallOptions & { readonly processor?: Processor<object> | undefined }
  ): Promise<Run<UntypedResultRow>> {
    return this.#call(load(runId, options), options)
  }

  /** Says where a run stands; Bedrock is not asked. */
  status(runId: string, options?: CallOptions): Promise<RunStatus> {
    return this.#call(status(runId), options)
  }

  /** Stops a run's open jobs, keeps what they have, and says what is billed; nothing more of it is submitted. */
  cancel(runId: string, options?: Runs.CancelOptions & CallOptions): Promise<Runs.Cancelled> {
    return this.#call(Runs.cancel(runId, options), options)
  }

  /** Every run in the base, newest first. */
  list(options?: CallOptions): Promise<ReadonlyArray<Runs.RunSummary>> {
    return this.#call(Runs.list(), options)
  }

  /** Copies a run's outputs and results into a folder, verified; done again it goes on where it was. */
  download(runId: string, directory: string, options?: Runs.DownloadOptions & CallOptions): Promise<Runs.Download> {
    return this.#call(Runs.download(runId, directory, options), options)
  }

  /** Removes a run of which no job is open; with `dryRun` it only says what would be removed. */
  delete(runId: string, options?: Runs.DeleteOptions & CallOptions): Promise<Runs.Deletion> {
    return this.#call(Runs.delete(runId, options), options)
  }

  /** The models that the account sees in the client's Region, and whether batch inference takes them. */
  models(options?: ModelsOptions & CallOptions): Promise<ModelList> {
    return this.#call(models(options), options)
  }

  /** One model in full, by its id, an inference profile or an ARN. */
  model(name: string, options?: CallOptions): Promise<ModelDetails> {
    return this.#call(model(name), options)
  }

  /** Asks Bedrock whether batch inference takes a model, by a create call that has nothing to run. */
  probe(model: string, options?: ProbeOptions & CallOptions): Promise<Probe> {
    return this.#call(probe(model, options), options)
  }

  /** Closes the client's connections. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#runtime.dispose()
  }

  /** One context of services for all jobs of a client. */
  #submissions(jobs: Iterable<Job | BoundJob>): Effect.Effect<ReadonlyArray<Submission<Aws.Services>>, BatchError> {
    const all = [...jobs]
    const others = new Set(all.flatMap((one) => "client" in one && one.client !== this ? [one.client] : []))
    return Effect.map(
      Effect.forEach(others, (client) =>
        Effect.map(client.#runtime.contextEffect, (context) => [client, submitWith(context)] as const)),
      (bound) => {
        const submitters = new Map<BedrockBatch, (job: Job) => Submission<Aws.Services>>(bound)
        return all.map((one) => "client" in one ? (submitters.get(one.client) ?? submit)(one.job) : submit(one))
      }
    )
  }

  async #call<A>(effect: Effect.Effect<A, BatchError, Aws.ClientServices>, options: CallOptions | undefined): Promise<A> {
    const { onProgress, signal } = options ?? {}
    const listened = onProgress === undefined ? effect : tellingTo(onProgress, effect)
    const exit = await this.#runtime.runPromiseExit(listened, signal === undefined ? undefined : { signal })
    if (Exit.isSuccess(exit)) return exit.value
    if (Cause.hasInterruptsOnly(exit.cause) && signal?.aborted) throw signal.reason
    throw Cause.squash(exit.cause)
  }

  #collected<Row extends object>({ files, report, rows, run, table }: Collected<Row>): CollectedRows<Row> {
    return {
      run,
      report,
      files,
      rows: Stream.toAsyncIterable(rows),
      table: (options) => this.#call(table, options)
    }
  }
}
