/**
 * A tap between the sandboxes and one server: it sees each call and which sandbox makes it, and may break it, before it
 * arrives or once it is done.
 */
import * as http from "node:http"
import type { AddressInfo } from "node:net"

/** A call. */
export interface TappedCall {
  readonly server: string
  /** The sandbox's id; null where somebody else calls. */
  readonly sandbox: string | null
  readonly method: string
  readonly url: string
  /** The operation of a protocol that has them in a header, such as `PutItem`; else null. */
  readonly operation: string | null
  readonly body: Buffer
}

/** Says whether a call breaks: it is not answered, and its connection is reset. */
export type Breaking = (call: TappedCall, when: "before" | "after") => boolean

/** A running tap. */
export interface Tap {
  readonly endpoint: string
  readonly close: () => Promise<void>
}

const bytesOf = async (message: http.IncomingMessage): Promise<Buffer> => {
  const parts: Array<Buffer> = []
  for await (const part of message) parts.push(part)
  return Buffer.concat(parts)
}

/** Starts a tap before a server. It speaks HTTP/1.1. */
export const startTap = async (server: string, target: string, breaks: Breaking): Promise<Tap> => {
  const agent = new http.Agent({ keepAlive: true })
  const relay = async (request: http.IncomingMessage, response: http.ServerResponse): Promise<void> => {
    const { headers, method = "GET", url = "/" } = request
    const body = await bytesOf(request)
    const header = headers["x-amz-target"]
    const call: TappedCall = {
      server,
      sandbox: /\bapp\/([\w-]+)/.exec(headers["user-agent"] ?? "")?.[1] ?? null,
      method,
      url,
      operation: typeof header === "string" ? header.slice(header.lastIndexOf(".") + 1) : null,
      body
    }
    if (breaks(call, "before")) return void response.socket?.resetAndDestroy()
    const onward = http.request(new URL(url, target), { method, headers, agent })
    onward.end(body)
    const answer = await new Promise<http.IncomingMessage>((resolve, reject) => {
      onward.once("response", resolve).once("error", reject)
    })
    const content = await bytesOf(answer)
    if (breaks(call, "after")) return void response.socket?.resetAndDestroy()
    response.writeHead(answer.statusCode ?? 500, answer.headers)
    response.end(content)
  }
  const listening = http.createServer((request, response) => {
    relay(request, response).catch(() => response.socket?.resetAndDestroy())
  })
  await new Promise<void>((resolve) => listening.listen(0, "127.0.0.1", resolve))
  return {
    endpoint: `http://127.0.0.1:${(listening.address() as AddressInfo).port}`,
    close: () =>
      new Promise<void>((resolve) => {
        agent.destroy()
        listening.close(() => resolve())
        listening.closeAllConnections()
      })
  }
}
