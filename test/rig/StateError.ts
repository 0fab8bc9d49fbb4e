/** What goes wrong inside of a state machine, and how much a state may carry. */

/** Bytes of UTF-8 that the input or output of a state, a task or an execution may have. */
export const stateLimit = 262_144

/** Bytes of a value as JSON. */
export const sizeOf = (value: unknown): number => Buffer.byteLength(JSON.stringify(value ?? null))

/** Errors that no Retry and no Catch sees. */
const fatal = new Set(["States.Runtime", "States.DataLimitExceeded", "States.Aborted"])

/** An error by its name, as Retry and Catch look for it; the interpreter asks the two getters. */
export class StateError extends Error {
  constructor(name: string, cause: string) {
    super(cause)
    this.name = name
  }

  get isRetryable(): boolean {
    return !fatal.has(this.name)
  }

  get isCatchable(): boolean {
    return !fatal.has(this.name)
  }
}

/** Gives the value back, where a state may carry it. */
export const withinLimit = <A>(value: A, what: string): A => {
  const size = sizeOf(value)
  if (size > stateLimit) {
    throw new StateError("States.DataLimitExceeded", `${what} has ${size} bytes, and may have ${stateLimit}`)
  }
  return value
}
