import { assert, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import * as Json from "../src/Json.ts"

it.prop(
  "finds the text of every member, however the object is written",
  {
    object: Arbitrary.schema(Schema.Record(Schema.String, Schema.Json)),
    space: Arbitrary.schema(Schema.Literals([0, 1, "\t", " \r "]))
  },
  ({ object, space }) => {
    const text = JSON.stringify(object, null, space)
    for (const [name, value] of Object.entries(JSON.parse(text))) {
      assert.deepStrictEqual(JSON.parse(Json.memberText(text, name) ?? "nothing"), value)
    }
    assert.isUndefined(Json.memberText(text, "a name that no object has"))
  }
)
