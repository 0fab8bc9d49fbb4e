/**
 * Answers of a shape: a schema that the model is held to, and whose fields become columns.
 *
 * @since 0.2.0
 */
import type * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"
import { cellsOf } from "./internal/Cells.ts"
import { type JsonSchema, strict } from "./internal/JsonSchemas.ts"
import { instructed } from "./internal/OutputInstruction.ts"
import { outputSchema } from "./internal/OutputSchema.ts"
import { type Reader, readerOf } from "./internal/OutputText.ts"
import { textDigest } from "./internal/TextDigest.ts"
import { inputOf } from "./internal/TextReading.ts"
import { wrap } from "./internal/Wrapping.ts"
import type { ModelRequest, OutputFormat, OutputWay, Processor, Reading, TextAnswer } from "./Processor.ts"

/**
 * A value as a column of a result holds it: what may be absent or undefined, and what is in an `Option`, is the value
 * or null, in nested values too.
 *
 * @since 0.2.0
 * @category models
 */
export type Cell<T> = unknown extends T ? T : [Schema.Json] extends [T] ? T : PlainCell<T>

/**
 * `Cell` of a type that is neither `unknown` nor any JSON.
 *
 * @since 0.2.0
 * @category models
 */
export type PlainCell<T> = T extends undefined ? null
  : T extends string | number | boolean | bigint | null | Date | ArrayBufferView ? T
  : T extends Option.Option<infer A> ? Cell<A> | null
  : T extends ReadonlyArray<unknown> ? { readonly [K in keyof T]: Cell<T[K]> }
  : string extends keyof T ? { readonly [K in keyof T]: Cell<T[K]> }
  : OutputColumns<T>

/**
 * The columns that the values of a schema become.
 *
 * @since 0.2.0
 * @category models
 */
export type OutputColumns<O> = {
  readonly [K in keyof O]-?: {} extends Pick<O, K> ? Cell<Exclude<O[K], undefined>> | null : Cell<O[K]>
}

/**
 * Compile-time message: fields of the output have names that columns of a result have.
 *
 * @since 0.2.0
 * @category models
 */
export interface ReservedFields<Names> {
  readonly "these fields of the output have the names of columns that a result has anyway; name them otherwise": Names
}

/**
 * `unknown` when no field of `O` has the name of a column that a result with the answer `A` has anyway, a readable
 * error type otherwise.
 *
 * @since 0.2.0
 * @category models
 */
export type CheckFields<O, A> = [Extract<keyof O, keyof A | "record_id" | `batch_${string}`>] extends [never] ? unknown
  : ReservedFields<Extract<keyof O, keyof A | "record_id" | `batch_${string}`>>

/**
 * How a model is told of a schema.
 *
 * @since 0.2.0
 * @category configuration
 */
export interface Options {
  /** The schema's or the tool's name, as the model sees it: up to 64 letters, digits, `_`, `-`; default `answer`. */
  readonly name?: string | undefined
  /** Default: the first of the family's ways for `model` that can say the schema. */
  readonly way?: OutputWay | undefined
  /** The model that is asked, on which the family's ways depend. Without it and without a `way` it is `instruction`. */
  readonly model?: string | undefined
}

/** What a processor, a schema and options come to. */
interface Plan {
  readonly output: OutputFormat
  /** Whether the family puts the output into its requests itself. */
  readonly told: boolean
  readonly id: string
  readonly read: Reader
  readonly columns: SchemaAST.AST
}

const legalName = /^[A-Za-z0-9_-]{1,64}$/

const fieldsOf = (ast: SchemaAST.AST): ReadonlyArray<SchemaAST.PropertySignature> | null =>
  SchemaAST.isObjects(ast) && ast.indexSignatures.length === 0 && ast.propertySignatures.length > 0
    ? ast.propertySignatures
    : null

const listOf = (names: ReadonlyArray<PropertyKey>): string =>
  names.map((name) => JSON.stringify(String(name))).join(", ")

/** The first way that can say the schema, and what it says. */
const choose = (
  ways: ReadonlyArray<OutputWay>,
  full: JsonSchema
): { readonly way: OutputWay; readonly schema: JsonSchema } | string => {
  let problem = ""
  for (const way of ways) {
    const schema = way === "schema" ? strict(full) : full
    if (typeof schema !== "string") return { way, schema }
    problem = `the way "schema" cannot say it: ${schema}; give another way, for example "instruction"`
  }
  return problem
}

const plan = (processor: Processor<object>, schema: Schema.Constraint, options: Options): Plan | string => {
  const { model, name = "answer", way } = options
  if (!legalName.test(name)) return `the name ${JSON.stringify(name)} must be 1 to 64 letters, digits, "_" or "-"`
  const inner = fieldsOf(SchemaAST.toType(processor.columns.ast))
  const response = inner?.find((column) => column.name === "response")
  if (processor.accepts !== "chat" || inner === null || response === undefined || !SchemaAST.isString(response.type)) {
    return `the processor ${processor.id} reads no texts: an output schema needs one with a column "response" of text`
  }
  if (!Schema.isSchema(schema)) return "give a schema: a Schema.Struct with a field for each column"
  const fields = fieldsOf(SchemaAST.toType(schema.ast))
  if (fields === null) return "the schema must be a Schema.Struct with one field or more, each a column"
  const taken = fields.filter((field) =>
    field.name === "record_id" || String(field.name).startsWith("batch_") ||
    inner.some((column) => column.name === field.name)
  )
  if (taken.length > 0) {
    return `a result has columns named ${listOf(taken.map((field) => field.name))} anyway: name these fields otherwise`
  }
  const cells = cellsOf(schema.ast)
  if (typeof cells === "string") return cells
  const columns = fieldsOf(cells.ast)
  const format = outputSchema(schema)
  if (typeof format === "string") return format
  const own = processor.outputWays?.(model ?? "") ?? []
  const ways: ReadonlyArray<OutputWay> = own.includes("instruction") ? own : [...own, "instruction"]
  if (way !== undefined && !ways.includes(way) && (model !== undefined || own.length === 0)) {
    return `${processor.id} cannot tell the model by the way "${way}"; give ${listOf(ways)}`
  }
  const chosen = choose(way !== undefined ? [way] : model === undefined ? ["instruction"] : ways, format.full)
  if (typeof chosen === "string") return chosen
  const output: OutputFormat = { name, ...chosen }
  return {
    output,
    told: output.way !== "instruction" || own.includes("instruction"),
    id: `${processor.id}+output:${textDigest(JSON.stringify([output, format.full]))}`,
    read: readerOf(format, output.way, cells.convert),
    columns: new SchemaAST.Objects([...inner, ...columns ?? []], [])
  }
}

const asked = (request: ModelRequest, { output, told }: Plan): ModelRequest =>
  request.type !== "chat"
    ? request
    : told
    ? { ...request, output }
    : { ...request, turns: instructed(request.turns, output) }

/** Models like to say something beside the tool that they must call. */
const calledTool = (reading: Reading<object>, { name, way }: OutputFormat): string | null =>
  way === "tool" ? inputOf(reading, name) : null

const invalid = (message: string, { reasoning, stopReason, usage }: Reading<object>, raw: string): Reading<never> => ({
  status: "invalid",
  message,
  raw: raw === "" ? null : raw,
  stopReason,
  usage,
  ...(reasoning === undefined ? {} : { reasoning })
})

/**
 * What is wrong with a schema as the output of a processor, or null: it is no struct, its fields have names that
 * columns have, a column or JSON cannot hold its values, or the way that was asked for cannot say it.
 *
 * @since 0.2.0
 * @category getters
 */
export const problem = (
  processor: Processor<object>,
  schema: Schema.Constraint,
  options: Options = {}
): string | null => {
  const planned = plan(processor, schema, options)
  return typeof planned === "string" ? planned : null
}

/**
 * Puts a schema around a text processor: the model is told of it, and its answer becomes the column `response`, the
 * text as it came, and a column for each field of the schema. It works for the families of this package and for text
 * processors of one's own; those without `outputWays` are told by an instruction at the end of the last user turn.
 *
 * The model sees the JSON Schema of the schema's JSON side (`Schema.toCodecJson`), with every property required and
 * none besides them: what is optional may be null. A schema can say more than a strict mode takes (bounds, patterns,
 * lengths); what is left out there is told as a description, and checked in the answer all the same. By way of `schema`
 * there are no records of any names, no tuples, no recursion and no `Schema.Unknown`; where no way is given, the next
 * one is taken for them. Values must be such as a column holds: no Maps, and no objects of classes other than `Date`,
 * `Uint8Array` and `Option`.
 *
 * An answer that does not decode is `invalid`: its message has the path of the first fault, and `raw` the text. Cut off
 * at the token limit it is `truncated` if it decodes all the same. Around JSON that a model is only told of white space
 * and one ```` ```json ```` fence are let pass.
 *
 * It never throws: with a schema that cannot be (see `problem`), `check` refuses the run. Its id has a digest of the
 * schema, the way and the name in it.
 *
 * @since 0.2.0
 * @category constructors
 * @example
 * ```ts
 * import { Converse, StructuredOutput } from "@bedrock-batch/processors"
 * import { Schema } from "effect"
 *
 * const Mood = Schema.Struct({ mood: Schema.Literals(["good", "bad"]), score: Schema.Finite })
 *
 * export const moods = StructuredOutput.structured(Converse.converse, Mood, {
 *   model: "us.anthropic.claude-haiku-4-5-20251001-v1:0"
 * })
 * ```
 */
export const structured = <A extends TextAnswer, O extends object>(
  processor: Processor<A>,
  schema: Schema.ConstraintDecoder<O> & CheckFields<O, A>,
  options: Options = {}
): Processor<A & OutputColumns<O>> => {
  const planned = plan(processor, schema, options)
  const faulty = typeof planned === "string"
  const decode = (modelOutput: Parameters<Processor<A>["decode"]>[0]): Reading<A & OutputColumns<O>> => {
    const reading = processor.decode(modelOutput)
    if (!("answer" in reading)) return reading
    if (faulty) return invalid(planned, reading, reading.answer.response)
    const text = calledTool(reading, planned.output) ?? reading.answer.response
    const read = planned.read(text)
    if (Result.isSuccess(read)) {
      // The values are those of `O` as its cells: `columns` says which.
      return { ...reading, answer: { ...reading.answer, response: text, ...read.success as OutputColumns<O> } }
    }
    const cut = reading.status === "truncated"
      ? `the answer was cut off at the token limit (${reading.stopReason ?? "no stop reason"}) before it was whole: `
      : "the answer does not decode: "
    return invalid(cut + read.failure, reading, text)
  }
  return wrap({
    id: faulty ? `${processor.id}+output` : planned.id,
    invocationType: processor.invocationType,
    accepts: processor.accepts,
    columns: faulty
      ? processor.columns as Schema.ConstraintDecoder<A & OutputColumns<O>>
      : Schema.make<Schema.ConstraintDecoder<A & OutputColumns<O>>>(planned.columns),
    encode: (request) => processor.encode(faulty ? request : asked(request, planned)),
    decode,
    check: (request) => faulty ? planned : processor.check?.(asked(request, planned)) ?? null,
    outputWays: processor.outputWays
  }, processor)
}
