/**
 * The JSON Schema that a model is held to, and the codec that reads an answer which keeps to it.
 *
 * @internal
 */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"
import * as SchemaTransformation from "effect/SchemaTransformation"
import { admitsNull } from "./Cells.ts"
import { isSchema, type JsonSchema, plain, resolved } from "./JsonSchemas.ts"

/** @internal */
export interface OutputSchema {
  /** Reads the JSON of an answer; the values are those of the schema. */
  readonly codec: Schema.ConstraintDecoder<unknown>
  /** Names of properties, wherever they stand: no others are named in messages. */
  readonly names: ReadonlySet<string>
  /** The JSON Schema with all that it can say, its definitions in `$defs`. */
  readonly full: JsonSchema
}

/** Null and absent are the same: models held to a schema write every property, others leave some out. */
const nullAsAbsent = (ast: SchemaAST.AST): SchemaAST.AST => {
  const type = Schema.make<Schema.Top>(ast)
  return SchemaAST.decodeTo(
    Schema.optionalKey(Schema.NullOr(type)).ast,
    Schema.optionalKey(type).ast,
    SchemaTransformation.transformOptional<unknown, unknown>({
      decode: Option.filter((value) => value !== null),
      encode: Option.orElseSome(() => null)
    })
  )
}

/** The JSON side of a schema in which what may be absent may be null. */
const withNulls = (root: SchemaAST.AST, names: Set<string>): SchemaAST.AST => {
  const suspended = new Map<SchemaAST.AST, SchemaAST.AST>()
  const change = (ast: SchemaAST.AST): SchemaAST.AST => {
    switch (ast._tag) {
      case "Union": {
        const types = SchemaAST.mapOrSame(ast.types, change)
        return types === ast.types
          ? ast
          : new SchemaAST.Union(types, ast.options, ast.annotations, ast.checks, ast.encoding, ast.context)
      }
      case "Arrays": {
        const elements = SchemaAST.mapOrSame(ast.elements, change)
        const rest = SchemaAST.mapOrSame(ast.rest, change)
        if (elements === ast.elements && rest === ast.rest) return ast
        const { annotations, checks, context, encoding, isMutable } = ast
        return new SchemaAST.Arrays(isMutable, elements, rest, annotations, checks, encoding, context)
      }
      case "Objects": {
        const properties = SchemaAST.mapOrSame(ast.propertySignatures, (property) => {
          if (typeof property.name === "string") names.add(property.name)
          const changed = change(property.type)
          const isLeftOut = SchemaAST.isOptional(property.type) && !admitsNull(property.type)
          const type = isLeftOut ? nullAsAbsent(changed) : changed
          return type === property.type ? property : new SchemaAST.PropertySignature(property.name, type)
        })
        const others = SchemaAST.mapOrSame(ast.indexSignatures, (signature) => {
          const type = change(signature.type)
          return type === signature.type ? signature : new SchemaAST.IndexSignature(signature.parameter, type)
        })
        if (properties === ast.propertySignatures && others === ast.indexSignatures) return ast
        return new SchemaAST.Objects(properties, others, ast.annotations, ast.checks, ast.encoding, ast.context)
      }
      case "Suspend": {
        const known = suspended.get(ast)
        if (known !== undefined) return known
        const { annotations, context, encoding } = ast
        const later = new SchemaAST.Suspend(() => change(ast.thunk()), annotations, undefined, encoding, context)
        suspended.set(ast, later)
        return later
      }
      default:
        return ast
    }
  }
  return change(root)
}

/** Whether all values have a form in JSON: those of a class do where it says how. `ast` is an encoded side. */
const isJsonSafe = (ast: SchemaAST.AST, seen: Set<SchemaAST.AST> = new Set()): boolean => {
  if (seen.has(ast)) return true
  seen.add(ast)
  const safe = (part: SchemaAST.AST) => isJsonSafe(part, seen)
  switch (ast._tag) {
    case "Declaration":
      return ast.annotations?.["toCodecJson"] !== undefined || ast.annotations?.["toCodec"] !== undefined
    case "Objects":
      return [...ast.propertySignatures, ...ast.indexSignatures].every(({ type }) => safe(type))
    case "Arrays":
      return [...ast.elements, ...ast.rest].every(safe)
    case "Union":
      return ast.types.every(safe)
    case "Suspend":
      return safe(SchemaAST.toEncoded(ast.thunk()))
    default:
      return true
  }
}

const isJson = Schema.is(Schema.Json)

/**
 * What a model is held to by a schema and how its answers are read, or a text that says why that cannot be.
 *
 * @internal
 */
export const outputSchema = (schema: Schema.Constraint): OutputSchema | string => {
  const names = new Set<string>()
  try {
    if (!isJsonSafe(SchemaAST.toEncoded(schema.ast))) {
      return "it has values of a class, and says not how JSON holds them"
    }
    const json = Schema.toCodecJson(schema)
    const encoded = SchemaAST.toEncoded(json.ast)
    if (!SchemaAST.isObjects(encoded)) return "its JSON is no object with named properties"
    const codec = Schema.make<Schema.ConstraintDecoder<unknown>>(
      SchemaAST.decodeTo(withNulls(encoded, names), json.ast, SchemaTransformation.passthrough())
    )
    const document = Schema.toJsonSchemaDocument(codec, { onExcessProperty: "error", generateDescriptions: true })
    const read: unknown = JSON.parse(JSON.stringify({ ...document.schema, $defs: document.definitions }))
    return isJson(read) && isSchema(read)
      ? { codec, names, full: resolved(plain(read)) }
      : "it has no JSON Schema"
  } catch (cause) {
    // Effect's own generation throws for schemas that JSON cannot hold; its messages speak of the schema.
    return `it has values that JSON cannot hold${cause instanceof Error ? `: ${cause.message}` : ""}`
  }
}
