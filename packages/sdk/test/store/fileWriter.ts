/**
 * A process that writes into a folder store, for tests with several processes and with dead ones:
 * `race <directory> <name> <count>` tries to create `claim/0` to `claim/<count - 1>` and prints what it won as JSON;
 * `stream <directory> <name> <size>` writes one object of that size after the other, without end.
 */
import { Effect, Stream } from "effect"
import * as FileSystem from "../../src/store/FileSystem.ts"

const [mode = "", directory = "", name = "", number = "0"] = process.argv.slice(2)

const race = Effect.gen(function*() {
  const store = yield* FileSystem.make({ directory })
  const won: Array<string> = []
  const claim = Effect.fnUntraced(function*(i: number) {
    const key = `claim/${i}`
    const bytes = new TextEncoder().encode(name)
    const { created } = i % 2 === 0 ? yield* store.create(key, bytes) : yield* store.write(key, Stream.make(bytes))
    if (created) won.push(key)
  })
  yield* Effect.forEach(Array.from({ length: Number(number) }, (_, i) => i), claim, { concurrency: 4 })
  yield* Effect.sync(() => process.stdout.write(JSON.stringify(won)))
})

const stream = Effect.gen(function*() {
  const store = yield* FileSystem.make({ directory })
  const piece = new Uint8Array(64 * 1024).fill(7)
  const bytes = Stream.range(1, Number(number) / piece.length).pipe(Stream.rechunk(1), Stream.map(() => piece))
  for (let i = 0;; i++) {
    yield* store.write(`stream/${name}/${i}`, bytes)
    yield* store.create(`small/${name}/${i}`, new TextEncoder().encode("whole"))
  }
})

await Effect.runPromise(mode === "race" ? race : stream)
