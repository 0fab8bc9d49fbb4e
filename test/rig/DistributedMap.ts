/** A Map in distributed mode: its items come from an object in S3, and each is an execution of its own. */
import { StateMachine } from "aws-local-stepfunctions"
import { randomUUID } from "node:crypto"
import type * as History from "./History.ts"
import { StateError } from "./StateError.ts"
import type { Definition, Ended, Running, Shared, State } from "./StateMachine.ts"

/** How the children are started. */
type Start = (definition: Definition, input: unknown, shared: Shared, child: History.Child) => Running

/** Fills in a template, with `$` the state's input and `$$` the context. */
const fill = (template: unknown, input: unknown, context: { readonly [name: string]: any }): Promise<any> => {
  // The interpreter makes `$$.Execution.Input` of what a machine is started with.
  const states = {
    Given: { Type: "Pass", Result: input, Next: "Filled" },
    Filled: { Type: "Pass", Parameters: template, End: true }
  }
  const options = { validationOptions: { noValidate: true } }
  return new StateMachine({ StartAt: "Given", States: states } as never, options)
    .run(context["Execution"]?.Input ?? null, { context }).result
}

/** The value of a field, or of the path that stands in its place. */
const valueOf = async (state: State, field: string, input: unknown, context: object): Promise<number | undefined> =>
  state[`${field}Path`] === undefined
    ? state[field]
    : (await fill({ "value.$": state[`${field}Path`] }, input, context as never)).value

const failReading = (message: string) => new StateError("States.ItemReaderFailed", message)

const readItems = async (state: State, input: unknown, { context, world }: Shared): Promise<ReadonlyArray<unknown>> => {
  const { ItemReader: reader, ItemsPath: path } = state
  if (reader === undefined) {
    const items = path === undefined ? input : (await fill({ "items.$": path }, input, context)).items
    if (!Array.isArray(items)) throw new StateError("States.Runtime", "the items are not an array")
    return items
  }
  const { Bucket, Key } = await fill(reader.Parameters, input, context)
  let text: string
  try {
    text = await world.objects.get(Bucket, Key)
  } catch (error) {
    throw failReading(`s3://${Bucket}/${Key}: ${error instanceof Error ? error.message : String(error)}`)
  }
  let items: unknown
  try {
    items = JSON.parse(text)
  } catch {
    throw failReading(`s3://${Bucket}/${Key} is not JSON`)
  }
  if (!Array.isArray(items)) throw failReading(`s3://${Bucket}/${Key} is not a JSON array`)
  return items.slice(0, reader.ReaderConfig.MaxItems ?? items.length)
}

/** Writes what became of the children, as Step Functions does, and gives what the Map then answers. */
const writeResults = async (
  name: string,
  state: State,
  input: unknown,
  { context, world }: Shared,
  children: ReadonlyArray<{ readonly input: unknown; readonly ended: Ended }>
) => {
  const { ResultWriter: writer } = state
  const { Bucket, Prefix = "" } = await fill(writer.Parameters, input, context)
  const id = randomUUID()
  const arn = `${context.Execution.Id.replace(":execution:", ":mapRun:")}/${state["Label"] ?? name}:${id}`
  const folder = `${Prefix}${Prefix === "" || Prefix.endsWith("/") ? "" : "/"}${id}`
  const fileOf = async (status: Ended["status"]) => {
    const rows = children.flatMap(({ ended, input }, item) => {
      const { cause, error, output } = ended
      const outcome = error === null ? { Output: JSON.stringify(output) } : { Error: error, Cause: cause }
      const row = { ExecutionArn: `${context.Execution.Id}:${item}`, Input: JSON.stringify(input), Status: status }
      return ended.status === status ? [{ ...row, ...outcome }] : []
    })
    if (rows.length === 0) return []
    const text = JSON.stringify(rows)
    const Key = `${folder}/${status}_0.json`
    await world.objects.put(Bucket, Key, text)
    return [{ Key, Size: Buffer.byteLength(text) }]
  }
  const manifest = {
    DestinationBucket: Bucket,
    MapRunArn: arn,
    ResultFiles: { FAILED: await fileOf("FAILED"), PENDING: [], SUCCEEDED: await fileOf("SUCCEEDED") }
  }
  await world.objects.put(Bucket, `${folder}/manifest.json`, JSON.stringify(manifest))
  return { MapRunArn: arn, ResultWriterDetails: { Bucket, Key: `${folder}/manifest.json` } }
}

/** Runs a distributed Map. */
export const run = async (
  name: string,
  state: State,
  input: unknown,
  shared: Shared,
  start: Start
): Promise<unknown> => {
  const { context, history } = shared
  const read = await readItems(state, input, shared)
  const selector = state["ItemSelector"]
  const inputs = selector === undefined
    ? read
    : await Promise.all(
      read.map((Value, Index) => fill(selector, input, { ...context, Map: { Item: { Index, Value } } }))
    )
  const concurrency = (await valueOf(state, "MaxConcurrency", input, context)) || 10_000
  const count = await valueOf(state, "ToleratedFailureCount", input, context)
  const percentage = await valueOf(state, "ToleratedFailurePercentage", input, context)
  const exceeds = (failed: number) =>
    (count === undefined && percentage === undefined && failed > 0) || (count !== undefined && failed > count) ||
    (percentage !== undefined && failed / inputs.length * 100 > percentage)

  const children: Array<{ readonly input: unknown; readonly ended: Ended }> = []
  const alive = new Set<Running>()
  let next = 0
  let failed = 0
  let mostAtOnce = 0
  const worker = async () => {
    while (next < inputs.length && !exceeds(failed)) {
      const item = next++
      const one = inputs[item]
      const id = `${context.Execution.Id}/${state["Label"] ?? name}:${randomUUID()}`
      const Execution = { ...context.Execution, Id: id, Name: id.slice(id.lastIndexOf(":") + 1) }
      const own = { ...shared, context: { ...context, Execution } }
      const running = start(state["ItemProcessor"], one, own, { map: name, item })
      alive.add(running)
      mostAtOnce = Math.max(mostAtOnce, alive.size)
      const ended = await running.ended
      alive.delete(running)
      children[item] = { input: one, ended }
      if (ended.status === "FAILED") failed++
      if (exceeds(failed)) for (const other of alive) other.abort()
    }
  }
  await Promise.all(Array.from({ length: Math.min(concurrency, inputs.length) }, worker))
  const done = children.filter((child) => child !== undefined)
  const succeeded = done.filter(({ ended }) => ended.status === "SUCCEEDED").length
  history.mapRuns.push({ map: name, items: inputs.length, succeeded, failed, mostAtOnce })
  if (exceeds(failed)) {
    throw new StateError(
      "States.ExceedToleratedFailureThreshold",
      "The specified tolerated failure threshold was exceeded"
    )
  }
  return state["ResultWriter"] === undefined
    ? done.map(({ ended }) => ended.output)
    : writeResults(name, state, input, shared, done)
}
