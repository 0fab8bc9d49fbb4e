import { assert, describe, it } from "@effect/vitest"
import validate from "asl-validator"
import { definition } from "../src/construct/Definition.ts"
import { type Json, resolve, resourcesOf, synth } from "./rig/Synth.ts"

interface State {
  readonly [key: string]: Json
}

const states = (machine: Json): Array<[string, State]> => {
  const own = Object.entries((machine as { readonly States: Record<string, State> }).States)
  return own.flatMap(([name, state]) => [
    [name, state] as [string, State],
    ...(state["ItemProcessor"] === undefined ? [] : states(state["ItemProcessor"]))
  ])
}

/** What no validator finds. */
const problems = (machine: Json): Array<string> =>
  states(machine).flatMap(([name, state]) => {
    const found: Array<string> = []
    const text = JSON.stringify(state["Parameters"] ?? state["Arguments"] ?? {})
    if (String(state["Resource"]).endsWith(".waitForTaskToken") && !text.includes("$$.Task.Token")) {
      found.push(`${name} waits for a token that it does not pass on`)
    }
    const percentage = state["ToleratedFailurePercentage"]
    if (percentage !== undefined && !(typeof percentage === "number" && percentage >= 0 && percentage <= 100)) {
      found.push(`${name} tolerates ${JSON.stringify(percentage)} percent`)
    }
    const reader = state["ItemReader"] as { readonly ReaderConfig?: { readonly InputType?: string } } | undefined
    if (reader !== undefined) {
      const type = reader.ReaderConfig?.InputType
      if (type === undefined || !["CSV", "JSON", "JSONL", "MANIFEST", "PARQUET"].includes(type)) {
        found.push(`${name} reads ${type}`)
      }
      const processor = state["ItemProcessor"] as { readonly ProcessorConfig?: { readonly Mode?: string } } | undefined
      if (processor?.ProcessorConfig?.Mode !== "DISTRIBUTED") found.push(`${name} reads items, and is not distributed`)
    }
    for (const field of ["Retry", "Catch"]) {
      const rules = (state[field] ?? []) as ReadonlyArray<{ readonly ErrorEquals: ReadonlyArray<string> }>
      rules.forEach(({ ErrorEquals }, index) => {
        if (!ErrorEquals.includes("States.ALL")) return
        if (ErrorEquals.length > 1) found.push(`${name}: States.ALL is not alone in ${field}`)
        if (index < rules.length - 1) found.push(`${name}: States.ALL is not last in ${field}`)
      })
    }
    return found
  })

const fromTemplate = (): Json => {
  const machine = Object.values(resourcesOf(synth())).find(({ Type }) => Type === "AWS::StepFunctions::StateMachine")
  return JSON.parse(String(resolve(machine?.Properties["DefinitionString"] ?? null)))
}

const plain = (change: (states: Record<string, State>) => void): Json => {
  const machine = definition({
    functions: { prepare: "p", submit: "s", collect: "c", finish: "f", retry: "r" },
    partition: "aws",
    bucket: "b",
    mapResults: "m",
    maxConcurrency: 1,
    jobTimeoutSeconds: 1
  })
  const copy: Json = JSON.parse(JSON.stringify(machine))
  change(Object.fromEntries(states(copy)))
  return copy
}

describe("the definition of the state machine", () => {
  it("is valid by the specification of the language", () => {
    const { errorsText, isValid } = validate(fromTemplate())
    assert.isTrue(isValid, errorsText())
  })

  it("keeps the rules that no validator knows", () => {
    assert.deepStrictEqual(problems(fromTemplate()), [])
  })

  it("is held against rules that find mistakes", () => {
    const mistakes: ReadonlyArray<[string, (states: Record<string, State>) => void]> = [
      ["Submit waits for a token that it does not pass on", ({ Submit }) => Object.assign(Submit!, { Parameters: {} })],
      ["Jobs tolerates 500 percent", ({ Jobs }) => Object.assign(Jobs!, { ToleratedFailurePercentage: 500 })],
      [
        "Jobs reads XML",
        ({ Jobs }) => Object.assign(Jobs!["ItemReader"] as object, { ReaderConfig: { InputType: "XML" } })
      ],
      [
        "Jobs reads items, and is not distributed",
        ({ Jobs }) => Object.assign(Jobs!["ItemProcessor"] as object, { ProcessorConfig: { Mode: "INLINE" } })
      ],
      [
        "Collect: States.ALL is not last in Retry",
        ({ Collect }) => (Collect!["Retry"] as Array<unknown>).unshift({ ErrorEquals: ["States.ALL"] })
      ],
      [
        "Finish: States.ALL is not alone in Catch",
        ({ Finish }) =>
          Object.assign(Finish!, { Catch: [{ ErrorEquals: ["States.ALL", "Throttled"], Next: "Failed" }] })
      ]
    ]
    for (const [problem, change] of mistakes) assert.deepStrictEqual(problems(plain(change)), [problem])
  })

  it("has literal timeouts and limits, and a result writer", () => {
    const found = Object.fromEntries(states(fromTemplate()))
    assert.strictEqual(found["Submit"]?.["TimeoutSeconds"], 26 * 3600)
    assert.strictEqual(found["Jobs"]?.["MaxConcurrency"], 20)
    assert.isNumber(found["Jobs"]?.["ToleratedFailureCount"])
    assert.isUndefined(found["Jobs"]?.["ToleratedFailurePercentage"])
    assert.property(found["Jobs"], "ResultWriter")
    assert.notProperty(found["Jobs"], "ItemBatcher")
    assert.notProperty(found["Submit"], "HeartbeatSeconds")
    for (const [name, state] of Object.entries(found)) {
      for (const key of Object.keys(state)) {
        assert.notMatch(key, /^(TimeoutSeconds|MaxConcurrency|ToleratedFailureCount)Path$/, name)
      }
    }
  })

  it("lets no child of the map fail", () => {
    const found = Object.fromEntries(states(fromTemplate()))
    for (const name of ["Submit", "Collect"]) {
      const rules = found[name]?.["Catch"] as ReadonlyArray<Record<string, Json>>
      assert.deepStrictEqual(rules.at(-1)?.["ErrorEquals"], ["States.ALL"], name)
      assert.strictEqual(rules.at(-1)?.["Next"], "JobFailed", name)
    }
    assert.strictEqual(found["JobFailed"]?.["Type"], "Pass")
  })

  it("keeps lists out of its state", () => {
    const found = Object.fromEntries(states(fromTemplate()))
    assert.isNull(found["Jobs"]?.["ResultPath"])
    const paths = Object.values(found).map((state) => state["ResultPath"]).filter((path) => typeof path === "string")
    assert.deepStrictEqual([...new Set(paths)].sort(), ["$.result", "$.run", "$.submitted"])
  })

  it("retries a full quota for longer than jobs stay open, and what the user did wrong never", () => {
    const found = Object.fromEntries(states(fromTemplate()))
    const rules = (name: string) =>
      (found[name]?.["Retry"] ?? []) as unknown as ReadonlyArray<
        { readonly ErrorEquals: ReadonlyArray<string>; readonly MaxDelaySeconds: number; readonly MaxAttempts: number }
      >
    const full = rules("Submit").find(({ ErrorEquals }) => ErrorEquals.includes("CapacityFull"))
    assert.isAbove((full?.MaxDelaySeconds ?? 0) / 2 * (full?.MaxAttempts ?? 0), 168 * 3600)
    for (const name of ["Prepare", "Submit", "Collect", "Finish", "Retry"]) {
      const errors = rules(name).flatMap(({ ErrorEquals }) => ErrorEquals)
      const passing = ["Unavailable", "Throttled", "States.Timeout", "Sandbox.Timedout", "Runtime.ExitError"]
      assert.includeMembers(errors, passing, name)
      for (const error of ["States.ALL", "States.TaskFailed", "InvalidInput", "InvalidOption", "RunConflict"]) {
        assert.notInclude(errors, error, name)
      }
    }
  })
})
