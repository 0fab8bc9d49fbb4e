/**
 * From the values of a schema to those that a column holds: plain ones, of which every property is there.
 *
 * @internal
 */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"

/** @internal */
export type Convert = (value: unknown) => unknown

/** The values of a schema as a column holds them. @internal */
export interface Cells {
  /** Their schema. */
  readonly ast: SchemaAST.AST
  /** Null where values stay as they are. */
  readonly convert: Convert | null
}

/** Values of a schema that no column holds. */
class Unholdable extends Error {}

/**
 * A value that fits its schema, and no column: an invalid date, or a bigint of more than 64 bits. `path` says where it
 * is, from the outside.
 *
 * @internal
 */
export class Misfit extends Error {
  readonly path: Array<string | number> = []
}

/** Does what may throw a misfit within a step of its path. */
const within = <A>(step: string | number, convert: () => A): A => {
  try {
    return convert()
  } catch (cause) {
    if (cause instanceof Misfit) cause.path.unshift(step)
    throw cause
  }
}

const lowest = -(2n ** 63n)
const highest = 2n ** 63n - 1n

const checked: ReadonlyMap<string, Convert> = new Map<string, Convert>([
  ["date", (value) => {
    if (value instanceof Date && Number.isNaN(value.getTime())) throw new Misfit("expected a date")
    return value
  }],
  ["bigint", (value) => {
    if (typeof value !== "bigint" || (value >= lowest && value <= highest)) return value
    throw new Misfit("expected an integer of 64 bits")
  }]
])

/** A schema of the same values and null, whose property is always there. @internal */
export const nullable = (ast: SchemaAST.AST): SchemaAST.AST =>
  new SchemaAST.Union(admitsNull(ast) ? [ast] : [ast, SchemaAST.null])

/** @internal */
export const admitsNull = (ast: SchemaAST.AST): boolean =>
  SchemaAST.isNull(ast) || (SchemaAST.isUnion(ast) && ast.types.some(admitsNull))

const apply = (convert: Convert | null, value: unknown): unknown => convert === null ? value : convert(value)

const put = (object: object, name: string, value: unknown): void => {
  Object.defineProperty(object, name, { value, writable: true, enumerable: true, configurable: true })
}

/** Where a value stands, for messages. */
const step = (path: string, name: PropertyKey): string => `${path}[${JSON.stringify(String(name))}]`

const samples: ReadonlyArray<unknown> = [new Date(0), new Uint8Array(0), new Float32Array(0)]

const representationOf = (ast: SchemaAST.Declaration): unknown => {
  const representation: unknown = ast.annotations?.["representation"]
  return typeof representation === "object" && representation !== null && "id" in representation
    ? representation.id
    : undefined
}

const isNullish = (ast: SchemaAST.AST): boolean =>
  SchemaAST.isNull(ast) || SchemaAST.isUndefined(ast) || SchemaAST.isVoid(ast) ||
  (SchemaAST.isUnion(ast) && ast.types.every(isNullish))

/** What the values of a member of a union are: members of one plain kind share a column, all others make JSON. */
const kindOf = (ast: SchemaAST.AST): string | null => {
  switch (ast._tag) {
    case "String":
    case "TemplateLiteral":
      return "string"
    case "Number":
      return "number"
    case "Boolean":
      return "boolean"
    case "BigInt":
      return "bigint"
    case "Literal":
      return typeof ast.literal
    default:
      return null
  }
}

const isMixed = (members: ReadonlyArray<SchemaAST.AST>): boolean =>
  members.length > 1 && (members.some((member) => kindOf(member) === null) || new Set(members.map(kindOf)).size > 1)

/** `json`: the values stand in a column of JSON, which holds no dates, bytes or bigints. */
class Converter {
  readonly #recursive = new Map<SchemaAST.Suspend, Cells>()

  cells(ast: SchemaAST.AST, path: string, json: boolean): Cells {
    const unholdable = (what: string) => new Unholdable(`at ${path === "" ? "the top" : path}: ${what}`)
    switch (ast._tag) {
      case "Undefined":
      case "Void":
        return { ast: SchemaAST.null, convert: () => null }
      case "Symbol":
      case "UniqueSymbol":
        throw unholdable("a column holds no symbols")
      case "Never":
        throw unholdable("there is no value of this schema")
      case "BigInt":
        if (json) throw unholdable(`a bigint in a column of JSON; ${advice}`)
        return { ast, convert: checked.get("bigint")! }
      case "Literal":
        if (json && typeof ast.literal === "bigint") throw unholdable(`a bigint in a column of JSON; ${advice}`)
        return { ast, convert: null }
      case "Declaration":
        return this.#declaration(ast, path, json, unholdable)
      case "Objects":
        return this.#objects(ast, path, json)
      case "Arrays":
        return this.#arrays(ast, path, json)
      case "Union":
        return this.#union(ast, path, json)
      case "Suspend":
        return this.#suspend(ast, path)
      default:
        return { ast, convert: null }
    }
  }

  #declaration(
    ast: SchemaAST.Declaration,
    path: string,
    json: boolean,
    unholdable: (what: string) => Unholdable
  ): Cells {
    const representation = representationOf(ast)
    if (representation === "effect/schema/Json") return { ast, convert: null }
    if (representation === "effect/schema/Option") {
      const inner = this.cells(ast.typeParameters[0]!, path, json)
      return {
        ast: nullable(inner.ast),
        convert: (value) => Option.isOption(value) && Option.isSome(value) ? apply(inner.convert, value.value) : null
      }
    }
    const accepts = Schema.is(Schema.make<Schema.Constraint>(new SchemaAST.Declaration(ast.typeParameters, ast.run)))
    if (samples.filter((sample) => accepts(sample)).length !== 1) {
      throw unholdable(
        "a column holds texts, numbers, booleans, bigints, dates, bytes, lists and structs of them, and JSON, and no " +
          "objects of other classes: decode to one of those"
      )
    }
    if (json) throw unholdable(`a date or bytes in a column of JSON; ${advice}`)
    return { ast, convert: accepts(samples[0]) ? checked.get("date")! : null }
  }

  #objects(ast: SchemaAST.Objects, path: string, json: boolean): Cells {
    const isRecord = ast.indexSignatures.length > 0
    let changes = false
    const properties = ast.propertySignatures.map(({ name, type }) => {
      if (typeof name !== "string") throw new Unholdable(`at ${step(path, name)}: a column has no symbols as names`)
      const { ast: cell, convert } = this.cells(type, step(path, name), json || isRecord)
      const optional = SchemaAST.isOptional(type)
      changes ||= optional || convert !== null
      return { name, cell: optional ? nullable(cell) : cell, convert }
    })
    const values = ast.indexSignatures.map(({ parameter, type }) => {
      const { ast: cell, convert } = this.cells(type, `${path}[*]`, true)
      changes ||= convert !== null
      return { signature: new SchemaAST.IndexSignature(parameter, cell), convert }
    })
    if (!changes) return { ast, convert: null }
    const of = new Map(properties.map(({ convert, name }) => [name, convert]))
    /** Of several kinds of keys the values of one kind alone need to be changed. */
    const other = values.find(({ convert }) => convert !== null)?.convert ?? null
    return {
      ast: new SchemaAST.Objects(
        properties.map(({ cell, name }) => new SchemaAST.PropertySignature(name, cell)),
        values.map(({ signature }) => signature)
      ),
      convert: (value) => {
        const cells = {}
        if (typeof value !== "object" || value === null) return cells
        for (const { convert, name } of properties) {
          const held: unknown = Object.hasOwn(value, name) ? Reflect.get(value, name) : undefined
          put(cells, name, held === undefined || convert === null ? held ?? null : within(name, () => convert(held)))
        }
        for (const name of isRecord ? Object.keys(value) : []) {
          if (!of.has(name)) put(cells, name, within(name, () => apply(other, Reflect.get(value, name))))
        }
        return cells
      }
    }
  }

  #arrays(ast: SchemaAST.Arrays, path: string, json: boolean): Cells {
    // A list of one kind of element has a column of its own.
    const parts = [...ast.elements, ...ast.rest]
    const isTuple = parts.some((part) => part !== parts[0])
    const elements = ast.elements.map((element, i) => this.cells(element, `${path}[${i}]`, json || isTuple))
    const rest = ast.rest.map((element) => this.cells(element, `${path}[*]`, json || isTuple))
    if ([...elements, ...rest].every(({ convert }) => convert === null)) return { ast, convert: null }
    const [head, ...tail] = rest
    return {
      ast: new SchemaAST.Arrays(ast.isMutable, elements.map((cell) => cell.ast), rest.map((cell) => cell.ast)),
      convert: (value) =>
        !Array.isArray(value) ? value : value.map((element: unknown, i) => {
          const last = i - (value.length - tail.length)
          const cell = elements[i] ?? (last >= 0 ? tail[last] : head)
          return within(i, () => apply(cell?.convert ?? null, element)) ?? null
        })
    }
  }

  #union(ast: SchemaAST.Union, path: string, json: boolean): Cells {
    const mixed = json || isMixed(ast.types.filter((member) => !isNullish(member)))
    const members = ast.types.map((member) => ({ member, cell: this.cells(member, path, mixed) }))
    if (members.every(({ cell }) => cell.convert === null)) return { ast, convert: null }
    const changing = members.filter(({ cell }) => cell.convert !== null)
      .map(({ cell, member }) => ({ convert: cell.convert, is: Schema.is(Schema.make<Schema.Constraint>(member)) }))
    return {
      ast: new SchemaAST.Union(members.map(({ cell }) => cell.ast)),
      convert: (value) => {
        const changed = changing.find(({ is }) => is(value))
        return changed === undefined ? value : apply(changed.convert, value)
      }
    }
  }

  /** A recursive schema: its values are a column of JSON. */
  #suspend(ast: SchemaAST.Suspend, path: string): Cells {
    const known = this.#recursive.get(ast)
    if (known !== undefined) return known
    let inner: Cells | null = null
    const cells: Cells = {
      ast: new SchemaAST.Suspend(() => inner!.ast),
      convert: (value) => apply(inner!.convert, value)
    }
    this.#recursive.set(ast, cells)
    inner = this.cells(ast.thunk(), path, true)
    return cells
  }
}

const advice = "decode it to a text, or give it a column, a list or a struct of its own"

/**
 * The cells of the values of a schema (its type side), or a text that says which of them no column holds.
 *
 * @internal
 */
export const cellsOf = (ast: SchemaAST.AST): Cells | string => {
  try {
    return new Converter().cells(SchemaAST.toType(ast), "", false)
  } catch (cause) {
    if (cause instanceof Unholdable) return cause.message
    throw cause
  }
}
