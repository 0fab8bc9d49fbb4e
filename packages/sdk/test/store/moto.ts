import { CreateBucketCommand } from "@aws-sdk/client-s3"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { createServer } from "node:net"
import { type S3Server, startS3Server } from "../rig/S3Server.ts"

const freePort = async (): Promise<number> => {
  const probe = createServer().listen(0, "127.0.0.1")
  await once(probe, "listening")
  const address = probe.address()
  probe.close()
  if (address === null || typeof address === "string") throw new Error("no free port")
  return address.port
}

/**
 * Starts moto's server with one bucket. The guard in front only verifies signatures and checksums: conditional writes
 * are moto's own, which makes it a second opinion on them.
 */
export const startMoto = async (bucket: string): Promise<S3Server> => {
  const port = await freePort()
  const child = spawn("moto_server", ["-H", "127.0.0.1", "-p", String(port)], { stdio: "ignore" })
  const failed = once(child, "error").then(([error]) => Promise.reject(error))
  failed.catch(() => {})
  const server = await startS3Server({ backend: { host: "127.0.0.1", port }, conditions: "backend" })
  const client = server.client({ maxAttempts: 1 })
  for (let tries = 0;; tries++) {
    try {
      await Promise.race([client.send(new CreateBucketCommand({ Bucket: bucket })), failed])
      break
    } catch (error) {
      if (tries === 150 || child.pid === undefined) throw error
      await new Promise<void>((resolve) => void setTimeout(resolve, 200))
    }
  }
  client.destroy()
  return {
    ...server,
    close: async () => {
      await server.close()
      child.kill("SIGKILL")
      await once(child, "exit")
    }
  }
}
