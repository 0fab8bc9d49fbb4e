import { assert } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import type { Processor, Prompt } from "../src/index.ts"

const outcome = {
  stopReason: Schema.NullOr(Schema.String),
  usage: Schema.Struct({
    inputTokens: Schema.NullOr(Schema.Natural),
    outputTokens: Schema.NullOr(Schema.Natural),
    cacheReadTokens: Schema.optionalKey(Schema.Natural),
    cacheWriteTokens: Schema.optionalKey(Schema.Natural)
  }),
  reasoning: Schema.optionalKey(Schema.NonEmptyString)
}

/** Asserts that a reading is one of the documented forms, with an answer that its own schema accepts. */
export const assertReading = <A extends object>(processor: Processor.Processor<A>, output: Processor.Json): void => {
  const reading: unknown = processor.decode(output)
  const schema = Schema.Union([
    Schema.Struct({ status: Schema.Literals(["succeeded", "truncated"]), answer: processor.columns, ...outcome }),
    Schema.Struct({
      status: Schema.Literals(["refused", "invalid", "failed"]),
      message: Schema.String,
      raw: Schema.NullOr(Schema.NonEmptyString),
      ...outcome
    })
  ])
  assert.isTrue(Schema.is(schema)(reading), `not a reading: ${JSON.stringify(reading)} of ${JSON.stringify(output)}`)
}

/** Any JSON, or a JSON object that has the right members with right, null, absent or arbitrary values. */
export const nearly = (
  fields: { readonly [key: string]: Arbitrary.Arbitrary<Processor.Json> }
): Arbitrary.Arbitrary<Processor.Json> =>
  Arbitrary.all({
    fields: Arbitrary.all(fields),
    any: Arbitrary.schema(Schema.Json),
    fate: Arbitrary.all(Object.fromEntries(
      Object.keys(fields).map((key) => [key, Arbitrary.schema(Schema.Literals([0, 0, 0, 1, 2, 3]))])
    )),
    whole: Arbitrary.schema(Schema.Literals([0, 1, 2, 3, 4, 5, 6, 7]))
  }).pipe(Arbitrary.map((given) =>
    given.whole === 0 ? given.any : Object.fromEntries(
      Object.entries(given.fields).flatMap(([key, value]): ReadonlyArray<[string, Processor.Json]> => {
        const fate = given.fate[key]
        return fate === 1 ? [] : [[key, fate === 2 ? null : fate === 3 ? given.any : value]]
      })
    )
  ))

const isFinite32 = (value: unknown): value is number => typeof value === "number" && Number.isFinite(Math.fround(value))

/** The JSON with a vector for every array of numbers that has one. */
export const withVectors = (json: Processor.Json): Processor.VectorJson => {
  if (typeof json !== "object" || json === null) return json
  if (!Array.isArray(json)) {
    return Object.fromEntries(Object.entries(json).map(([key, value]) => [key, withVectors(value)]))
  }
  return json.length > 0 && json.every(isFinite32) ? Float32Array.from(json) : json.map(withVectors)
}

/** Numbers from 0 to 1, so many. */
export const numbers = (length: number): Array<number> => Array.from({ length }, (_, index) => index / length)

/** An embedding request of a text. */
export const embed = (
  text: string,
  parameters: Processor.ModelParameters = {},
  media?: Prompt.Media
): Processor.ModelRequest => ({ type: "embed", text, parameters, ...(media === undefined ? {} : { media }) })

/** Media whose bytes are in the request. */
export const bytes = (kind: Prompt.MediaKind, format: string, base64 = "AAEC"): Prompt.Media => ({
  kind,
  format,
  name: null,
  source: { type: "bytes", base64 }
})

/** Media in S3. */
export const inS3 = (kind: Prompt.MediaKind, format: string, uri = "s3://bucket/a"): Prompt.Media => ({
  kind,
  format,
  name: null,
  source: { type: "s3", uri }
})
