/**
 * What the text families share: the form of a conversation.
 *
 * @internal
 */
import type { ModelRequest, OutputWay } from "../Processor.ts"
import type { Media, RenderedTurn } from "../Prompt.ts"
import { instructed } from "./OutputInstruction.ts"

/** @internal */
export interface Conversation {
  /** The system turns, joined by an empty line; null where there is none, or only empty ones. */
  readonly system: string | null
  /** The other turns; neighbours of one role are one message of several blocks, since models want them to alternate. */
  readonly messages: ReadonlyArray<Message>
}

/** A text, or media. @internal */
export type Block = string | Media

/** @internal */
export interface Message {
  readonly role: "user" | "assistant"
  /** The media of a turn stands before its text; beside media an empty text is left out, for models refuse it there. */
  readonly blocks: ReadonlyArray<Block>
}

/** Any request but a finished body. @internal */
export type Asked = Exclude<ModelRequest, { readonly type: "raw" }>

/** @internal */
export const conversation = (turns: ReadonlyArray<RenderedTurn>): Conversation => {
  const system: Array<string> = []
  const messages: Array<{ readonly role: "user" | "assistant"; readonly blocks: Array<Block> }> = []
  for (const { content, media = [], role } of turns) {
    const last = messages.at(-1)
    const blocks = media.length > 0 && content === "" ? media : [...media, content]
    if (role === "system") {
      if (content !== "") system.push(content)
    } else if (last?.role === role) {
      last.blocks.push(...blocks)
    } else {
      messages.push({ role, blocks: [...blocks] })
    }
  }
  return { system: system.length === 0 ? null : system.join("\n\n"), messages }
}

/**
 * The turns of a request, with the instruction about the shape of the answer where that is the way. A text to embed
 * comes as a conversation; only a request that its family's `check` refuses does.
 *
 * @internal
 */
export const turnsOf = (request: Asked, way: OutputWay | null = wayOf(request)): ReadonlyArray<RenderedTurn> => {
  if (request.type === "embed") {
    return [{ role: "user", content: request.text, ...(request.media === undefined ? {} : { media: [request.media] }) }]
  }
  return way === "instruction" && request.output !== undefined
    ? instructed(request.turns, request.output)
    : request.turns
}

/** How the model is told of the shape of its answer; null where none is asked for. @internal */
export const wayOf = (request: Asked): OutputWay | null =>
  request.type === "chat" && request.output !== undefined ? request.output.way : null

/** The texts of a message, an empty line between them, for formats that have one text a message. @internal */
export const textOf = ({ blocks }: Message): string =>
  blocks.filter((block) => typeof block === "string").join("\n\n")
