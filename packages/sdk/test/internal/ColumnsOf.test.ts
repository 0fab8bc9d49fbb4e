import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import type { ColumnType } from "../../src/Column.ts"
import { columnsOf, fieldsOf } from "../../src/internal/ColumnsOf.ts"

class Point extends Schema.Class<Point>("test/Point")({ x: Schema.Finite }) {}

const Kind = { A: "a", B: "b" } as const

const typesOf = (fields: Schema.Struct.Fields): Record<string, ColumnType> =>
  Object.fromEntries(columnsOf(Schema.Struct(fields))!.map(({ name, type }) => [name, type]))

describe("ColumnsOf", () => {
  it("gives each kind of value its column type, by the type side", () => {
    assert.deepStrictEqual(
      typesOf({
        text: Schema.NonEmptyString,
        literal: Schema.Literals(["a", "b"]),
        template: Schema.TemplateLiteral(["id-", Schema.String]),
        enum: Schema.Enum(Kind),
        int: Schema.Int,
        natural: Schema.Natural,
        branded: Schema.Int.pipe(Schema.brand("test/Id")),
        one: Schema.Literal(1),
        finite: Schema.Finite,
        decoded: Schema.FiniteFromString,
        decodedInt: Schema.FiniteFromString.check(Schema.isInt()),
        half: Schema.Literals([1, 0.5]),
        flag: Schema.Boolean,
        yes: Schema.Literal(true),
        big: Schema.BigInt,
        at: Schema.Date,
        decodedAt: Schema.DateFromString,
        bytes: Schema.Uint8Array,
        vector: Schema.instanceOf(Float32Array),
        longVector: Schema.instanceOf(Float32Array).check(Schema.makeFilter((vector) => vector.length > 2))
      }),
      {
        text: "string",
        literal: "string",
        template: "string",
        enum: "string",
        int: "integer",
        natural: "integer",
        branded: "integer",
        one: "integer",
        finite: "number",
        decoded: "number",
        decodedInt: "integer",
        half: "number",
        flag: "boolean",
        yes: "boolean",
        big: "bigint",
        at: "date",
        decodedAt: "date",
        bytes: "binary",
        vector: "vector",
        longVector: "vector"
      }
    )
  })

  it("looks through what may be null or absent", () => {
    assert.deepStrictEqual(
      typesOf({
        nullable: Schema.NullOr(Schema.Int),
        optional: Schema.optional(Schema.String),
        optionalKey: Schema.optionalKey(Schema.Date),
        both: Schema.optional(Schema.NullOr(Schema.instanceOf(Float32Array))),
        mixedNumbers: Schema.Union([Schema.Int, Schema.Finite])
      }),
      { nullable: "integer", optional: "string", optionalKey: "date", both: "vector", mixedNumbers: "number" }
    )
  })

  it("makes structs of structs, and lists of what is of one kind", () => {
    const Point = Schema.Struct({ x: Schema.Finite, at: Schema.optionalKey(Schema.NullOr(Schema.Date)) })
    const point = { type: "struct", fields: [{ name: "x", type: "number" }, { name: "at", type: "date" }] } as const
    assert.deepStrictEqual(
      typesOf({
        list: Schema.Array(Schema.Finite),
        some: Schema.NonEmptyArray(Schema.Int),
        pair: Schema.Tuple([Schema.String, Schema.String]),
        point: Point,
        maybe: Schema.NullOr(Point),
        points: Schema.optional(Schema.Array(Schema.NullOr(Point))),
        grid: Schema.Array(Schema.Array(Schema.Boolean)),
        deep: Schema.Struct({ json: Schema.Unknown, points: Schema.Array(Point) })
      }),
      {
        list: { type: "list", element: "number" },
        some: { type: "list", element: "integer" },
        pair: { type: "list", element: "string" },
        point,
        maybe: point,
        points: { type: "list", element: point },
        grid: { type: "list", element: { type: "list", element: "boolean" } },
        deep: {
          type: "struct",
          fields: [{ name: "json", type: "json" }, { name: "points", type: { type: "list", element: point } }]
        }
      }
    )
  })

  it("makes everything else JSON", () => {
    interface Tree {
      readonly kids: ReadonlyArray<Tree>
    }
    const Tree: Schema.Codec<Tree> = Schema.Struct({
      kids: Schema.Array(Schema.suspend((): Schema.Codec<Tree> => Tree))
    })
    const types = typesOf({
      record: Schema.Record(Schema.String, Schema.Int),
      open: Schema.StructWithRest(Schema.Struct({ a: Schema.Int }), [Schema.Record(Schema.String, Schema.Int)]),
      empty: Schema.Struct({}),
      either: Schema.Union([Schema.Struct({ a: Schema.Int }), Schema.Struct({ b: Schema.Int })]),
      tuple: Schema.Tuple([Schema.String, Schema.Int]),
      anything: Schema.Array(Schema.Unknown),
      tree: Schema.Array(Schema.suspend(() => Tree)),
      mixed: Schema.Union([Schema.String, Schema.Int]),
      unknown: Schema.Unknown,
      class: Point,
      doubles: Schema.instanceOf(Float64Array),
      nothing: Schema.Null,
      option: Schema.Option(Schema.Int)
    })
    assert.deepStrictEqual([...new Set(Object.values(types))], ["json"])
  })

  it("reads rows of a source with parts as JSON, as ever", () => {
    const fields = fieldsOf(Schema.Struct({ list: Schema.Array(Schema.Int), point: Schema.Struct({ x: Schema.Int }) }))
    assert.deepStrictEqual(fields?.map(({ type }) => type), ["json", "json"])
  })

  it("keeps the schema's order and names", () => {
    const schema = Schema.Struct({ z: Schema.String, ["__proto__"]: Schema.Int, a: Schema.String })
    assert.deepStrictEqual(columnsOf(schema)?.map(({ name }) => name), ["z", "__proto__", "a"])
  })

  it("has no columns for what is no struct", () => {
    assert.isNull(columnsOf(Schema.String))
    assert.isNull(columnsOf(Schema.Record(Schema.String, Schema.Int)))
    assert.isNull(columnsOf(Point))
  })

  it("has no fields where the whole row is checked or transformed", () => {
    const row = Schema.Struct({ a: Schema.Int, b: Schema.NullOr(Schema.String) })
    assert.deepStrictEqual(fieldsOf(row)?.map(({ nullable }) => nullable), [false, true])
    assert.isNull(fieldsOf(row.check(Schema.makeFilter(() => true))))
    assert.isNull(fieldsOf(row.pipe(Schema.encodeKeys({ a: "A" }))))
  })
})
