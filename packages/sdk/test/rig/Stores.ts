import { PutObjectCommand } from "@aws-sdk/client-s3"
import { Effect, type Scope } from "effect"
import { mkdir, writeFile } from "node:fs/promises"
import { dirname, join } from "node:path"
import type { ObjectStore } from "../../src/store/ObjectStore.ts"
import * as S3 from "../../src/store/S3.ts"
import { folder } from "./Bench.ts"
import { type Fault, startS3Server } from "./S3Server.ts"

/** A store, and what others may do to it. */
export interface Place {
  readonly store: ObjectStore["Service"]
  /** Writes an object as somebody else does, over the one that is there. */
  readonly plant: (key: string, bytes: string | Uint8Array) => Effect.Effect<void>
  /** The folder that the store is in; null for S3. */
  readonly directory: string | null
  /** Makes an answer of S3 go wrong; a folder has none. */
  readonly fault: (method: string, url: RegExp, what: Omit<Fault, "match">) => void
}

const bytesOf = (content: string | Uint8Array) => (typeof content === "string" ? Buffer.from(content) : content)

export const onS3: Effect.Effect<Place, never, Scope.Scope> = Effect.gen(function*() {
  const server = yield* Effect.acquireRelease(
    Effect.promise(() => startS3Server()),
    (server) => Effect.promise(() => server.close())
  )
  const client = yield* Effect.acquireRelease(
    Effect.sync(() => server.client()),
    (client) => Effect.sync(() => client.destroy())
  )
  const store = yield* Effect.orDie(S3.make({ bucket: "test-bucket", prefix: "base", client }))
  return {
    store,
    directory: null,
    plant: (key, content) =>
      Effect.promise(() =>
        client.send(new PutObjectCommand({ Bucket: "test-bucket", Key: `base/${key}`, Body: bytesOf(content) }))
      ).pipe(Effect.asVoid),
    fault: (method, url, what) =>
      void server.faults.push({ match: (request) => request.method === method && url.test(request.url), ...what })
  }
})

export const inFolder: Effect.Effect<Place, never, Scope.Scope> = Effect.orDie(folder).pipe(
  Effect.map(({ directory, store }) => ({
    store,
    directory,
    plant: (key, content) =>
      Effect.promise(async () => {
        await mkdir(dirname(join(directory, key)), { recursive: true })
        await writeFile(join(directory, key), bytesOf(content))
      }),
    fault: () => {
      throw new Error("a folder answers nothing")
    }
  }))
)

/** Both stores, by their names. */
export const places = [["S3", onS3], ["a folder", inFolder]] as const
