/**
 * What is wrong with the options of `awaitAll`.
 *
 * @internal
 */
import { InvalidOption } from "../BatchError.ts"

/** The first thing that is wrong, or null. @internal */
export const awaitProblem = (options: { readonly concurrency?: unknown; readonly wait?: unknown } | undefined): InvalidOption | null => {
  const { concurrency, wait } = options ?? {}
  if (concurrency !== undefined && !(typeof concurrency === "number" && concurrency >= 1)) {
    return new InvalidOption({
      path: "concurrency",
      message: `concurrency is ${JSON.stringify(concurrency)}, and must be a number of at least 1`
    })
  }
  if (wait !== undefined && !(typeof wait === "object" && wait !== null && "open" in wait)) {
    return new InvalidOption({ path: "wait", message: "wait is no wait strategy: give for example Wait.polling()" })
  }
  return null
}
