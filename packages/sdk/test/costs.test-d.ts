import {
  estimate,
  type Estimate,
  Prices,
  Prompt,
  PromptLibrary,
  Prompts,
  receipt,
  type Receipt,
  Run,
  Source
} from "../src/index.ts"
import { BedrockBatch } from "../src/promise/index.ts"
import type { Effect } from "effect"

type Equals<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false
declare function same<A, B>(..._: Equals<A, B> extends true ? [] : [{ readonly not: A; readonly same: B }]): void
declare const batch: BedrockBatch
declare const run: Run.Run<{ readonly topic: string }>

const model = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
const source = Source.rows([{ topic: "cats", input_text: "a text" }])

// --- an estimate holds the prompt against the columns, as prepare does
const { joke_about_topic: joke } = PromptLibrary.builtIn.prompts
const fine = estimate({ name: "a", source, model, prompt: joke, sampleRows: 10 })
same<Effect.Success<typeof fine>, Estimate>()
// @ts-expect-error the source has no column `source`
estimate({ name: "a", source, model, prompt: PromptLibrary.builtIn.prompts.question_answering })
// @ts-expect-error no such column
batch.estimate({ name: "a", source, model, prompt: Prompt.make("{nothing}") })
// @ts-expect-error a tokenizer gives a number
estimate({ name: "a", source, model, prompt: Prompt.make("{topic}"), tokenizer: (text) => text })
same<Awaited<ReturnType<typeof promised>>, Estimate>()
const promised = () => batch.estimate({ name: "a", source, model, embed: "topic", prices: Prices.table })

// --- a receipt, and prompts from files
same<Effect.Success<ReturnType<typeof received>>, Receipt>()
const received = () => receipt(run)
same<Awaited<ReturnType<typeof receivedLater>>, Receipt>()
const receivedLater = () => batch.receipt(run, { prices: [] })
same<Effect.Success<ReturnType<typeof Prompts.fromStore>>, PromptLibrary.Any>()
same<Awaited<ReturnType<typeof batch.prompts>>, PromptLibrary.Any>()
