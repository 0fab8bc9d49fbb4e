declare module "dynalite" {
  import type { Server } from "node:http"

  /** Makes a server with the wire of DynamoDB, whose tables are in memory. */
  export default function dynalite(options?: {
    readonly createTableMs?: number
    readonly deleteTableMs?: number
    readonly updateTableMs?: number
  }): Server
}
