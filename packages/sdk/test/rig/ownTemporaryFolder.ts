import { Effect } from "effect"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"

/** Gives the system's temporary folder another place for the rest of the scope: nobody else writes there. */
export const ownTemporaryFolder = Effect.acquireRelease(
  Effect.promise(async () => {
    const before = process.env.TMPDIR
    const directory = await mkdtemp(join(tmpdir(), "own-"))
    process.env.TMPDIR = directory
    return { before, directory }
  }),
  ({ before, directory }) =>
    Effect.promise(() => {
      if (before === undefined) delete process.env.TMPDIR
      else process.env.TMPDIR = before
      return rm(directory, { recursive: true })
    })
).pipe(Effect.map(({ directory }) => directory))
