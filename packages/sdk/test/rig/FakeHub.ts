import { createHash } from "node:crypto"
import http from "node:http"
import type { AddressInfo } from "node:net"

type Part = "hub" | "cdn" | "server"

/** A request as it came, and what was answered. */
export interface Logged {
  readonly part: Part
  readonly url: string
  readonly headers: http.IncomingHttpHeaders
  status: number
  /** Bytes of content that were sent. */
  bytes: number
}

/** What goes wrong with requests; the first fault that matches and is not used up acts. */
export interface Fault {
  readonly part?: Part
  /** A text that the URL contains. */
  readonly url?: string
  /** How often; default once. */
  readonly times?: number
  /** How many matching requests are spared before. */
  readonly skip?: number
  /** Answers with this status and these headers. */
  readonly status?: number
  readonly headers?: Record<string, string>
  /** What content answers are sent with. */
  readonly contentHeaders?: Record<string, string>
  readonly body?: string
  /** Breaks the connection before an answer. */
  readonly reset?: boolean
  /** Sends so many bytes of a content, then breaks the connection. */
  readonly cutAfter?: number
  /** Sends the whole content, whatever range was asked for. */
  readonly ignoreRange?: boolean
  /** Other content than there was. */
  readonly content?: Buffer
  /** Shifts the range that is answered, or shortens it. */
  readonly shift?: number
  readonly shorten?: number
  /** Sends the content in chunks, without its length. */
  readonly chunked?: boolean
  /** Never ends. */
  readonly stall?: boolean
}

export interface FakeFile {
  readonly path: string
  readonly bytes: Buffer
  /** Whether it is stored outside of git, on the CDN. */
  readonly stored: boolean
}

export interface Dataset {
  readonly commits: Map<string, ReadonlyArray<FakeFile>>
  readonly refs: Map<string, string>
  access: "open" | "gated" | "private"
  /** Items that the list of files begins with, whatever they are. */
  strays: ReadonlyArray<unknown>
  conversion: { readonly status: number; readonly headers: Record<string, string>; readonly body: unknown } | null
}

export interface FakeHub {
  readonly hubUrl: string
  readonly cdnUrl: string
  readonly serverUrl: string
  readonly token: string
  readonly log: Array<Logged>
  readonly faults: Array<Fault>
  readonly datasets: Map<string, Dataset>
  /** Files on a page of a list. */
  pageSize: number
  /** Makes a commit and moves a branch to it; answers its hash. */
  readonly commit: (
    id: string,
    files: { readonly [path: string]: string | Buffer },
    options?: { readonly ref?: string; readonly stored?: boolean }
  ) => string
  /** Makes the conversion of a branch, as the datasets server would list it. */
  readonly convert: (
    id: string,
    files: { readonly [path: string]: Buffer },
    options?: { readonly partial?: boolean; readonly pending?: Array<unknown>; readonly failed?: Array<unknown> }
  ) => string
  /** Makes all addresses invalid that the hub has given. */
  readonly expire: () => void
  readonly close: () => Promise<void>
}

const sha = (algorithm: "sha1" | "sha256", ...parts: ReadonlyArray<string | Buffer>): string => {
  const hash = createHash(algorithm)
  for (const part of parts) hash.update(part)
  return hash.digest("hex")
}

const oidOf = ({ bytes, stored }: FakeFile): string =>
  stored ? sha("sha256", bytes) : sha("sha1", `blob ${bytes.length}\0`, bytes)

/**
 * A Hugging Face Hub with its API and its files, the CDN that it redirects to, and the datasets server, each a server
 * with an origin of its own.
 */
export const startFakeHub = async (): Promise<FakeHub> => {
  const token = "hf_good"
  const log: Array<Logged> = []
  const faults: Array<Fault> = []
  const used = new Map<Fault, number>()
  const datasets = new Map<string, Dataset>()
  const signed = new Map<string, FakeFile>()
  const urls: Record<Part, string> = { hub: "", cdn: "", server: "" }

  const takeFault = (part: Part, url: string): Fault | undefined => {
    for (const fault of faults) {
      if ((fault.part ?? part) !== part || !url.includes(fault.url ?? "")) continue
      const count = used.get(fault) ?? 0
      const skip = fault.skip ?? 0
      if (count >= skip + (fault.times ?? 1)) continue
      used.set(fault, count + 1)
      if (count >= skip) return fault
    }
    return undefined
  }

  interface Exchange {
    readonly request: http.IncomingMessage
    readonly response: http.ServerResponse
    readonly logged: Logged
    readonly fault: Fault | undefined
  }

  /** Ends an answer, or breaks the connection where it should be cut. */
  const end = ({ fault, response }: Exchange, body: Buffer): number => {
    if (fault?.cutAfter === undefined) {
      response.end(body)
      return body.length
    }
    const sent = body.subarray(0, fault.cutAfter)
    response.write(sent, () => setTimeout(() => response.destroy(), 5))
    return sent.length
  }
  const answer = (
    exchange: Exchange,
    status: number,
    headers: Record<string, string>,
    body: string | Buffer = ""
  ) => {
    exchange.logged.status = status
    exchange.response.writeHead(status, { "content-length": String(Buffer.byteLength(body)), ...headers })
    end(exchange, Buffer.from(body))
  }
  const json = (exchange: Exchange, body: unknown, headers: Record<string, string> = {}) =>
    answer(exchange, 200, { "content-type": "application/json", ...headers }, JSON.stringify(body))
  const refuse = (exchange: Exchange, status: number, code: string) =>
    answer(exchange, status, { "x-error-code": code, "content-type": "application/json" }, `{"error":"${code}"}`)

  const content = (exchange: Exchange, file: Buffer, headers: Record<string, string>) => {
    const { fault, logged, request, response } = exchange
    const bytes = fault?.content ?? file
    const match = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "")
    const isRange = match !== null && fault?.ignoreRange !== true
    let start = isRange ? Number(match[1]) : 0
    let until = isRange && match[2] !== "" ? Math.min(Number(match[2]) + 1, bytes.length) : bytes.length
    if (isRange && start >= bytes.length) {
      return answer(exchange, 416, { "content-range": `bytes */${bytes.length}` })
    }
    start += fault?.shift ?? 0
    until -= fault?.shorten ?? 0
    const sent = bytes.subarray(start, until)
    const status = isRange ? 206 : 200
    logged.status = status
    response.writeHead(status, {
      ...(isRange ? { "content-range": `bytes ${start}-${until - 1}/${bytes.length}` } : {}),
      ...(fault?.chunked === true ? {} : { "content-length": String(sent.length) }),
      "accept-ranges": "bytes",
      ...headers,
      ...fault?.contentHeaders
    })
    logged.bytes += end(exchange, sent)
  }

  const allowed = (exchange: Exchange, dataset: Dataset): boolean => {
    const given = exchange.request.headers.authorization
    if (given !== undefined && !given.startsWith("Bearer hf_")) refuse(exchange, 401, "")
    else if (dataset.access === "open" || given === `Bearer ${token}`) return true
    else if (dataset.access === "gated") refuse(exchange, given === undefined ? 401 : 403, "GatedRepo")
    else refuse(exchange, given === undefined ? 401 : 404, "RepoNotFound")
    return false
  }

  const tree = (exchange: Exchange, dataset: Dataset, files: ReadonlyArray<FakeFile>, path: string, base: string) => {
    const { searchParams } = new URL(exchange.request.url ?? "/", urls.hub)
    const isRecursive = searchParams.get("recursive") === "true"
    const prefix = path === "" ? "" : `${path}/`
    const items = new Map<string, unknown>()
    for (const file of files) {
      if (!file.path.startsWith(prefix)) continue
      const parts = file.path.slice(prefix.length).split("/")
      for (const i of parts.keys()) {
        const name = prefix + parts.slice(0, i + 1).join("/")
        if (i > 0 && !isRecursive) break
        if (i < parts.length - 1) items.set(name, { type: "directory", oid: sha("sha1", name), size: 0, path: name })
      }
      if (parts.length > 1 && !isRecursive) continue
      const { bytes, stored } = file
      items.set(file.path, {
        type: "file",
        path: file.path,
        size: bytes.length,
        oid: stored ? sha("sha1", file.path) : oidOf(file),
        ...(stored ? { lfs: { oid: oidOf(file), size: bytes.length, pointerSize: 134 }, xetHash: "d".repeat(64) } : {})
      })
    }
    if (path !== "" && items.size === 0) return refuse(exchange, 404, "EntryNotFound")
    const all = [...dataset.strays, ...items.values()]
    const from = Number(searchParams.get("cursor") ?? 0)
    const until = from + hub.pageSize
    const next = `${urls.hub}${base}?recursive=${isRecursive}&expand=false&cursor=${until}`
    json(exchange, all.slice(from, until), until < all.length ? { link: `<${next}>; rel="next"` } : {})
  }

  const resolve = (exchange: Exchange, files: ReadonlyArray<FakeFile>, commit: string, path: string) => {
    const file = files.find((candidate) => candidate.path === path)
    if (file === undefined) return refuse(exchange, 404, "EntryNotFound")
    const oid = oidOf(file)
    const headers = { "x-repo-commit": commit, "x-linked-etag": `"${oid}"`, "x-linked-size": String(file.bytes.length) }
    if (!file.stored) return content(exchange, file.bytes, { etag: `"${oid}"`, "x-repo-commit": commit })
    const signature = `${oid.slice(0, 8)}-${signed.size}`
    signed.set(signature, file)
    answer(exchange, 302, { ...headers, location: `${urls.cdn}/${oid}?Expires=1&Signature=${signature}` })
  }

  const handleHub = (exchange: Exchange) => {
    const path = (exchange.request.url ?? "/").split("?", 1)[0] ?? "/"
    const api = /^\/api\/datasets\/([^/]+(?:\/[^/]+)?)\/(revision|tree)\/([^/]+)(?:\/(.+))?$/.exec(path)
    const file = /^\/datasets\/([^/]+(?:\/[^/]+)?)\/(resolve)\/([^/]+)\/(.+)$/.exec(path)
    const [, id = "", kind, encoded = "", rest = ""] = api ?? file ?? []
    const dataset = datasets.get(id)
    if (kind === undefined) return refuse(exchange, 404, "")
    if (dataset === undefined) {
      return refuse(exchange, exchange.request.headers.authorization === undefined ? 401 : 404, "RepoNotFound")
    }
    if (!allowed(exchange, dataset)) return
    const revision = decodeURIComponent(encoded)
    const commit = dataset.commits.has(revision) ? revision : dataset.refs.get(revision)
    const files = commit === undefined ? undefined : dataset.commits.get(commit)
    if (commit === undefined || files === undefined) return refuse(exchange, 404, "RevisionNotFound")
    const within = rest.split("/").map(decodeURIComponent).join("/")
    switch (kind) {
      case "revision":
        return json(exchange, {
          _id: "1",
          id,
          sha: commit,
          private: dataset.access === "private",
          gated: dataset.access === "gated" ? "auto" : false,
          downloads: 1,
          likes: 1,
          lastModified: "2026-01-01T00:00:00.000Z"
        })
      case "tree":
        return tree(exchange, dataset, files, within, path)
      default:
        return resolve(exchange, files, commit, within)
    }
  }

  const handleCdn = (exchange: Exchange) => {
    const { searchParams } = new URL(exchange.request.url ?? "/", urls.cdn)
    const file = signed.get(searchParams.get("Signature") ?? "")
    if (file === undefined) return answer(exchange, 403, { "x-cache": "Error from cloudfront" }, "expired")
    content(exchange, file.bytes, { etag: `"${sha("sha1", file.bytes)}"`, "x-cache": "Hit from cloudfront" })
  }

  const handleServer = (exchange: Exchange) => {
    const { pathname, searchParams } = new URL(exchange.request.url ?? "/", urls.server)
    const dataset = pathname === "/parquet" ? datasets.get(searchParams.get("dataset") ?? "") : undefined
    if (dataset === undefined || dataset.conversion === null) return refuse(exchange, 404, "ResponseNotFound")
    if (!allowed(exchange, dataset)) return
    const { body, headers, status } = dataset.conversion
    answer(exchange, status, { "content-type": "application/json", ...headers }, JSON.stringify(body))
  }

  const handlers: Record<Part, (exchange: Exchange) => void> = { hub: handleHub, cdn: handleCdn, server: handleServer }

  const listen = (part: Part) =>
    new Promise<http.Server>((resolve) => {
      const server = http.createServer((request, response) => {
        const url = request.url ?? "/"
        const logged: Logged = { part, url, headers: request.headers, status: 0, bytes: 0 }
        log.push(logged)
        const fault = takeFault(part, url)
        const exchange = { request, response, logged, fault }
        if (fault?.stall === true) return
        if (fault?.reset === true) request.socket.resetAndDestroy()
        else if (fault?.status !== undefined) answer(exchange, fault.status, fault.headers ?? {}, fault.body)
        else handlers[part](exchange)
      })
      server.listen(0, "127.0.0.1", () => {
        urls[part] = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
        resolve(server)
      })
    })
  const servers = await Promise.all([listen("hub"), listen("cdn"), listen("server")])

  const datasetOf = (id: string): Dataset => {
    const known = datasets.get(id)
    if (known !== undefined) return known
    const dataset: Dataset = { commits: new Map(), refs: new Map(), access: "open", strays: [], conversion: null }
    datasets.set(id, dataset)
    return dataset
  }

  const hub: FakeHub = {
    hubUrl: urls.hub,
    cdnUrl: urls.cdn,
    serverUrl: urls.server,
    token,
    log,
    faults,
    datasets,
    pageSize: 1000,
    commit: (id, files, { ref = "main", stored = true } = {}) => {
      const dataset = datasetOf(id)
      const made = Object.entries(files).map(([path, bytes]): FakeFile => ({
        path,
        bytes: Buffer.from(bytes),
        stored: stored && path !== "README.md"
      }))
      const commit = sha("sha1", id, ref, ...made.flatMap(({ bytes, path }) => [path, "\0", bytes]))
      dataset.commits.set(commit, made)
      dataset.refs.set(ref, commit)
      return commit
    },
    convert: (id, files, { failed = [], partial = false, pending = [] } = {}) => {
      const ref = "refs/convert/parquet"
      const commit = hub.commit(id, files, { ref })
      const dataset = datasetOf(id)
      dataset.conversion = {
        status: 200,
        headers: { "x-revision": dataset.refs.get("main") ?? "" },
        body: {
          parquet_files: Object.entries(files).map(([path, bytes]) => {
            const [config = "", folder = "", filename = ""] = path.split("/")
            const url = `https://huggingface.co/datasets/${id}/resolve/${encodeURIComponent(ref)}/` +
              path.split("/").map(encodeURIComponent).join("/")
            const split = folder.replace(/^partial-/, "").replace(/-part\d+$/, "")
            return { dataset: id, config, split, url, filename, size: bytes.length }
          }),
          pending,
          failed,
          partial
        }
      }
      return commit
    },
    expire: () => signed.clear(),
    close: async () => {
      await Promise.all(servers.map((server) =>
        new Promise<void>((resolve) => {
          server.close(() => resolve())
          server.closeAllConnections()
        })
      ))
    }
  }
  return hub
}
