import { Effect, type Scope, Stream } from "effect"
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import type { BatchError, InvalidSource, Reason } from "../../src/BatchError.ts"
import { toRows } from "../../src/internal/Rows.ts"
import type { OpenSource, Source } from "../../src/source/Source.ts"
import * as FileSystem from "../../src/store/FileSystem.ts"
import type { ObjectStore } from "../../src/store/ObjectStore.ts"

const temporary = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "source-"))),
  (path) => Effect.promise(() => rm(path, { recursive: true }))
)

/** Writes a file into the test's folder, and gives its path. */
export type WriteFile = (name: string, content: string | Uint8Array) => Effect.Effect<string>

/** Runs in a folder of its own; the store lies in it, beside the files. */
export const inFolder = <A, E>(
  run: (file: WriteFile, path: string) => Effect.Effect<A, E, ObjectStore | Scope.Scope>
) =>
  Effect.gen(function*() {
    const path = yield* temporary
    const file: WriteFile = (name, content) =>
      Effect.promise(async () => {
        await mkdir(dirname(join(path, name)), { recursive: true })
        await writeFile(join(path, name), content)
        return join(path, name)
      })
    return yield* run(file, path).pipe(Effect.provide(FileSystem.layer({ directory: join(path, "store") })))
  })

/** The rows of an opened source. */
export const rowsOf = (opened: OpenSource): Effect.Effect<Array<Record<string, unknown>>, BatchError> =>
  Effect.map(Stream.runCollect(opened.batches), (batches) => batches.flatMap((batch) => toRows(opened.columns, batch)))

/** All rows of a source. */
export const readAll = <R extends object>(source: Source<R, ObjectStore>) =>
  Effect.scoped(Effect.flatMap(source.open, rowsOf))

/** Why it fails. */
export const reasonOf = <A, R>(effect: Effect.Effect<A, BatchError, R>): Effect.Effect<Reason, A, R> =>
  Effect.map(Effect.flip(effect), (error) => error.reason)

/** Why reading fails: what is wrong with the source. */
export const faultOf = <R extends object>(
  source: Source<R, ObjectStore>
): Effect.Effect<InvalidSource, unknown, ObjectStore> =>
  Effect.flatMap(reasonOf(readAll(source)), (reason) =>
    reason._tag === "InvalidSource" ? Effect.succeed(reason) : Effect.die(reason))
