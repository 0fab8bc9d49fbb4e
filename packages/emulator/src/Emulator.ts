/**
 * The service itself: jobs, quotas, tokens, tags, pages, events and on-demand calls, without a wire.
 *
 * @since 0.1.0
 */
import { isTerminal } from "@bedrock-batch/sdk/Job"
import { defaults, type Limits } from "@bedrock-batch/sdk/Limits"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import * as Chance from "./Chance.ts"
import * as CreateRequest from "./CreateRequest.ts"
import * as Engine from "./Engine.ts"
import * as Events from "./Events.ts"
import * as FoundationModels from "./FoundationModels.ts"
import { type FaultOptions, Faults } from "./Faults.ts"
import { describer, type JobDescription, type JobRecord } from "./JobRecord.ts"
import * as Journal from "./Journal.ts"
import { canonical, isObject } from "./Json.ts"
import * as ListQuery from "./ListQuery.ts"
import * as Model from "./Model.ts"
import * as OnDemandCalls from "./OnDemandCalls.ts"
import * as Register from "./Register.ts"
import * as Responder from "./Responder.ts"
import * as ServiceQuotas from "./ServiceQuotas.ts"
import { ConnectionLost, type ExceptionName, ServiceException } from "./ServiceException.ts"
import { type Operation, type Stats, Tally } from "./Stats.ts"
import type { Storage } from "./Storage.ts"
import * as Tags from "./Tags.ts"
import { millis, type Timing } from "./Timing.ts"
import { constraints, Findings } from "./Validation.ts"

/**
 * Options of an emulator.
 *
 * @since 0.1.0
 * @category configuration
 */
export interface Options {
  /** Where the objects behind `s3://` URIs live. */
  readonly storage: Storage
  /** Default `us-east-1`. */
  readonly region?: string | undefined
  /** Default `123456789012`. */
  readonly accountId?: string | undefined
  /** How long each phase of a job takes, in emulated time; the defaults make jobs end in about a second. */
  readonly timing?: Timing | undefined
  /** Emulated seconds in a second; default 1. */
  readonly speed?: number | undefined
  /** Quotas that differ from the service's defaults, for all models or by base model. */
  readonly limits?: Partial<Limits> | ((baseModel: string) => Partial<Limits>) | undefined
  /** Which models batch inference takes: base models, or a predicate on the id; default `Model.isBatchCapable`. */
  readonly models?: ReadonlyArray<string> | ((modelId: string) => boolean) | undefined
  /** Ids of models that the account may not use, as far as GetFoundationModelAvailability tells; default none. */
  readonly withoutAccess?: ReadonlyArray<string> | undefined
  /** Base models of the account's application inference profiles, by the names of the profiles; default none. */
  readonly applicationProfiles?: { readonly [name: string]: string } | undefined
  /**
   * What Create says to an input location at which there is nothing: `refused`, the default, a `ValidationException`,
   * whose text is a guess, as is that Create looks; or `accepted`, so that the job fails when it is validated.
   */
  readonly emptyInput?: "refused" | "accepted" | undefined
  /** What the models answer; default `Responder.standard`. */
  readonly responder?: Responder.Responder | undefined
  /** What goes wrong; default nothing. */
  readonly faults?: FaultOptions | undefined
  /** Seed of everything that is left to chance; default a new one each time. */
  readonly seed?: string | undefined
  /** What is remembered when the process ends; default nothing. One whose file cannot be used is a defect. */
  readonly journal?: Journal.Journal | undefined
  /** Whether absent members of Converse's content blocks are written as null, as the real service does; default yes. */
  readonly nullFilledUnions?: boolean | undefined
}

/**
 * The emulated service. Its calls take and give the JSON of the wire; failures are the service's exceptions.
 *
 * @since 0.1.0
 * @category services
 */
export class Emulator extends Context.Service<Emulator, {
  readonly region: string
  readonly accountId: string
  /** CreateModelInvocationJob. A call that is interrupted is acted upon all the same, as one whose bytes are sent. */
  readonly create: (body: unknown) => Effect.Effect<{ readonly jobArn: string }, ServiceException | ConnectionLost>
  /** GetModelInvocationJob, by ARN or by the twelve characters at its end. */
  readonly get: (identifier: string) => Effect.Effect<JobDescription, ServiceException>
  /** ListModelInvocationJobs. */
  readonly list: (parameters: ListQuery.ListParameters) => Effect.Effect<{
    readonly invocationJobSummaries: ReadonlyArray<JobDescription>
    readonly nextToken?: string
  }, ServiceException>
  /** StopModelInvocationJob. */
  readonly stop: (identifier: string) => Effect.Effect<{}, ServiceException>
  /** TagResource. */
  readonly tag: (body: unknown) => Effect.Effect<{}, ServiceException>
  /** UntagResource. */
  readonly untag: (body: unknown) => Effect.Effect<{}, ServiceException>
  /** ListTagsForResource. */
  readonly listTags: (
    body: unknown
  ) => Effect.Effect<{ readonly tags: ReadonlyArray<CreateRequest.Tag> }, ServiceException>
  /**
   * InvokeModel, by model id, profile id or ARN: the body is the model's own request, the answer its own output. The
   * responder's error of a record becomes the exception of its code. A call that is interrupted is answered, and
   * counted, all the same.
   */
  readonly invoke: (modelId: string, body: unknown) => Effect.Effect<unknown, ServiceException | ConnectionLost>
  /** Converse: as `invoke`, with the request and the answer that are the same for all models, without null members. */
  readonly converse: (modelId: string, body: unknown) => Effect.Effect<unknown, ServiceException | ConnectionLost>
  /** Service Quotas, by the name of an operation: the quotas of batch inference, as the emulator keeps them. */
  readonly quotas: (operation: string, body: unknown) => Effect.Effect<unknown, ServiceException>
  /** ListFoundationModels, ListInferenceProfiles and GetFoundationModelAvailability. */
  readonly models: FoundationModels.FoundationModels
  /** What goes wrong from now on. */
  readonly faults: Faults
  /** What was called, created and open, as counted so far. */
  readonly stats: Effect.Effect<Stats>
  /** State changes, as EventBridge would deliver them. */
  readonly events: Stream.Stream<Events.JobEvent>
  /** The emulated time, in milliseconds since 1970. */
  readonly now: Effect.Effect<number>
}>()("@bedrock-batch/emulator/Emulator") {}

/**
 * The Region of an emulator that is told none.
 *
 * @since 0.1.0
 * @category configuration
 */
export const defaultRegion = "us-east-1"

const refuse = (name: ExceptionName, message: string) => new ServiceException({ name, message })
const tooMany = () => refuse("ThrottlingException", "Too many requests, please wait before trying again.")
const internal = () =>
  refuse("InternalServerException", "The server encountered an error processing the request. Try again.")
const largeJobBytes = 100_000_000_000

const mostCustomModelJobs = 3

const isLargeJobModel = (model: string) =>
  /^amazon\.nova-(?:lite-v1|pro-v1|2-multimodal-embeddings)/.test(model)

/**
 * Creates an emulator; it works as long as the scope is open.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make: (options: Options) => Effect.Effect<Emulator["Service"], never, Scope.Scope> = Effect.fnUntraced(
  function*(options: Options) {
    const region = options.region ?? defaultRegion
    const accountId = options.accountId ?? "123456789012"
    const seed = options.seed ?? `${yield* Random.nextInt}/${yield* Random.nextInt}`
    const chance = Chance.make(`${seed}/ids`)
    const faults = new Faults(options.faults ?? {}, Chance.make(`${seed}/faults`))
    const bus = yield* Events.make(faults)
    const scope = yield* Effect.scope
    const tally = new Tally()
    const journal = options.journal ?? Journal.memory()
    const remembered = journal.read()
    const speed = options.speed ?? 1
    const { now } = yield* Register.clock(journal, remembered, speed)

    const { limits: given, models } = options
    const ofAll = (baseModel: string): Limits => ({
      ...defaults,
      ...(isLargeJobModel(baseModel) ? { maxJobBytes: largeJobBytes } : {}),
      ...(Model.isCustom(baseModel) ? { maxOpenJobs: mostCustomModelJobs } : {})
    })
    const limits = (baseModel: string): Limits => ({
      ...ofAll(baseModel),
      ...(typeof given === "function" ? given(baseModel) : given)
    })
    const takes = (modelId: string) =>
      models === undefined
        ? Model.isBatchCapable(modelId)
        : typeof models === "function"
        ? models(modelId)
        : models.includes(Model.base(modelId))

    const announce = (job: JobRecord) =>
      bus.send({
        eventId: chance.id(8),
        region,
        accountId,
        jobName: job.request.jobName,
        jobArn: job.arn,
        modelArn: job.modelArn,
        status: job.status,
        message: job.message,
        submittedAt: job.submittedAt,
        at: job.changedAt
      })
    const responder = options.responder ?? Responder.standard
    const engine = yield* Engine.make({
      storage: options.storage,
      timing: options.timing ?? {},
      now,
      speed,
      limits,
      responder,
      nullFilledUnions: options.nullFilledUnions ?? true,
      changed: (job) => {
        if (isTerminal(job.status)) {
          tally.ended(job.baseModel, job.totals)
          journal.append({
            type: "ended",
            id: job.id,
            status: job.status,
            message: job.message,
            changedAt: job.changedAt,
            endedAt: job.endedAt ?? job.changedAt,
            totals: job.totals
          })
        }
        announce(job)
      }
    })
    const register = Register.make({
      journal,
      remembered,
      region,
      accountId,
      submitted: (job) => millis(options.timing ?? {}, "submitted", job),
      created: (job, isNews) => {
        tally.created(job.baseModel)
        if (isNews) announce(job)
        engine.add(job)
      },
      stopping: engine.stop,
      ended: (job) => tally.ended(job.baseModel, job.totals)
    })

    const accept = (request: CreateRequest.CreateRequest, at: number, exclusive: boolean): JobRecord => {
      let id = chance.id(12)
      while (register.isTaken(id)) id = chance.id(12)
      register.add({
        type: "created",
        id,
        region,
        accountId,
        request,
        at,
        seed: `${seed}/${id}`,
        exclusive,
        faults: faults.forJob()
      })
      const job = register.byId.get(id) ?? register.byToken.get(request.clientRequestToken ?? "")
      if (job === undefined) throw new Error("the journal does not hold the job that was added to it")
      return job
    }

    const known = (token: string | null, at: number): JobRecord | undefined => {
      const setting = faults.current.token ?? "honoured"
      if (token === null || setting === "ignored") return undefined
      const job = register.byToken.get(token)
      if (job === undefined || setting === "honoured") return job
      return at - job.submittedAt < Duration.toMillis(setting.forgottenAfter) ? job : undefined
    }

    /** What cannot be listed is left to the job's validation. */
    const isMissing = (uri: string) =>
      options.emptyInput === "accepted" ? Effect.succeed(false) : Effect.map(
        Effect.exit(options.storage.list(uri)),
        (found) => Exit.isSuccess(found) && found.value.length === 0
      )

    const createNow = Effect.fnUntraced(function*(body: unknown) {
      tally.called("create")
      if (faults.strikes("throttleCreate")) return yield* tooMany()
      if (faults.strikes("serverErrorOnCreate")) return yield* internal()
      const findings = new Findings()
      if (!isObject(body)) return yield* refuse("SerializationException", "The body is not a JSON object")
      const request = CreateRequest.read(findings, body)
      if (findings.problem !== null) return yield* new ServiceException(findings.problem)
      if (faults.strikes("denyCreate")) {
        return yield* refuse(
          "AccessDeniedException",
          `User is not authorized to perform: iam:PassRole on resource: ${request.roleArn}`
        )
      }
      if (!takes(request.modelId)) {
        return yield* refuse("ValidationException", "Batch inference is not supported for the requested model")
      }
      const tooManyTags = Tags.tooMany(request.tags, request.jobName)
      if (tooManyTags !== null) return yield* tooManyTags
      if (yield* isMissing(request.inputUri)) {
        return yield* refuse("ValidationException", `The S3 input location does not exist: ${request.inputUri}`)
      }
      yield* Effect.sleep(faults.delay("slowCreate"))
      register.sync()
      const model = Model.base(request.modelId)
      const most = limits(model).maxOpenJobs
      // What is due can only make room.
      if (tally.open(model) >= most) yield* engine.settle()
      const at = yield* now
      register.sync()
      const before = known(request.clientRequestToken, at)
      if (before !== undefined && canonical(before.request) !== canonical(request)) {
        return yield* refuse("ConflictException", "The client request token was used before with other parameters")
      }
      if (before === undefined) {
        if (faults.strikes("quotaFull") || tally.open(model) >= most) {
          return yield* refuse(
            "ServiceQuotaExceededException",
            `The sum of in-progress and submitted batch inference jobs for this model has reached its quota of: ${most}`
          )
        }
      }
      // A token that is ignored or forgotten does not make the entry void.
      const isFirst = request.clientRequestToken !== null && !register.byToken.has(request.clientRequestToken)
      const job = before ?? accept(request, at, isFirst)
      yield* Effect.sleep(faults.delay("slowAnswer"))
      if (faults.strikes("serverErrorAfterCreate")) return yield* internal()
      if (faults.strikes("answerLost")) return yield* new ConnectionLost()
      return { jobArn: job.arn }
    })

    const find = Effect.fnUntraced(function*(identifier: string) {
      const findings = new Findings()
      findings.text("jobIdentifier", identifier, constraints.jobIdentifier, true)
      if (findings.problem !== null) return yield* new ServiceException(findings.problem)
      const job = register.byId.get(identifier.slice(-12))
      if (job === undefined || (identifier.startsWith("arn:") && identifier !== job.arn)) {
        return yield* refuse("ResourceNotFoundException", `Could not find the model invocation job: ${identifier}`)
      }
      return job
    })
    const show = describer(accountId)
    const countersAsOf = Effect.map(now, (at) => at - Duration.toMillis(faults.current.counterLag ?? 0))
    const counted = <A, E>(
      operation: Operation,
      fault: "throttleGet" | "throttleList" | "throttleStop" | null,
      effect: Effect.Effect<A, E>
    ) =>
      Effect.suspend((): Effect.Effect<A, E | ServiceException> => {
        tally.called(operation)
        register.sync()
        return fault !== null && faults.strikes(fault) ? tooMany() : effect
      })
    const tags = Tags.make(find, (job, changed) => register.add({ type: "tagged", id: job.id, tags: changed }))

    const answer = OnDemandCalls.make({ responder, faults, tally })
    // The bytes of a call are on their way: it is acted upon even if its caller is interrupted.
    const sent = <A, E>(call: Effect.Effect<A, E>) =>
      Effect.flatMap(Effect.forkIn(call, scope, { startImmediately: true }), Fiber.join)

    return {
      region,
      accountId,
      create: (body) => sent(createNow(body)),
      get: (identifier) =>
        counted("get", "throttleGet", Effect.gen(function*() {
          const job = yield* find(identifier)
          yield* engine.settle(job)
          return show(job, yield* countersAsOf)
        })),
      list: (parameters) =>
        counted("list", "throttleList", Effect.gen(function*() {
          const findings = new Findings()
          const query = ListQuery.read(findings, parameters)
          if (findings.problem !== null) return yield* new ServiceException(findings.problem)
          yield* engine.settle()
          const at = yield* now
          const page = ListQuery.page(query, register.jobs, at - Duration.toMillis(faults.current.listLag ?? 0))
          const asOf = yield* countersAsOf
          return {
            invocationJobSummaries: page.jobs.map((job) => show(job, asOf)),
            ...(page.nextToken === null ? {} : { nextToken: page.nextToken })
          }
        })),
      stop: (identifier) =>
        counted("stop", "throttleStop", Effect.gen(function*() {
          const job = yield* find(identifier)
          yield* engine.settle(job)
          if (isTerminal(job.status)) {
            return yield* refuse(
              "ConflictException",
              `The model invocation job is over already, its status is ${job.status}: ${job.arn}`
            )
          }
          // The second call of several is told that all is well.
          if (job.stopAt === null) register.add({ type: "stopping", id: job.id, at: yield* now })
          yield* engine.settle(job)
          return {}
        })),
      tag: (body) => counted("tag", null, tags.tag(body)),
      untag: (body) => counted("untag", null, tags.untag(body)),
      listTags: (body) => counted("listTags", null, tags.list(body)),
      invoke: (modelId, body) => sent(answer("invoke", modelId, body)),
      converse: (modelId, body) => sent(answer("converse", modelId, body)),
      quotas: ServiceQuotas.make({ region, accountId, limits, defaults: ofAll, faults, tally }),
      models: FoundationModels.make({
        region,
        accountId,
        withoutAccess: options.withoutAccess ?? [],
        applicationProfiles: options.applicationProfiles ?? {},
        faults,
        tally
      }),
      faults,
      stats: Effect.map(Effect.andThen(Effect.sync(() => register.sync()), engine.settle()), () => tally.stats),
      events: bus.stream,
      now
    }
  }
)

/**
 * Layer with an emulator.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<Emulator> => Layer.effect(Emulator, make(options))
