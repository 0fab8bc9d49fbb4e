/**
 * What is wrong with the options of `awaitAll`.
 *
 * @internal
 */
import type * as Duration from "effect/Duration"
import { InvalidOption } from "../BatchError.ts"
import { deadlineOf } from "./Deadline.ts"

/** What is looked at; JavaScript may pass anything. */
interface Given {
  readonly concurrency?: unknown
  readonly order?: unknown
  readonly wait?: unknown
  readonly deadline?: Duration.Input | Date | undefined
  readonly rescue?: unknown
  readonly confirmAbove?: unknown
  readonly confirm?: unknown
  readonly onInterrupt?: unknown
  readonly whenFull?: unknown
}

/** The first thing that is wrong, or null. @internal */
export const awaitProblem = (options: Given | undefined): InvalidOption | null => {
  const { concurrency, confirm, confirmAbove, deadline, onInterrupt, order, rescue, wait, whenFull } = options ?? {}
  const wrong = (path: string, message: string) => new InvalidOption({ path, message })
  if (concurrency !== undefined && !(typeof concurrency === "number" && concurrency >= 1)) {
    return wrong("concurrency", `concurrency is ${JSON.stringify(concurrency)}, and must be a number of at least 1`)
  }
  if (order !== undefined && order !== "turns" && order !== "given" && order !== "largest-first") {
    return wrong("order", `order is ${JSON.stringify(order)}, and must be "turns", "given" or "largest-first"`)
  }
  if (wait !== undefined && !(typeof wait === "object" && wait !== null && "open" in wait)) {
    return wrong("wait", "wait is no wait strategy: give for example Wait.polling()")
  }
  if (deadline !== undefined && Number.isNaN(deadlineOf(deadline, 0))) {
    return wrong(
      "deadline",
      `deadline is ${String(deadline)}, and must be a duration from now, for example "6 hours", or a Date`
    )
  }
  if (rescue !== undefined && rescue !== "stop" && rescue !== "leave") {
    return wrong("rescue", `rescue is ${JSON.stringify(rescue)}, and must be "stop" or "leave"`)
  }
  if (confirmAbove !== undefined && !(typeof confirmAbove === "number" && confirmAbove >= 0)) {
    return wrong(
      "confirmAbove",
      `confirmAbove is ${JSON.stringify(confirmAbove)}, and must be a number of records, 0 or more`
    )
  }
  if (confirm !== undefined && typeof confirm !== "function") {
    return wrong("confirm", "confirm must be a function that is given the plan and says whether to go on")
  }
  if (onInterrupt !== undefined && onInterrupt !== "leave" && onInterrupt !== "stop") {
    return wrong("onInterrupt", `onInterrupt is ${JSON.stringify(onInterrupt)}, and must be "leave" or "stop"`)
  }
  if (whenFull !== undefined && whenFull !== "wait" && whenFull !== "fail") {
    return wrong("whenFull", `whenFull is ${JSON.stringify(whenFull)}, and must be "wait" or "fail"`)
  }
  return null
}
