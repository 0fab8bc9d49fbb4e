/**
 * The processor of a run, with what `output` and `reasoning` put around it.
 *
 * @internal
 */
import type { Processor, TextAnswer } from "@bedrock-batch/processors/Processor"
import { withReasoning } from "@bedrock-batch/processors/Reasoning"
import * as StructuredOutput from "@bedrock-batch/processors/StructuredOutput"
import * as Result from "effect/Result"
import { InvalidOption } from "../BatchError.ts"
import type { RunDefinition } from "../prepare.ts"
import { columnsOf } from "./ColumnsOf.ts"

type Options = Pick<RunDefinition<unknown>, "model" | "output" | "outputWay" | "reasoning">

const ways: ReadonlySet<unknown> = new Set(["schema", "tool", "instruction"])

const isText = (processor: Processor<object>): processor is Processor<TextAnswer> =>
  columnsOf(processor.columns)?.some(({ name, type }) => name === "response" && type === "string") ?? false

const wrongKind = ({ output, outputWay, reasoning }: Options): InvalidOption | null =>
  outputWay !== undefined && !ways.has(outputWay)
    ? new InvalidOption({ path: "outputWay", message: `outputWay must be "schema", "tool" or "instruction"` })
    : outputWay !== undefined && output === undefined
    ? new InvalidOption({ path: "outputWay", message: "outputWay is how the model is told of output, and there is none" })
    : reasoning !== undefined && typeof reasoning !== "boolean"
    ? new InvalidOption({ path: "reasoning", message: "reasoning must be true or false" })
    : null

/** @internal */
export const outputProcessor = (
  processor: Processor<object>,
  options: Options
): Result.Result<Processor<object>, InvalidOption> => {
  const { model, output, outputWay: way, reasoning = false } = options
  const wrong = wrongKind(options)
  if (wrong !== null) return Result.fail(wrong)
  if (output === undefined && !reasoning) return Result.succeed(processor)
  if (!isText(processor)) {
    const path = output === undefined ? "reasoning" : "output"
    return Result.fail(
      new InvalidOption({ path, message: `${path} needs a processor that reads texts, and ${processor.id} reads none` })
    )
  }
  const settings = { model, way }
  const problem = output === undefined ? null : StructuredOutput.problem(processor, output, settings)
  if (problem !== null) return Result.fail(new InvalidOption({ path: "output", message: `output: ${problem}` }))
  const held = output === undefined ? processor : StructuredOutput.structured(processor, output, settings)
  if (!reasoning) return Result.succeed(held)
  return columnsOf(held.columns)?.some(({ name }) => name === "reasoning") ?? false
    ? Result.fail(
      new InvalidOption({ path: "reasoning", message: "the answer has a column named reasoning: name it otherwise" })
    )
    : Result.succeed(withReasoning(held))
}
