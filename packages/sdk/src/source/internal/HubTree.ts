/**
 * The commit and the files of a dataset, asked for through the hub's own client.
 *
 * @internal
 */
import type * as HubClient from "@huggingface/hub"
import * as Effect from "effect/Effect"
import { invalidSource } from "./Failures.ts"
import { encodedPath, type HubEntry } from "./HubFile.ts"
import { get, type Hub, HubFailed, maximumPages, method, toBatchError, unusable } from "./HubHttp.ts"

const load: Effect.Effect<typeof HubClient> = Effect.promise(() => import("@huggingface/hub"))

/** How the client asks: it never sees the token, and what is passing is dealt with before it sees an answer. */
interface Asking {
  readonly fetch: typeof fetch
}

/** Runs a call of the client. With `absent`, what is not there is answered by this text. */
const call = Effect.fnUntraced(function*<A>(
  hub: Hub,
  uri: string,
  what: string,
  run: (client: typeof HubClient, asking: Asking) => Promise<A>,
  absent?: string
) {
  const client = yield* load
  const context = yield* Effect.context()
  let requests = 0
  const answer = (input: string | URL | Request): Effect.Effect<Response, HubFailed> => {
    if (++requests > maximumPages) return Effect.fail(unusable("TooManyPages"))
    const url = new URL(input instanceof Request ? input.url : input)
    return get(hub, url, { accept: "application/json" }).pipe(
      Effect.map(({ body, headers }) => new Response(body, { headers })),
      Effect.catch((failure) =>
        absent !== undefined && failure.status === 404 && failure.code === "EntryNotFound"
          ? Effect.succeed(new Response(absent))
          : Effect.fail(failure)
      )
    )
  }
  return yield* Effect.tryPromise({
    try: (signal) =>
      run(client, { fetch: (input) => Effect.runPromiseWith(context)(answer(input), { signal }) }),
    catch: (cause) =>
      cause instanceof HubFailed
        ? toBatchError(hub, uri, what, cause)
        : invalidSource(method, "malformed", `${what}: the hub's answer is not understood`, { uri, cause })
  })
})

/**
 * The commit that a branch, a tag or a commit means now.
 *
 * @internal
 */
export const commitOf = Effect.fnUntraced(function*(hub: Hub, revision: string) {
  const uri = `hf://datasets/${hub.dataset}@${revision}`
  const info: { readonly sha?: unknown } = yield* call(
    hub,
    uri,
    "the dataset cannot be found",
    ({ datasetInfo }, asking) =>
      datasetInfo({ ...asking, name: hub.dataset, revision, hubUrl: hub.hubUrl, additionalFields: ["sha"] })
  )
  const { sha } = info
  if (typeof sha === "string" && /^[0-9a-f]{40,64}$/.test(sha)) return sha
  return yield* invalidSource(method, "malformed", "the hub does not tell the commit of this revision", { uri })
})

const isPath = (path: string): boolean =>
  !/\p{Surrogate}/u.test(path) && path.split("/").every((part) => part !== "" && part !== "." && part !== "..") &&
  !/[\x00-\x1f\x7f\\]/.test(path)

/** A file or a folder of a list, or null where it is no such thing. */
const itemOf = (item: unknown): HubEntry & { readonly isFile: boolean } | null => {
  if (typeof item !== "object" || item === null) return null
  const entry: { type?: unknown; path?: unknown; size?: unknown; oid?: unknown; lfs?: unknown } = item
  const stored: { oid?: unknown; size?: unknown } = typeof entry.lfs === "object" && entry.lfs !== null ? entry.lfs : {}
  const { path, type } = entry
  const size = stored.size ?? entry.size ?? 0
  const oid = stored.oid ?? entry.oid ?? ""
  if (typeof path !== "string" || typeof type !== "string" || typeof oid !== "string") return null
  if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0 || !isPath(path)) return null
  return { path, size, oid, isFile: type === "file" }
}

/**
 * The files in a folder.
 *
 * @internal
 */
export interface Listed {
  readonly files: ReadonlyArray<HubEntry>
  /** Whether there are folders too, of which the files are not listed. */
  readonly hasFolders: boolean
}

/**
 * Lists a folder of a dataset at a commit; one that does not exist is empty.
 *
 * @internal
 */
export const listFolder = Effect.fnUntraced(function*(hub: Hub, sha: string, folder: string, recursive: boolean) {
  const uri = `hf://datasets/${hub.dataset}@${sha}${folder === "" ? "" : `/${folder}`}`
  const path = folder === "" ? {} : { path: encodedPath(folder) }
  const found: { readonly items: Array<unknown> } = yield* call(
    hub,
    uri,
    "the files cannot be listed",
    async ({ listFiles }, asking) => {
      const items: Array<unknown> = []
      const repo = { type: "dataset", name: hub.dataset } as const
      for await (const item of listFiles({ ...asking, ...path, repo, revision: sha, hubUrl: hub.hubUrl, recursive })) {
        items.push(item)
      }
      return { items }
    },
    "[]"
  )
  const files: Array<HubEntry> = []
  let hasFolders = false
  for (const item of found.items) {
    const entry = itemOf(item)
    if (entry === null) {
      return yield* invalidSource(method, "malformed", "the hub lists something that can be no file", { uri })
    }
    const { isFile, oid, path, size } = entry
    if (isFile) files.push({ path, size, oid })
    else hasFolders = true
  }
  const listed: Listed = { files, hasFolders: hasFolders && !recursive }
  return listed
})
