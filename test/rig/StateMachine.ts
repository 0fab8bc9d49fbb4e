/**
 * Runs a definition in the Amazon States Language as Step Functions would: aws-local-stepfunctions does the states, and
 * this module what it lacks. Tasks may wait for a token, Maps may be distributed, a state carries 256 KiB at most, and
 * every step is recorded. Definitions are JSONPath; what is not known here is refused, never passed over.
 */
import { type RunOptions, StateMachine, type StateMachineDefinition } from "aws-local-stepfunctions"
import { randomUUID } from "node:crypto"
import { deferred } from "./Deferred.ts"
import * as DistributedMap from "./DistributedMap.ts"
import type * as History from "./History.ts"
import { sizeOf, StateError, stateLimit, withinLimit } from "./StateError.ts"
import type { TaskTokens } from "./TaskTokens.ts"

/** A state: its fields depend on its type. */
export interface State {
  readonly Type: string
  readonly [field: string]: any
}

/** A state machine, or a part of one. */
export interface Definition {
  readonly StartAt: string
  readonly States: { readonly [name: string]: State }
  readonly [field: string]: any
}

/** What states do to the world. */
export interface World {
  /** Calls a resource, and gives its answer or throws a `StateError`. */
  readonly task: (resource: string, parameters: any) => Promise<unknown>
  readonly tokens: TaskTokens
  /** The objects that distributed Maps read and write. */
  readonly objects: {
    readonly get: (bucket: string, key: string) => Promise<string>
    readonly put: (bucket: string, key: string, text: string) => Promise<void>
  }
}

/** How time passes. */
export interface Clock {
  /** No pause before a retry or in a Wait is longer, in milliseconds; default as the definition says. */
  readonly longestPause?: number | undefined
  /** Other timeouts of tasks than the definition's, by state, in milliseconds. */
  readonly timeouts?: { readonly [state: string]: number } | undefined
}

/** How an execution ended. */
export interface Ended {
  readonly status: "SUCCEEDED" | "FAILED" | "ABORTED"
  readonly output: unknown
  readonly error: string | null
  readonly cause: string | null
}

/** An execution of a machine, or of one child of a Map. */
export interface Running {
  readonly ended: Promise<Ended>
  readonly abort: () => void
}

/** What the parts of one execution share. */
export interface Shared {
  readonly world: World
  readonly clock: Clock
  readonly history: History.History
  /** What `$$` holds, but for what an execution adds of itself. */
  readonly context: {
    readonly Execution: { readonly Id: string; readonly [name: string]: any }
    readonly [name: string]: any
  }
}

/** A task that is rewritten for the interpreter, which calls its handler with its parameters. */
type Handler = (parameters: any) => Promise<any>

const common = ["Type", "Comment", "QueryLanguage", "Next", "End", "InputPath", "OutputPath"]
const results = ["Parameters", "ResultPath", "ResultSelector", "Retry", "Catch"]
const known: { readonly [type: string]: ReadonlyArray<string> } = {
  Task: [...results, "Resource", "TimeoutSeconds", "TimeoutSecondsPath", "HeartbeatSeconds"],
  Pass: ["Parameters", "ResultPath", "Result"],
  Wait: ["Seconds", "SecondsPath", "Timestamp", "TimestampPath"],
  Choice: ["Choices", "Default"],
  Succeed: [],
  Fail: ["Error", "ErrorPath", "Cause", "CausePath"],
  Parallel: [...results, "Branches"],
  Map: [...results, "ItemsPath", "ItemSelector", "ItemProcessor", "MaxConcurrency", "MaxConcurrencyPath"]
}
const distributed = [
  ...common,
  ...(known["Map"] ?? []),
  "Label",
  "ItemReader",
  "ResultWriter",
  "ToleratedFailureCount",
  "ToleratedFailureCountPath",
  "ToleratedFailurePercentage",
  "ToleratedFailurePercentagePath"
]

const waiting = ".waitForTaskToken"

const isDistributed = (state: State) =>
  state.Type === "Map" && state["ItemProcessor"]?.ProcessorConfig?.Mode === "DISTRIBUTED"

/** Refuses a definition that the rig would run wrongly, with all that is within it. */
const checkAll = (definition: Definition): void => {
  if ((definition["QueryLanguage"] ?? "JSONPath") !== "JSONPath") throw new Error("the rig knows JSONPath alone")
  for (const [name, state] of Object.entries(definition.States)) {
    checkKnown(name, state)
    for (const part of [state["ItemProcessor"], ...(state["Branches"] ?? [])]) if (part !== undefined) checkAll(part)
  }
}

const checkKnown = (name: string, state: State): void => {
  const fields = isDistributed(state) ? distributed : [...common, ...(known[state.Type] ?? [])]
  const strange = Object.keys(state).filter((field) => !fields.includes(field))
  if (known[state.Type] === undefined) throw new Error(`state ${name}: the rig knows no type ${state.Type}`)
  if (strange.length > 0) throw new Error(`state ${name}: the rig knows no ${strange.join(", ")}`)
  if ((state["QueryLanguage"] ?? "JSONPath") !== "JSONPath") {
    throw new Error(`state ${name}: the rig knows JSONPath alone`)
  }
  if (state["HeartbeatSeconds"] !== undefined && !state["Resource"].endsWith(waiting)) {
    throw new Error(`state ${name}: the rig knows heartbeats of tokens alone`)
  }
  if (state["TimeoutSecondsPath"] !== undefined && state["Parameters"] === undefined) {
    throw new Error(`state ${name}: the rig knows TimeoutSecondsPath together with Parameters alone`)
  }
  const { ItemReader: reader, ResultWriter: writer } = state
  const reads = reader?.Resource.endsWith(":s3:getObject") && reader.ReaderConfig?.InputType === "JSON"
  if (reader !== undefined && !reads) {
    throw new Error(`state ${name}: the rig reads items with s3:getObject and InputType JSON alone`)
  }
  if (writer !== undefined && !(writer.Resource.endsWith(":s3:putObject") && writer.WriterConfig === undefined)) {
    throw new Error(`state ${name}: the rig writes results with s3:putObject and without WriterConfig alone`)
  }
}

const tokenMark = "\u0000task token"
const timeoutField = "\u0000timeout"

/** Replaces each use of the token, which the interpreter does not have, by a mark. */
const markTokens = (template: any, name: string): any => {
  if (Array.isArray(template)) return template.map((one) => markTokens(one, name))
  if (typeof template !== "object" || template === null) return template
  return Object.fromEntries(Object.entries(template).map(([key, value]) => {
    if (value === "$$.Task.Token" && key.endsWith(".$")) return [key.slice(0, -2), tokenMark]
    if (typeof value === "string" && key.endsWith(".$") && value.includes("$$.Task")) {
      throw new Error(`state ${name}: the rig takes $$.Task.Token as the whole value of a field alone`)
    }
    return [key, markTokens(value, name)]
  }))
}

/** Puts the token where the marks are. */
const fillTokens = (parameters: any, token: string): any => {
  if (parameters === tokenMark) return token
  if (Array.isArray(parameters)) return parameters.map((one) => fillTokens(one, token))
  if (typeof parameters !== "object" || parameters === null) return parameters
  return Object.fromEntries(Object.entries(parameters).map(([key, value]) => [key, fillTokens(value, token)]))
}

/** The longest that timers take; it is longer than anything that a test waits for. */
const longestTimer = 2 ** 31 - 1

/** Works on one part of a definition: a machine, or the processor of a distributed Map. */
class Part {
  readonly handlers: { [state: string]: Handler } = {}
  readonly waits: { [state: string]: number } = {}
  readonly pauses: { [state: string]: Array<number> } = {}
  readonly definition: Definition
  readonly #shared: Shared
  /** Ends what waits, once the execution is aborted. */
  readonly #aborted = deferred<never>()

  constructor(definition: Definition, shared: Shared) {
    this.#shared = shared
    this.definition = this.#rewrite(definition)
  }

  abort(): void {
    this.#aborted.reject(new StateError("States.Aborted", "the execution was aborted"))
  }

  #rewrite(part: Definition): Definition {
    const { ProcessorConfig: _, QueryLanguage: __, ...rest } = part
    const states = Object.entries(part.States).map(([name, state]) => [name, this.#state(name, state)])
    return { ...rest, StartAt: part.StartAt, States: Object.fromEntries(states) }
  }

  #state(name: string, state: State): State {
    const { longestPause } = this.#shared.clock
    if (longestPause !== undefined) {
      if (state.Type === "Wait") this.waits[name] = longestPause
      if (state["Retry"] !== undefined) this.pauses[name] = state["Retry"].map(() => longestPause)
    }
    // The interpreter takes "$" for the name of a field.
    const { ResultPath: resultPath, ...others } = state
    const { Type } = state
    const isWhole = resultPath === undefined || resultPath === "$"
    const plain: State = { ...others, Type, ...(isWhole ? {} : { ResultPath: resultPath }) }
    switch (Type) {
      case "Task":
        return this.#task(name, plain)
      case "Parallel":
        return { ...plain, Branches: state["Branches"].map((branch: Definition) => this.#rewrite(branch)) }
      case "Map": {
        if (!isDistributed(state)) return { ...plain, ItemProcessor: this.#rewrite(state["ItemProcessor"]) }
        this.handlers[name] = (input) => DistributedMap.run(name, state, input, this.#shared, start)
        const { InputPath, OutputPath, Next, End, Retry, Catch, ResultSelector, ResultPath } = plain
        const kept = { InputPath, OutputPath, Next, End, Retry, Catch, ResultSelector, ResultPath }
        const task = Object.fromEntries(Object.entries(kept).filter(([, value]) => value !== undefined))
        return { ...task, Type: "Task", Resource: "distributed", TimeoutSeconds: longestTimer / 1000 }
      }
      default:
        return plain
    }
  }

  #task(name: string, state: State): State {
    const { HeartbeatSeconds, Parameters, Resource, TimeoutSeconds, TimeoutSecondsPath, ...rest } = state
    const { clock, world } = this.#shared
    const waits = Resource.endsWith(waiting)
    this.handlers[name] = async (given) => {
      const { [timeoutField]: path, ...fields } = typeof given === "object" && given !== null ? given : {}
      const parameters = TimeoutSecondsPath === undefined ? given : fields
      const seconds: number | undefined = TimeoutSecondsPath === undefined ? TimeoutSeconds : path
      const millis = clock.timeouts?.[name] ?? Math.min((seconds ?? Number.POSITIVE_INFINITY) * 1000, longestTimer)
      const heartbeat = HeartbeatSeconds === undefined ? null : HeartbeatSeconds * 1000
      withinLimit(parameters, `the input of task ${name}`)
      const result = await Promise.race([
        this.#aborted.promise,
        waits
          ? this.#waitForToken(Resource, parameters, millis, heartbeat)
          : within(millis, world.task(Resource, parameters))
      ])
      return withinLimit(result, `the output of task ${name}`)
    }
    return {
      ...rest,
      Type: "Task",
      Resource,
      // The rig's own timeouts are the ones that count.
      TimeoutSeconds: longestTimer / 1000,
      ...(Parameters === undefined ? {} : {
        Parameters: {
          ...(waits ? markTokens(Parameters, name) : Parameters),
          ...(TimeoutSecondsPath === undefined ? {} : { [`${timeoutField}.$`]: TimeoutSecondsPath })
        }
      })
    }
  }

  /** The answer ends the task, even before the call that handed the token over returns; a call that fails does, too. */
  async #waitForToken(resource: string, parameters: any, millis: number, heartbeat: number | null): Promise<unknown> {
    const { tokens, task } = this.#shared.world
    const { abandon, answer, token } = tokens.make(millis, heartbeat)
    const called = task(resource.slice(0, -waiting.length), fillTokens(parameters, token)).then(() => answer)
    try {
      return await Promise.race([answer, called, this.#aborted.promise])
    } finally {
      abandon()
      called.catch(() => {})
    }
  }
}

/** Ends with `States.Timeout` where a task takes longer. */
const within = async <A>(millis: number, task: Promise<A>): Promise<A> => {
  const { promise, reject } = deferred<never>()
  const timer = setTimeout(() => reject(new StateError("States.Timeout", "")), millis)
  try {
    return await Promise.race([task, promise])
  } finally {
    clearTimeout(timer)
    task.catch(() => {})
  }
}

/** Starts a part; `child` says of which item of a Map. */
export const start = (
  definition: Definition,
  input: unknown,
  shared: Shared,
  child: History.Child | null = null
): Running => {
  const part = new Part(definition, shared)
  const machine = new StateMachine(part.definition as unknown as StateMachineDefinition, {
    // The definition is checked where it is made; the interpreter's own check knows less than Step Functions.
    validationOptions: { noValidate: true }
  })
  withinLimit(input, "the input of the execution")
  const running = machine.run(input as never, {
    context: shared.context,
    overrides: {
      taskResourceLocalHandlers: part.handlers,
      waitTimeOverrides: part.waits,
      retryIntervalOverrides: part.pauses
    }
  } satisfies RunOptions)
  running.result.catch(() => {})
  let tooLarge: string | null = null
  const abort = () => {
    running.abort()
    part.abort()
  }
  const check = (value: unknown, what: string) => {
    const size = sizeOf(value)
    if (size > stateLimit && tooLarge === null) {
      tooLarge = `${what} has ${size} bytes, and may have ${stateLimit}`
      abort()
    }
    return size
  }
  const follow = async (): Promise<Ended> => {
    let failure: { readonly error: string; readonly cause: string } | null = null
    let output: unknown = null
    let aborted = false
    for await (const event of running.eventLogs) {
      const at = event.timestamp
      switch (event.type) {
        case "StateEntered": {
          const { input: value, name, type } = event.state
          const bytes = check(value, `the input of ${name}`)
          shared.history.add({ at, child, state: name, type, event: "entered", bytes, value })
          break
        }
        case "StateExited": {
          const { name, output: value, type } = event.state
          const bytes = check(value, `the output of ${name}`)
          shared.history.add({ at, child, state: name, type, event: "exited", bytes, value })
          break
        }
        case "StateFailed":
        case "StateRetried":
        case "StateCaught": {
          const { name, type } = event.state
          const error = event.type === "StateFailed" ? { error: event.Error, cause: String(event.Cause) } : {}
          const kind = ({ StateFailed: "failed", StateRetried: "retried", StateCaught: "caught" } as const)[event.type]
          shared.history.add({ at, child, state: name, type, event: kind, ...error })
          break
        }
        case "ExecutionSucceeded":
          output = event.output
          break
        case "ExecutionFailed":
          failure = { error: event.Error, cause: String(event.Cause) }
          break
        case "ExecutionAborted":
          aborted = true
          break
      }
    }
    if (tooLarge !== null) return { status: "FAILED", output: null, error: "States.DataLimitExceeded", cause: tooLarge }
    if (failure !== null) return { status: "FAILED", output: null, ...failure }
    return { status: aborted ? "ABORTED" : "SUCCEEDED", output, error: null, cause: null }
  }
  return { ended: follow(), abort }
}

/** Starts an execution of a machine. */
export const execute = (options: {
  readonly definition: Definition
  readonly input: unknown
  readonly world: World
  readonly history: History.History
  readonly clock?: Clock
  /** The execution's name; default a new one. */
  readonly name?: string
  readonly machineArn?: string
}): Running => {
  const { clock = {}, definition, history, input, name = randomUUID(), world } = options
  const { machineArn = "arn:aws:states:us-east-1:123456789012:stateMachine:local" } = options
  const machine = machineArn.slice(machineArn.lastIndexOf(":") + 1)
  checkAll(definition)
  return start(definition, input, {
    world,
    clock,
    history,
    context: {
      Execution: {
        Id: `${machineArn.replace(":stateMachine:", ":execution:")}:${name}`,
        Name: name,
        RoleArn: "arn:aws:iam::123456789012:role/local-state-machine",
        RedriveCount: 0
      },
      StateMachine: { Id: machineArn, Name: machine }
    }
  })
}
