/** Processes of a run, and their ends. */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { createInterface } from "node:readline"
import type { Readable } from "node:stream"
import { fileURLToPath } from "node:url"
import type { Phase } from "../../packages/sdk/src/internal/DurableWrites.ts"
import type { Message, Stop, Task } from "./scenarios.ts"

/** Where a process is to be killed. */
export interface Target {
  readonly phase: Phase
  /** The point at which it stops to be killed; null: so many milliseconds after it has come to the phase. */
  readonly stop: Stop | null
  readonly millis: number
  /** In how many runs no process came to it. */
  readonly misses: number
}

/** The name of a target, for people. */
export const nameOf = ({ phase, stop }: Pick<Target, "phase" | "stop">): string =>
  stop === null ? `at random, ${phase}` : `${stop.when} ${stop.point}`

/** How a process was killed. */
export interface Kill {
  /** The phase that it had told of last. */
  readonly phase: Phase
  readonly target: Target
  /** Whether another process of the run was alive. */
  readonly twoAlive: boolean
}

/** How a process ended. */
export interface Ended {
  readonly kill: Kill | null
  readonly done: Extract<Message, { readonly _tag: "Done" }> | null
  readonly code: number | null
  readonly output: string
}

/** A process. */
export interface Life {
  /** The points that it came to so far. */
  readonly points: ReadonlySet<string>
  /** Whether it is at work. */
  readonly isAlive: () => boolean
  readonly end: () => void
  readonly ended: Promise<Ended>
}

const script = fileURLToPath(new URL("./crash-run.ts", import.meta.url))

/** A process that says nothing for so long, in milliseconds, is stuck. */
const silence = 60_000

/**
 * Starts a process of a run, which is killed at the first of its targets; `others` are the other ones of the
 * run, and `told` hears what it says.
 */
export const start = (
  task: Omit<Task, "stops">,
  targets: ReadonlyArray<Target>,
  env: NodeJS.ProcessEnv,
  others: () => ReadonlyArray<Life>,
  told: (message: Message) => void
): Life => {
  const stopping = targets.filter(({ stop }) => stop !== null)
  const stops = stopping.flatMap(({ stop }) => stop === null ? [] : [stop])
  const child = spawn(process.execPath, [script, JSON.stringify({ ...task, stops })], {
    stdio: ["ignore", "pipe", "pipe", "pipe"],
    env
  })
  let output = ""
  for (const stream of [child.stdout!, child.stderr!]) stream.on("data", (part) => output += part)
  let phase: Phase | null = null
  let done: Ended["done"] = null
  let killed: Omit<Kill, "phase"> | null = null
  let over = false
  const points = new Set<string>()
  const timers = new Map<Target, NodeJS.Timeout>()
  const kill = (target: Target) => {
    if (killed !== null || done !== null || over) return
    killed = { target, twoAlive: others().some((life) => life.isAlive()) }
    child.kill("SIGKILL")
  }
  const hear = (message: Message) => {
    told(message)
    watchdog.refresh()
    if (message._tag === "Done") done = message
    else if (message._tag === "Stopped") kill(stopping[message.stop]!)
    else {
      phase = message.phase
      if (message._tag === "Point") points.add(`${message.when} ${message.point}`)
      for (const target of targets) {
        if (target.stop !== null || target.phase !== phase || timers.has(target)) continue
        timers.set(target, setTimeout(() => kill(target), target.millis))
      }
    }
  }
  const watchdog = setTimeout(() => {
    output += `\nthe process said nothing for ${silence} ms`
    child.kill("SIGTERM")
  }, silence)
  const lines = createInterface({ input: child.stdio[3] as Readable })
  lines.on("line", (line) => hear(JSON.parse(line)))
  const ended = Promise.all([once(child, "close"), once(lines, "close")]).then(([[code, signal]]): Ended => {
    over = true
    clearTimeout(watchdog)
    for (const timer of timers.values()) clearTimeout(timer)
    const dead = signal === "SIGKILL" && done === null && phase !== null && killed !== null
    return { kill: dead ? { ...killed!, phase: phase! } : null, done, code, output }
  })
  return {
    points,
    isAlive: () => !over && phase !== null && done === null && killed === null,
    end: () => void child.kill("SIGTERM"),
    ended
  }
}
