import { Prompt, PromptLibrary } from "../src/index.ts"
import type { Result } from "effect"

type Equals<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false
declare function same<A, B>(..._: Equals<A, B> extends true ? [] : [{ readonly not: A; readonly same: B }]): void
declare const text: string

// --- the built-in prompts
const { prompts } = PromptLibrary.builtIn
same<typeof prompts.joke_about_topic, Prompt.Prompt<"topic">>()
same<typeof prompts.sentiment_classifier, Prompt.Prompt<"input_text">>()
same<typeof prompts.question_answering, Prompt.Prompt<"source">>()

// --- entries of every kind
const own = PromptLibrary.make({
  template: "A haiku about {subject}",
  system: { system: "In {language}.", template: "{text}" },
  turns: { system: "{s}", turns: [{ role: "user", content: "{q}" }, { role: "assistant", content: "{r}" }] },
  prompt: Prompt.make("{a} {b}"),
  picture: { turns: [{ role: "user", content: "{ask}", media: [Prompt.image("photo")] }] },
  plain: { template: "none" },
  unknown: text
})
same<typeof own.prompts.template, Prompt.Prompt<"subject">>()
same<typeof own.prompts.system, Prompt.Prompt<"language" | "text">>()
same<typeof own.prompts.turns, Prompt.Prompt<"s" | "q" | "r">>()
same<typeof own.prompts.prompt, Prompt.Prompt<"a" | "b">>()
same<typeof own.prompts.picture, Prompt.Prompt<"ask" | "photo">>()
same<typeof own.prompts.plain, Prompt.Prompt<never>>()
same<typeof own.prompts.unknown, Prompt.Prompt<string>>()
const any: PromptLibrary.Any = own

// --- malformed literals do not compile
// @ts-expect-error a { without }
PromptLibrary.make({ fine: "{a}", broken: "{a" })
// @ts-expect-error in the template beside a system text
PromptLibrary.make({ broken: { system: "fine", template: "a }" } })
// @ts-expect-error in the system text
PromptLibrary.make({ broken: { system: "{}", template: "fine" } })
// @ts-expect-error in a turn
PromptLibrary.make({ broken: { turns: [{ role: "user", content: "{" }] } })

// --- by id
same<ReturnType<typeof byId>, Result.Result<Prompt.Prompt<"topic">, never>>()
const byId = () => PromptLibrary.get(PromptLibrary.builtIn, "joke_about_topic")
same<ReturnType<typeof byText>, Result.Result<Prompt.Any, PromptLibrary.UnknownPrompt>>()
const byText = () => PromptLibrary.get(PromptLibrary.builtIn, text)
same<ReturnType<typeof inAny>, Result.Result<Prompt.Any, PromptLibrary.UnknownPrompt>>()
const inAny = () => PromptLibrary.get(any, "joke_about_topic")

// --- together
const mine = PromptLibrary.make({ sentiment_classifier: "{review}", mine: "{x}" })
const merged = PromptLibrary.merge(PromptLibrary.builtIn, mine)
same<typeof merged.prompts.sentiment_classifier, Prompt.Prompt<"review">>()
same<typeof merged.prompts.joke_about_topic, Prompt.Prompt<"topic">>()
same<typeof merged.prompts.mine, Prompt.Prompt<"x">>()
