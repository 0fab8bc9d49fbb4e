import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { lookup } from "../src/internal/References.ts"
import * as Storage from "../src/Storage.ts"

const record = (...uris: ReadonlyArray<string>) => {
  const content = uris.map((uri) => ({ image: { format: "png", source: { s3Location: { uri } } } }))
  const modelInput = { messages: [{ role: "user", content }] }
  return [JSON.stringify({ recordId: "1", modelInput }), modelInput] as const
}

describe("objects that records refer to", () => {
  it.effect("must be there; those outside the folder are for the model's family to refuse", () =>
    Effect.gen(function*() {
      const storage = Storage.memory()
      yield* storage.write("s3://b/in/a.png", Stream.make(new Uint8Array([1])))
      for (const folder of ["s3://b/in/", "s3://b/in"]) {
        const look = lookup(storage, folder)
        assert.isNull(yield* look(...record()))
        assert.isNull(yield* look("{}", {}))
        assert.isNull(yield* look(...record("s3://b/in/a.png", "s3://b/in/a.png")))
        assert.isNull(yield* look(...record("s3://b/out/a.png")))
        assert.match((yield* look(...record("s3://b/in/a.png", "s3://b/in/b.png"))) ?? "", /does not exist/)
      }
    }))
})
