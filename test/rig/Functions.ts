/** The Lambda functions of a template, and what calls them. */
import type { TestQueue } from "../../packages/sdk/test/rig/SqsServer.ts"
import * as EventRules from "./EventRules.ts"
import { LambdaFunction } from "./LambdaRuntime.ts"
import { StateError } from "./StateError.ts"
import type { Definition } from "./StateMachine.ts"
import type { Assembly, Resolved } from "./Template.ts"

/** A rule of the template. */
export interface Rule {
  /** Of the events that it is for; null where it has a schedule. */
  readonly pattern: EventRules.Pattern | null
  readonly targets: ReadonlyArray<any>
}

/** The rules of a template that are enabled. */
export const rulesOf = (template: Resolved): ReadonlyArray<Rule> =>
  template.of("AWS::Events::Rule").filter(({ properties }) => properties.State !== "DISABLED").map((rule) => {
    const { EventPattern: pattern = null, Targets: targets = [] } = rule.properties
    for (const { InputPath, InputTransformer } of targets) {
      if (InputPath === undefined && InputTransformer === undefined) continue
      throw new Error(`rule ${rule.id}: the rig passes events whole`)
    }
    return { pattern, targets }
  })

/** All states of a definition, those within its Maps too, in order. */
const statesOf = (definition: Definition): ReadonlyArray<readonly [string, any]> =>
  Object.entries(definition.States).flatMap(([name, state]) => [
    [name, state] as const,
    ...(state["ItemProcessor"] === undefined ? [] : statesOf(state["ItemProcessor"])),
    ...(state["Branches"] ?? []).flatMap(statesOf)
  ])

/** What a function is called: the first state that calls it, else by the rule whose target it is; else null. */
const calledOf = (arn: string, definition: Definition, rules: ReadonlyArray<Rule>): string | null => {
  const isIt = (other: unknown) => typeof other === "string" && (other === arn || other.startsWith(`${arn}:`))
  const state = statesOf(definition).find(([, { Parameters, Resource }]) =>
    isIt(Parameters?.FunctionName) || isIt(Resource)
  )
  if (state !== undefined) return state[0]
  const rule = rules.find(({ targets }) => targets.some(({ Arn }) => isIt(Arn)))
  return rule === undefined ? null : rule.pattern === null ? "Sweep" : "Event"
}

/** What the functions are made of. */
export interface Options {
  readonly assembly: Assembly
  readonly template: Resolved
  readonly definition: Definition
  readonly rules: ReadonlyArray<Rule>
  readonly queues: { readonly [name: string]: TestQueue }
  /** What comes before and after the template's own variables. */
  readonly before: { readonly [name: string]: string }
  readonly after: { readonly [name: string]: string }
  readonly timeouts: { readonly [called: string]: number }
  readonly concurrency: number
  /** The pause before an event is given to a function again, in milliseconds. */
  readonly pause: number
  readonly onLog: (called: string, text: string) => void
}

interface Deployed {
  readonly fn: LambdaFunction
  /** How often an event is given to it again. */
  readonly retries: number
  /** The ARN of the queue of the events that it could not handle. */
  readonly deadLetters: string | null
}

const lastOf = (arn: string) => arn.slice(arn.lastIndexOf(":") + 1)

const sleep = (millis: number) => new Promise<void>((resolve) => setTimeout(resolve, millis))

/** The functions. */
export class Functions {
  /** By what they are called. */
  readonly all: { readonly [called: string]: LambdaFunction }
  readonly #options: Options
  readonly #byArn = new Map<string, Deployed>()

  constructor(options: Options) {
    const { after, assembly, before, concurrency, definition, onLog, rules, template, timeouts } = options
    this.#options = options
    const all: { [called: string]: LambdaFunction } = {}
    const configs = template.of("AWS::Lambda::EventInvokeConfig")
    for (const { arn, name, properties } of template.of("AWS::Lambda::Function")) {
      const called = calledOf(arn, definition, rules)
      // Of those that CloudFormation itself calls none is the pipeline's.
      if (called === null) continue
      const { Code, Environment, Handler, MemorySize = 128, ReservedConcurrentExecutions, Timeout = 3 } = properties
      const directory = assembly.assets.get(Code.S3Key)
      if (directory === undefined) throw new Error(`the code of function ${name} is not among the assets`)
      const fn = new LambdaFunction({
        name,
        arn,
        directory,
        handler: Handler,
        timeoutMillis: timeouts[called] ?? Timeout * 1000,
        memoryMegabytes: MemorySize,
        concurrency: Math.min(concurrency, ReservedConcurrentExecutions ?? concurrency),
        environment: { ...before, ...Environment?.Variables, ...after },
        onLog: (text) => onLog(called, text)
      })
      all[called] = fn
      const config = configs.find(({ properties }) => [name, arn].includes(properties.FunctionName))?.properties
      this.#byArn.set(arn, {
        fn,
        retries: config?.MaximumRetryAttempts ?? 2,
        deadLetters: config?.DestinationConfig?.OnFailure?.Destination ?? properties.DeadLetterConfig?.TargetArn ?? null
      })
    }
    this.all = all
  }

  #find(wanted: string): Deployed {
    const arn = wanted.split(":").slice(0, 7).join(":")
    const found = this.#byArn.get(arn) ?? [...this.#byArn.values()].find(({ fn }) => fn.options.name === wanted)
    if (found === undefined) throw new StateError("Lambda.ResourceNotFoundException", `Function not found: ${wanted}`)
    return found
  }

  /** A task of the state machine: Lambda's own integration, or a function's ARN. */
  readonly task = async (resource: string, parameters: any): Promise<unknown> => {
    const isArn = resource.includes(":lambda:") && resource.includes(":function:")
    if (!isArn && !resource.endsWith(":states:::lambda:invoke")) {
      throw new StateError("States.Runtime", `the rig knows no resource ${resource}`)
    }
    const { fn } = this.#find(isArn ? resource : parameters.FunctionName)
    const answer = await fn.invoke(isArn ? parameters : parameters.Payload ?? {})
    if (!answer.ok) throw new StateError(answer.error.errorType, JSON.stringify(answer.error))
    return isArn ? answer.payload : { ExecutedVersion: "$LATEST", Payload: answer.payload, StatusCode: 200 }
  }

  /** As Lambda does with an event: it tries again, and leaves what fails in the queue for it. */
  async #invokeLater({ deadLetters, fn, retries }: Deployed, event: unknown): Promise<void> {
    for (let attempt = 0; attempt <= retries; attempt++) {
      if (attempt > 0) await sleep(this.#options.pause)
      if ((await fn.invoke(event)).ok) return
    }
    if (deadLetters !== null) this.#options.queues[lastOf(deadLetters)]?.send(JSON.stringify(event))
  }

  async #call({ targets }: Rule, event: unknown): Promise<void> {
    await Promise.all(targets.map(({ Arn, Input }) => {
      const given: unknown = Input === undefined ? event : JSON.parse(Input)
      const deployed = this.#byArn.get(Arn)
      if (deployed !== undefined) return this.#invokeLater(deployed, given)
      return this.#options.queues[lastOf(Arn)]?.send(JSON.stringify(given))
    }))
  }

  /** Gives an event to the targets of the rules whose pattern it matches, and waits for them. */
  async deliver(event: unknown): Promise<void> {
    const asked = this.#options.rules.filter(({ pattern }) => pattern !== null && EventRules.matches(pattern, event))
    await Promise.all(asked.map((rule) => this.#call(rule, event)))
  }

  /** Lets the schedules strike, and waits for what they call. */
  async strike(event: unknown): Promise<void> {
    const scheduled = this.#options.rules.filter(({ pattern }) => pattern === null)
    await Promise.all(scheduled.map((rule) => this.#call(rule, event)))
  }

  async close(): Promise<void> {
    await Promise.all(Object.values(this.all).map((fn) => fn.close()))
  }
}
