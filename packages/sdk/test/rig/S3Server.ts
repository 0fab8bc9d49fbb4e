/**
 * A local S3 for tests: fauxqs, in this process and on a free port, behind a guard that does what fauxqs does not. The
 * guard verifies signatures (SigV4), payload digests and checksums, makes conditional writes conditional, and injects
 * faults.
 */
import { S3Client } from "@aws-sdk/client-s3"
import { startFauxqs } from "fauxqs"
import { createHash, createHmac, timingSafeEqual } from "node:crypto"
import * as http from "node:http"
import type { AddressInfo } from "node:net"
import { crc32 } from "node:zlib"

/** What goes wrong with the requests that match. The first fault that matches a request is the one that happens. */
export interface Fault {
  readonly match: (request: { readonly method: string; readonly url: string }) => boolean
  /** How many requests it hits; default all. */
  readonly times?: number
  /** Runs before anything else happens. */
  readonly act?: () => void | Promise<void>
  /** Waits first. */
  readonly delayMs?: number
  /** Resets the connection, unread. */
  readonly reset?: boolean
  /** Answers this HTTP status, unread, with `code` (default `SlowDown`). */
  readonly status?: number
  readonly code?: string
  /** Sends so many bytes of the answer's body, then cuts the connection. */
  readonly truncate?: number
  /** Changes the first byte of the answer's body. */
  readonly corrupt?: boolean
  /** Answers something else than the body that was to be answered. */
  readonly rewrite?: (body: string) => string
  /** Does what was asked, then resets the connection instead of answering. */
  readonly dropAfter?: boolean
}

/** A request that came in. */
export interface Logged {
  readonly method: string
  readonly url: string
  readonly bytes: number
}

/** A running server. */
export interface S3Server {
  readonly endpoint: string
  readonly region: string
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string }
  /** Faults to come; tests add to it and empty it. */
  readonly faults: Array<Fault>
  /** Every request so far. */
  readonly log: Array<Logged>
  /** A client for it; the caller destroys it. */
  readonly client: (options?: { readonly maxAttempts?: number }) => S3Client
  readonly close: () => Promise<void>
}

/** Where another server listens. */
export interface Backend {
  readonly host: string
  readonly port: number
}

/** Options of `startS3Server`. */
export interface Options {
  /** Buckets to begin with; default `test-bucket`. */
  readonly buckets?: ReadonlyArray<string>
  /** Another server to guard, in place of fauxqs; buckets are then not made. */
  readonly backend?: Backend
  /** Who decides `If-None-Match` and `If-Match` of writes; default the guard. */
  readonly conditions?: "guard" | "backend"
}

/** An error that S3 would answer. */
class S3Error extends Error {
  readonly code: string
  readonly status: number
  constructor(code: string, status: number, message: string = code) {
    super(message)
    this.code = code
    this.status = status
  }
}

const region = "us-east-1"
const credentials = { accessKeyId: "TESTKEY", secretAccessKey: "TESTSECRET" }

const sha256 = (bytes: string | Uint8Array) => createHash("sha256").update(bytes).digest("hex")
const hmac = (key: string | Buffer, text: string) => createHmac("sha256", key).update(text).digest()

const checksums: { readonly [name: string]: (bytes: Buffer) => string } = {
  crc32: (bytes) => {
    const out = Buffer.alloc(4)
    out.writeUInt32BE(crc32(bytes))
    return out.toString("base64")
  },
  sha1: (bytes) => createHash("sha1").update(bytes).digest("base64"),
  sha256: (bytes) => createHash("sha256").update(bytes).digest("base64")
}

/** One request on its way through the guard. */
interface Exchange {
  readonly method: string
  readonly url: string
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: http.IncomingHttpHeaders
  readonly body: Buffer
  readonly fault: Fault | undefined
}

const textOf = (value: string | ReadonlyArray<string> | undefined): string =>
  typeof value === "string" ? value : value === undefined ? "" : value.join(",")

const isoTime = (stamp: string) =>
  Date.parse(stamp.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, "$1-$2-$3T$4:$5:$6Z"))

interface Signature {
  readonly credential: ReadonlyArray<string>
  readonly signedHeaders: ReadonlyArray<string>
  readonly signature: string
  readonly stamp: string
  readonly payload: string
}

const presigned = (query: URLSearchParams): Signature => {
  const stamp = query.get("X-Amz-Date") ?? ""
  if (Date.now() > isoTime(stamp) + 1000 * Number(query.get("X-Amz-Expires"))) {
    throw new S3Error("AccessDenied", 403, "Request has expired")
  }
  return {
    credential: (query.get("X-Amz-Credential") ?? "").split("/"),
    signedHeaders: (query.get("X-Amz-SignedHeaders") ?? "").split(";"),
    signature: query.get("X-Amz-Signature") ?? "",
    stamp,
    payload: query.get("X-Amz-Content-Sha256") ?? "UNSIGNED-PAYLOAD"
  }
}

const signed = (headers: http.IncomingHttpHeaders, body: Buffer): Signature => {
  const match = /^AWS4-HMAC-SHA256 Credential=([^,]+),\s*SignedHeaders=([^,]+),\s*Signature=(\w+)/.exec(
    headers.authorization ?? ""
  )
  if (match === null) throw new S3Error("AccessDenied", 403)
  const [, credential = "", signedHeaders = "", signature = ""] = match
  const stamp = textOf(headers["x-amz-date"])
  const payload = textOf(headers["x-amz-content-sha256"])
  if (/^[0-9a-f]{64}$/.test(payload) && sha256(body) !== payload) throw new S3Error("XAmzContentSHA256Mismatch", 400)
  if (Math.abs(isoTime(stamp) - Date.now()) > 15 * 60_000) throw new S3Error("RequestTimeTooSkewed", 403)
  return { credential: credential.split("/"), signedHeaders: signedHeaders.split(";"), signature, stamp, payload }
}

const verify = ({ body, headers, method, path, query, url }: Exchange): void => {
  const given = query.has("X-Amz-Signature") ? presigned(query) : signed(headers, body)
  const [keyId = "", ...scope] = given.credential
  if (keyId !== credentials.accessKeyId) throw new S3Error("InvalidAccessKeyId", 403)
  const canonicalQuery = (url.split("?")[1] ?? "").split("&")
    .filter((pair) => pair !== "" && !pair.startsWith("X-Amz-Signature="))
    .map((pair) => (pair.includes("=") ? pair : `${pair}=`))
    .sort()
    .join("&")
  const canonical = [
    method,
    path,
    canonicalQuery,
    ...given.signedHeaders.map((name) => `${name}:${textOf(headers[name]).trim().replace(/\s+/g, " ")}`),
    "",
    given.signedHeaders.join(";"),
    given.payload
  ].join("\n")
  const key = scope.reduce<string | Buffer>(hmac, `AWS4${credentials.secretAccessKey}`)
  const wanted = hmac(key, ["AWS4-HMAC-SHA256", given.stamp, scope.join("/"), sha256(canonical)].join("\n"))
  const signature = Buffer.from(given.signature, "hex")
  if (signature.length !== wanted.length || !timingSafeEqual(signature, wanted)) {
    throw new S3Error("SignatureDoesNotMatch", 403)
  }
}

/** Takes the framing of a chunked payload off: the bytes, and the headers that follow them. */
const unchunk = (framed: Buffer): { readonly body: Buffer; readonly trailer: http.IncomingHttpHeaders } => {
  const parts: Array<Buffer> = []
  let offset = 0
  while (true) {
    const lineEnd = framed.indexOf("\r\n", offset)
    const size = Number.parseInt(framed.toString("latin1", offset, lineEnd), 16)
    if (lineEnd < 0 || Number.isNaN(size)) throw new S3Error("IncompleteBody", 400)
    offset = lineEnd + 2
    if (size === 0) break
    parts.push(framed.subarray(offset, offset + size))
    offset += size + 2
  }
  const trailer: http.IncomingHttpHeaders = {}
  for (const line of framed.toString("latin1", offset).split("\r\n")) {
    const colon = line.indexOf(":")
    if (colon > 0) trailer[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim()
  }
  return { body: Buffer.concat(parts), trailer }
}

/** The request as a plain one: no chunk framing, no signature that the changed headers would break. */
const plain = (exchange: Exchange): Exchange => {
  const headers = { ...exchange.headers }
  let body = exchange.body
  if (textOf(headers["x-amz-content-sha256"]).startsWith("STREAMING-")) {
    const unframed = unchunk(body)
    body = unframed.body
    if (Number(headers["x-amz-decoded-content-length"]) !== body.length) throw new S3Error("IncompleteBody", 400)
    const encodings = textOf(headers["content-encoding"]).split(",").map((name) => name.trim())
      .filter((name) => name !== "" && name !== "aws-chunked")
    if (encodings.length > 0) headers["content-encoding"] = encodings.join(",")
    else delete headers["content-encoding"]
    for (const name of ["x-amz-trailer", "x-amz-decoded-content-length", "transfer-encoding"]) delete headers[name]
    Object.assign(headers, unframed.trailer)
  }
  if (!exchange.query.has("X-Amz-Signature")) headers["x-amz-content-sha256"] = "UNSIGNED-PAYLOAD"
  if (body.length > 0 || /PUT|POST/.test(exchange.method)) headers["content-length"] = String(body.length)
  delete headers.expect
  return { ...exchange, headers, body }
}

const verifyChecksums = ({ body, headers, method, query }: Exchange): void => {
  const bulk = method === "POST" && query.has("delete")
  if (method !== "PUT" && !bulk) return
  if (bulk && !Object.keys(headers).some((name) => name === "content-md5" || /^x-amz-checksum-(?!algo)/.test(name))) {
    throw new S3Error("InvalidRequest", 400, "Missing required header for this request: Content-MD5 OR x-amz-checksum-*")
  }
  for (const [name, compute] of Object.entries(checksums)) {
    const given = headers[`x-amz-checksum-${name}`]
    if (typeof given === "string" && !given.includes("-") && compute(body) !== given) {
      throw new S3Error("BadDigest", 400, `The ${name.toUpperCase()} you specified did not match the bytes.`)
    }
  }
  const md5 = headers["content-md5"]
  if (md5 !== undefined && createHash("md5").update(body).digest("base64") !== md5) throw new S3Error("BadDigest", 400)
}

/** Whether the request makes, replaces or removes an object. */
const writes = ({ method, path, query }: Exchange): boolean => {
  if (path.split("/").filter((part) => part !== "").length < 2) return false
  if (method === "POST") return query.has("uploadId")
  if (method === "DELETE") return !query.has("uploadId")
  return method === "PUT" && !["partNumber", "tagging", "acl"].some((name) => query.has(name))
}

const unquoted = (etag: string) => etag.replaceAll("\"", "")

const sleep = (milliseconds: number) => new Promise<void>((resolve) => void setTimeout(resolve, milliseconds))

/** Waits until more may be written, or nobody reads any more. */
const drained = (response: http.ServerResponse) =>
  new Promise<void>((resolve) => {
    if (response.destroyed) return resolve()
    const done = () => {
      response.off("drain", done).off("close", done)
      resolve()
    }
    response.on("drain", done).on("close", done)
  })

/** Runs what has the same name one after the other. */
const oneAtATime = () => {
  const last = new Map<string, Promise<unknown>>()
  return <A>(name: string, run: () => Promise<A>): Promise<A> => {
    const mine = (last.get(name) ?? Promise.resolve()).then(run, run)
    last.set(name, mine)
    const forget = () => void (last.get(name) === mine && last.delete(name))
    mine.then(forget, forget)
    return mine
  }
}

const startGuard = async (backend: Backend, conditions: "guard" | "backend") => {
  const faults: Array<Fault> = []
  const hits = new Map<Fault, number>()
  const log: Array<Logged> = []
  const alone = oneAtATime()
  const agent = new http.Agent({ keepAlive: false })

  const ask = (method: string, path: string, headers: http.IncomingHttpHeaders, body?: Buffer) =>
    new Promise<http.IncomingMessage>((resolve, reject) => {
      const options = { ...backend, agent, method, path, headers: { ...headers, connection: "close" } }
      http.request(options, resolve).on("error", reject).end(body)
    })

  const takeFault = (method: string, url: string): Fault | undefined => {
    const fault = faults.find((candidate) => candidate.match({ method, url }))
    if (fault === undefined) return undefined
    const count = (hits.get(fault) ?? 0) + 1
    hits.set(fault, count)
    if (fault.times !== undefined && count >= fault.times) faults.splice(faults.indexOf(fault), 1)
    return fault
  }

  /** Passes the request on and its answer back, with what the fault does to the answer. */
  const forward = async ({ body, fault, headers, method, url }: Exchange, response: http.ServerResponse) => {
    const answer = await ask(method, url, headers, body)
    if (fault?.dropAfter === true) {
      for await (const _ of answer);
      response.socket?.resetAndDestroy()
      return
    }
    if (fault?.rewrite !== undefined) {
      const parts: Array<Buffer> = []
      for await (const chunk of answer) parts.push(chunk)
      const { "content-length": _, ...rest } = answer.headers
      response.writeHead(answer.statusCode ?? 500, rest)
      response.end(fault.rewrite(Buffer.concat(parts).toString()))
      return
    }
    response.writeHead(answer.statusCode ?? 500, answer.headers)
    let left = fault?.truncate ?? Number.POSITIVE_INFINITY
    let corrupt = fault?.corrupt === true
    for await (const chunk of answer) {
      const bytes: Buffer = chunk
      if (corrupt) bytes[0] = (bytes[0] ?? 0) ^ 1
      corrupt = false
      if (!response.write(bytes.subarray(0, left))) await drained(response)
      left -= bytes.length
      if (response.destroyed) return
      if (left <= 0) {
        // Lets the bytes arrive before the connection breaks.
        await sleep(20)
        response.destroy()
        return
      }
    }
    response.end()
  }

  /** Holds the conditions of a write against the object as it is; nobody else writes it meanwhile. */
  const checkConditions = async ({ headers, path }: Exchange): Promise<http.IncomingHttpHeaders> => {
    const { "if-match": ifMatch, "if-none-match": ifNoneMatch, ...rest } = headers
    if (ifMatch === undefined && ifNoneMatch === undefined) return rest
    const found = await ask("HEAD", path, { ...rest, "content-length": "0" })
    found.resume()
    const exists = (found.statusCode ?? 500) < 300
    const preconditionFailed = () =>
      new S3Error("PreconditionFailed", 412, "At least one of the pre-conditions you specified did not hold")
    if (ifNoneMatch !== undefined && exists) throw preconditionFailed()
    if (ifMatch !== undefined) {
      if (!exists) throw new S3Error("NoSuchKey", 404)
      if (ifMatch !== "*" && unquoted(ifMatch) !== unquoted(textOf(found.headers.etag))) throw preconditionFailed()
    }
    return rest
  }

  const handle = async (exchange: Exchange, response: http.ServerResponse): Promise<void> => {
    const { fault } = exchange
    await fault?.act?.()
    if (fault?.delayMs !== undefined) await sleep(fault.delayMs)
    if (fault?.reset === true) {
      response.socket?.resetAndDestroy()
      return
    }
    if (fault?.status !== undefined) throw new S3Error(fault.code ?? "SlowDown", fault.status)
    verify(exchange)
    const request = plain(exchange)
    verifyChecksums(request)
    if (conditions === "backend" || !writes(request)) return forward(request, response)
    await alone(request.path, async () => forward({ ...request, headers: await checkConditions(request) }, response))
  }

  const refuse = (error: unknown, method: string, response: http.ServerResponse) => {
    if (response.headersSent || response.destroyed) return void response.destroy()
    const known = error instanceof S3Error ? error : new S3Error("InternalError", 500, String(error))
    response.writeHead(known.status, { "content-type": "application/xml" })
    const document = `<Error><Code>${known.code}</Code><Message>${known.message}</Message></Error>`
    response.end(method === "HEAD" ? undefined : `<?xml version="1.0" encoding="UTF-8"?>${document}`)
  }

  const server = http.createServer((request, response) => {
    const chunks: Array<Buffer> = []
    request.on("data", (chunk: Buffer) => chunks.push(chunk))
    request.on("end", () => {
      const { headers, method = "GET", url = "/" } = request
      const body = Buffer.concat(chunks)
      const [path = "/", search = ""] = url.split("?")
      log.push({ method, url, bytes: body.length })
      const query = new URLSearchParams(search)
      const exchange = { method, url, path, query, headers, body, fault: takeFault(method, url) }
      handle(exchange, response).catch((error: unknown) => refuse(error, method, response))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  return {
    port: (server.address() as AddressInfo).port,
    faults,
    log,
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
  }
}

/**
 * Starts the server. An IP address as endpoint makes the SDK put the bucket into the path by itself.
 */
export const startS3Server = async (options: Options = {}): Promise<S3Server> => {
  const fauxqs = options.backend === undefined ? await startFauxqs({ port: 0, logger: false }) : undefined
  if (fauxqs !== undefined) for (const bucket of options.buckets ?? ["test-bucket"]) fauxqs.createBucket(bucket)
  const backend = options.backend ?? { host: "127.0.0.1", port: fauxqs?.port ?? 0 }
  const guard = await startGuard(backend, options.conditions ?? "guard")
  const endpoint = `http://127.0.0.1:${guard.port}`
  return {
    endpoint,
    region,
    credentials,
    faults: guard.faults,
    log: guard.log,
    client: ({ maxAttempts = 3 } = {}) =>
      new S3Client({
        endpoint,
        region,
        credentials,
        forcePathStyle: true,
        maxAttempts,
        requestHandler: { connectionTimeout: 5_000, socketTimeout: 60_000 }
      }),
    close: async () => {
      await guard.close()
      await fauxqs?.stop()
    }
  }
}
