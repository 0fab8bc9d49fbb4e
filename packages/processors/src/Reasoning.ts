/**
 * What a model thought before it answered, as a column.
 *
 * @since 0.2.0
 */
import * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"
import { wrap } from "./internal/Wrapping.ts"
import type { Processor, Reading, TextAnswer } from "./Processor.ts"

/**
 * Schema for the column that `withReasoning` adds.
 *
 * @since 0.2.0
 * @category schemas
 */
export const ReasoningAnswer = Schema.Struct({ reasoning: Schema.NullOr(Schema.String) })

/**
 * The column that `withReasoning` adds: what the model thought, or null where it tells nothing of it.
 *
 * @since 0.2.0
 * @category models
 */
export interface ReasoningAnswer extends Schema.Schema.Type<typeof ReasoningAnswer> {}

const suffix = "+reasoning"

const made = new WeakMap<Processor<object>, Processor<object>>()

const columnsOf = (processor: Processor<object>): SchemaAST.AST => {
  const ast = SchemaAST.toType(processor.columns.ast)
  return SchemaAST.isObjects(ast)
    ? new SchemaAST.Objects([...ast.propertySignatures, ...ReasoningAnswer.ast.propertySignatures], [])
    : ast
}

/**
 * Adds the column `reasoning` to the answers of a text processor: what the model thought before it answered, where it
 * tells, else null. Whether it thinks is said by the parameters (`thinking`) or the model.
 *
 * The same processor gives the same one with reasoning. The processor that it is made from must have no column of that
 * name.
 *
 * @since 0.2.0
 * @category constructors
 * @example
 * ```ts
 * import { Converse, Reasoning } from "@bedrock-batch/processors"
 *
 * export const thinking = Reasoning.withReasoning(Converse.converse)
 * ```
 */
export const withReasoning = <A extends TextAnswer>(processor: Processor<A>): Processor<A & ReasoningAnswer> => {
  const known = made.get(processor)
  // Made from this very processor.
  if (known !== undefined) return known as Processor<A & ReasoningAnswer>
  const outer = wrap<Processor<A & ReasoningAnswer>>({
    id: processor.id + suffix,
    invocationType: processor.invocationType,
    accepts: processor.accepts,
    columns: Schema.make<Schema.ConstraintDecoder<A & ReasoningAnswer>>(columnsOf(processor)),
    encode: processor.encode,
    outputWays: processor.outputWays,
    check: processor.check,
    decode: (modelOutput): Reading<A & ReasoningAnswer> => {
      const reading = processor.decode(modelOutput)
      return "answer" in reading
        ? { ...reading, answer: { ...reading.answer, reasoning: reading.reasoning ?? null } }
        : reading
    }
  }, processor)
  made.set(processor, outer)
  return outer
}

/**
 * The id of the processor that `withReasoning` made one with this id from, or null where it made none.
 *
 * @since 0.2.0
 * @category getters
 */
export const withoutReasoning = (id: string): string | null => id.endsWith(suffix) ? id.slice(0, -suffix.length) : null
