/**
 * Requests to a hub and to the storage behind it: the token goes to the hub and to its datasets server alone, what is
 * passing is tried again, and a failure is classified once.
 *
 * @internal
 */
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import { BatchError, Refused, Unavailable } from "../../BatchError.ts"
import { invalidSource } from "./Failures.ts"

/** @internal */
export const method = "huggingFace"

/**
 * A hub, and the dataset that is read from it.
 *
 * @internal
 */
export interface Hub {
  /** `owner/name`, or a name alone. */
  readonly dataset: string
  /** Without a slash at its end, like `serverUrl`. */
  readonly hubUrl: string
  readonly serverUrl: string
  /** Whether the datasets server belongs to the hub, so that it may have the token too. */
  readonly ownServer: boolean
  /** Never part of a message. */
  readonly token: string | null
}

/**
 * A request that failed, before it is known what that means for the caller. `status` is null where no answer came, and
 * `storage` says that a server refused which the hub had sent us to.
 *
 * @internal
 */
export class HubFailed extends Data.TaggedError("HubFailed")<{
  readonly status: number | null
  /** The hub's own name for the failure, or ours where the answer itself cannot be used. */
  readonly code: string | null
  readonly storage: boolean
  readonly retryAfterMillis: number | null
  readonly cause: unknown
}> {}

const maximumRedirects = 10

/**
 * The most pages that a list may have; each holds a thousand files.
 *
 * @internal
 */
export const maximumPages = 10_000

/** Failures in a row after which a request is given up, and the longest that it waits in all. */
const maximumTries = 8
const maximumWaitMillis = 15 * 60_000
const maximumAnswerBytes = 64 * 1024 * 1024
/** An answer of at most so many bytes is read to its end, so that its connection can be used again. */
const drainedBytes = 64 * 1024

/**
 * Why an answer cannot be used, whatever is tried.
 *
 * @internal
 */
export const unusable = (code: string, cause?: unknown): HubFailed =>
  new HubFailed({ status: 200, code, storage: false, retryAfterMillis: null, cause })

/**
 * A connection that failed or was cut.
 *
 * @internal
 */
export const cut = (cause: unknown): HubFailed =>
  new HubFailed({ status: null, code: null, storage: false, retryAfterMillis: null, cause })

/** The system's name for why a connection failed. */
const networkCode = (cause: unknown): string | null => {
  if (!(cause instanceof Error)) return null
  return "code" in cause && typeof cause.code === "string" ? cause.code : networkCode(cause.cause)
}

/** Names that do not exist and certificates that are not trusted stay so. */
const isLasting = (cause: unknown): boolean =>
  /ENOTFOUND|CERT|SIGNED|SSL|TLS|ERR_INVALID/.test(networkCode(cause) ?? "")

const isPassing = ({ cause, status }: HubFailed): boolean =>
  status === null ? !isLasting(cause) : status === 408 || status === 429 || (status >= 500 && status !== 501)

/**
 * How long the pause before the next try is: what the server asks for, else half a second, doubled up to 30 s, between
 * half and all of it.
 */
const pauseOf = (failure: HubFailed, tries: number): Effect.Effect<number> =>
  failure.retryAfterMillis
    ? Effect.succeed(failure.retryAfterMillis)
    : Effect.map(Random.next, (chance) => Math.round(Math.min(500 * 2 ** (tries - 1), 30_000) * (0.5 + chance / 2)))

/**
 * How often and how long something is tried again.
 *
 * @internal
 */
export class Patience {
  private tries = 0
  private waited = 0

  /** Something was achieved: the count begins anew. */
  reset(): void {
    this.tries = 0
    this.waited = 0
  }

  /** Waits before the next try, or fails with the failure, which comes from too many tries or will not pass. */
  after(failure: HubFailed): Effect.Effect<void, HubFailed> {
    this.tries++
    if (!isPassing(failure) || this.tries >= maximumTries) return Effect.fail(failure)
    return Effect.flatMap(pauseOf(failure, this.tries), (pause) => {
      this.waited += pause
      return this.waited > maximumWaitMillis ? Effect.fail(failure) : Effect.sleep(pause)
    })
  }
}

/** What `RateLimit: "api";r=0;t=55` or `Retry-After` (seconds or a date) ask for. */
const retryAfter = (headers: Headers): Effect.Effect<number | null> => {
  const limits = (headers.get("ratelimit") ?? "").split(",").flatMap((limit) => {
    const seconds = /;\s*t=(\d{1,9})(?:\s*;|\s*$)/.exec(limit)?.[1]
    const isReached = /;\s*r=0(?:\s*;|\s*$)/.test(limit)
    return seconds === undefined ? [] : [{ millis: Number(seconds) * 1000, isReached }]
  })
  const reached = limits.filter(({ isReached }) => isReached)
  const waits = (reached.length > 0 ? reached : limits).map(({ millis }) => millis)
  if (waits.length > 0) return Effect.succeed(Math.max(...waits))
  const after = headers.get("retry-after")?.trim() ?? ""
  if (/^\d{1,9}$/.test(after)) return Effect.succeed(Number(after) * 1000)
  const date = Date.parse(after)
  if (!(date >= 0)) return Effect.succeed(null)
  return Effect.map(Clock.currentTimeMillis, (clock) => {
    // The server's date is by the server's clock.
    const now = Date.parse(headers.get("date") ?? "")
    return Math.max(0, date - (now >= 0 ? now : clock))
  })
}

/** Gives an answer up. */
const discard = (response: Response, controller: AbortController): Effect.Effect<void> => {
  const length = Number(response.headers.get("content-length") ?? Number.NaN)
  return length <= drainedBytes
    ? Effect.ignore(Effect.tryPromise(() => response.arrayBuffer()))
    : Effect.sync(() => controller.abort())
}

const failureOf = Effect.fnUntraced(function*(response: Response, storage: boolean) {
  return new HubFailed({
    status: response.status,
    code: storage ? null : response.headers.get("x-error-code"),
    storage,
    retryAfterMillis: yield* retryAfter(response.headers),
    cause: undefined
  })
})

/**
 * An answer that was found: its body is not read yet, and is given up by the controller.
 *
 * @internal
 */
export interface Answer {
  readonly response: Response
  readonly controller: AbortController
  /** Where it came from, after all redirects. */
  readonly url: URL
  /** The headers with which the first server answered, be it by sending us on. */
  readonly first: Headers
}

/** Whether the token may be sent: to the hub's servers alone, and with http only where the hub's own address has it. */
const isTrusted = (hub: Hub, url: URL): boolean => {
  const own = new URL(hub.hubUrl)
  const server = new URL(hub.serverUrl)
  return url.origin === own.origin ||
    (hub.ownServer && url.origin === server.origin && (url.protocol === "https:" || own.protocol === "http:"))
}

const redirects = new Set([301, 302, 303, 307, 308])

const follow = Effect.fnUntraced(function*(from: URL, response: Response) {
  const location = response.headers.get("location") ?? ""
  const url = URL.parse(location, from.href)
  if (url === null || !/^https?:$/.test(url.protocol) || location === "") return yield* unusable("BadRedirect")
  if (from.protocol === "https:" && url.protocol === "http:") return yield* unusable("InsecureRedirect")
  url.username = ""
  url.password = ""
  return url
})

/**
 * Asks once, following redirects. Succeeds with any answer of status 200 to 299.
 *
 * @internal
 */
export const ask = Effect.fnUntraced(function*(
  hub: Hub,
  start: URL,
  headers: { readonly [name: string]: string }
) {
  let url = start
  let first: Headers | null = null
  for (let hops = 0; hops <= maximumRedirects; hops++) {
    const controller = new AbortController()
    const trusted = isTrusted(hub, url)
    const own = trusted && hub.token !== null ? { ...headers, authorization: `Bearer ${hub.token}` } : headers
    const target = url
    const response = yield* Effect.tryPromise({
      try: (signal) => {
        signal.addEventListener("abort", () => controller.abort(), { once: true })
        return fetch(target, { headers: own, redirect: "manual", signal: controller.signal })
      },
      catch: cut
    })
    first ??= response.headers
    if (response.ok) {
      const answer: Answer = { response, controller, url, first }
      return answer
    }
    yield* discard(response, controller)
    if (!redirects.has(response.status)) return yield* yield* failureOf(response, !trusted)
    url = yield* follow(url, response)
  }
  return yield* unusable("TooManyRedirects")
})

/** The whole body of an answer, which must not be very long. */
const bodyOf = Effect.fnUntraced(function*({ controller, response }: Answer) {
  const chunks: Array<Uint8Array> = []
  const read = async (): Promise<boolean> => {
    let length = 0
    for await (const chunk of response.body ?? []) {
      length += chunk.length
      if (length > maximumAnswerBytes) return false
      chunks.push(chunk)
    }
    return true
  }
  const whole = yield* Effect.tryPromise({ try: read, catch: cut }).pipe(
    Effect.onInterrupt(() => Effect.sync(() => controller.abort()))
  )
  return whole ? Buffer.concat(chunks) : yield* unusable("AnswerTooLong")
})

/** Repeats a request while its failures are passing. */
const patiently = Effect.fnUntraced(function*<A>(request: Effect.Effect<A, HubFailed>) {
  const patience = new Patience()
  while (true) {
    const answer = yield* Effect.catch(request, (failure) => Effect.as(patience.after(failure), null))
    if (answer !== null) return answer
  }
})

/**
 * A small answer, whole.
 *
 * @internal
 */
export const get = (
  hub: Hub,
  url: URL,
  headers: { readonly [name: string]: string } = {}
): Effect.Effect<{ readonly body: Buffer<ArrayBuffer>; readonly headers: Headers }, HubFailed> =>
  patiently(Effect.flatMap(ask(hub, url, headers), (answer) =>
    Effect.map(bodyOf(answer), (body) => ({ body, headers: answer.response.headers }))))

const withToken = ({ token }: Hub, given: string, none: string): string => (token === null ? none : given)

const wrongToken = "check `token`, HF_TOKEN and HUGGING_FACE_HUB_TOKEN"
const aToken = "`token`, or HF_TOKEN"

const problems: { readonly [code: string]: string } = {
  AnswerTooLong: "its answer is longer than any that is expected",
  BadRedirect: "it redirects to no address",
  InsecureRedirect: "it redirects from https to http, which is not followed",
  TooManyPages: `its list has more than ${maximumPages} pages`,
  TooManyRedirects: `it redirects more than ${maximumRedirects} times`,
  RangeIgnored: "the answer is not the range of bytes that was asked for; a mirror or a proxy may not know ranges",
  WrongLength: "it answers with another number of bytes than was asked for",
  WrongSize: "the file has another size than the hub lists for this commit",
  Changed: "the file changed while it was read, though its commit is pinned; run again"
}

/**
 * The typed error of a failure. `what` says what was asked for; `uri` is that of the dataset or of the file.
 *
 * @internal
 */
export const toBatchError = (hub: Hub, uri: string, what: string, failure: HubFailed): BatchError => {
  const { cause, code, retryAfterMillis, status, storage } = failure
  const kept = cause === undefined ? {} : { cause }
  const page = `${hub.hubUrl}/datasets/${hub.dataset}`
  const refused = (name: string, advice: string) =>
    new BatchError({
      module: "Source",
      method,
      reason: new Refused({ message: `${uri}: ${what}: ${advice}`, code: name, ...kept })
    })
  const absent = (message: string) => invalidSource(method, "not-found", `${what}: ${message}`, { uri, ...kept })
  const unavailable = (name: Unavailable["code"], message: string) =>
    new BatchError({
      module: "Source",
      method,
      reason: new Unavailable({ message: `${uri}: ${what}: ${message}`, code: name, retryAfterMillis, ...kept })
    })
  if (status === null) return unavailable("network", `the connection fails (${networkCode(cause) ?? "cut"})`)
  const problem = status === 416 ? problems.WrongSize : code === null ? undefined : problems[code]
  if (problem !== undefined) return invalidSource(method, "failed", `${what}: ${problem}`, { uri, ...kept })
  if (status === 429) return unavailable("throttled", "the server asks for fewer requests; run again later")
  if (status === 408 || (status >= 500 && status !== 501)) {
    return unavailable("server", `the server failed again and again (HTTP ${status}); run again later`)
  }
  if (storage) return refused("StorageRefused", `the storage that the hub refers to refuses the file (HTTP ${status})`)
  switch (code) {
    case "GatedRepo":
      return refused(
        code,
        `the dataset is gated: accept its terms at ${page}, ` +
          withToken(hub, "with the account of the token", `then give a token of that account (${aToken})`)
      )
    case "RepoNotFound":
      return absent(
        `there is no such dataset, or it is private: check the name ${hub.dataset}, and ` +
          withToken(hub, "that the token may read it", `for a private dataset give a token (${aToken})`)
      )
    case "RevisionNotFound":
      return absent("there is no such revision; give a branch, a tag or a commit of the dataset")
    case "EntryNotFound":
      return absent("there is no such file at this commit")
  }
  if (status === 401) {
    return refused(
      "Unauthorized",
      withToken(hub, `the token is not accepted: ${wrongToken}`, `a token is needed: give one (${aToken})`)
    )
  }
  if (status === 403) {
    return refused(
      "Forbidden",
      withToken(hub, `the token may not read this: ${wrongToken}`, `a token may be needed: give one (${aToken})`)
    )
  }
  return status === 404
    ? absent(`nothing is there; check the name ${hub.dataset} and the address ${hub.hubUrl}`)
    : refused(code ?? `HTTP${status}`, `the hub refuses (HTTP ${status})`)
}
