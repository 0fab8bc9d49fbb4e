/**
 * From the text of an answer to the values of its fields, or to what is wrong with it, which never quotes it.
 *
 * @internal
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as SchemaAST from "effect/SchemaAST"
import * as SchemaIssue from "effect/SchemaIssue"
import type { OutputWay } from "../Processor.ts"
import { type Convert, Misfit } from "./Cells.ts"
import type { OutputSchema } from "./OutputSchema.ts"

/** Models that are only told of a schema like to put their JSON between these. */
const fence = /^```json[ \t]*\r?\n([^]*?)\r?\n?[ \t]*```$/i

const bare = (text: string): string => {
  const trimmed = text.trim()
  return fence.exec(trimmed)?.[1] ?? trimmed
}

const articles: { readonly [tag: string]: string } = {
  String: "a string",
  Number: "a number",
  Boolean: "a boolean",
  Null: "null",
  Objects: "an object",
  Arrays: "an array"
}

const expectedOf = (ast: SchemaAST.AST): string => {
  const expected: unknown = ast.annotations?.["expected"]
  return typeof expected === "string"
    ? expected
    : articles[ast._tag] ?? SchemaIssue.defaultLeafHook(new SchemaIssue.InvalidType(ast)).replace(/^Expected /, "")
}

const expectedIn = (annotations: object | undefined): string | null => {
  const expected: unknown = annotations === undefined ? undefined : Reflect.get(annotations, "expected")
  return typeof expected === "string" ? `expected ${expected}` : null
}

/** Texts of the schema alone: what a transformation says of its own may have the value in it. */
const leafHook = (issue: SchemaIssue.Leaf): string => {
  switch (issue._tag) {
    case "InvalidType":
      return `expected ${expectedOf(issue.ast)}`
    case "InvalidValue":
      return expectedIn(issue.annotations) ?? "expected another value"
    case "MissingKey":
      return "the property is missing"
    case "UnexpectedKey":
      return "there is no such property"
    case "Forbidden":
      return "expected another value"
    case "OneOf":
      return "more than one member of a union fits"
  }
}

const checkHook = (issue: SchemaIssue.Filter): string | undefined =>
  issue.issue._tag === "InvalidValue"
    ? expectedIn(issue.filter.annotations) ?? "expected a value that passes the schema's check"
    : undefined

const format = SchemaIssue.makeFormatterStandardSchemaV1({ leafHook, checkHook })

/** Keys of a record are the model's words: only the schema's own names are told. */
const pathOf = (path: ReadonlyArray<unknown>, names: ReadonlySet<string>): string =>
  path.map((step) =>
    typeof step === "number" ? `[${step}]` : names.has(String(step)) ? `[${JSON.stringify(step)}]` : "[*]"
  ).join("")

const faultAt = (path: ReadonlyArray<unknown>, message: string, names: ReadonlySet<string>): string =>
  path.length === 0 ? message : `at ${pathOf(path, names)}: ${message}`

const faultOf = (issue: SchemaIssue.Issue, names: ReadonlySet<string>): string => {
  const [first] = format(issue).issues
  if (first === undefined) return "it does not fit the schema"
  const steps = (first.path ?? []).map((step) => typeof step === "object" ? step.key : step)
  return faultAt(steps, first.message.replace(/^Expected /, "expected "), names)
}

/** Reads the text of an answer; a failure says what is wrong. @internal */
export type Reader = (text: string) => Result.Result<unknown, string>

/** `convert` makes the values those of columns. @internal */
export const readerOf = ({ codec, names }: OutputSchema, way: OutputWay, convert: Convert | null): Reader => {
  const decode = Schema.decodeUnknownResult(codec)
  // A family may tell by instruction what it was to tell by a tool: Claude does not think where a tool is forced.
  const parse = (text: string): unknown => JSON.parse(way === "schema" ? text : bare(text))
  return (text) => {
    let json: unknown
    try {
      json = parse(text)
    } catch {
      return Result.fail(text.trim() === "" ? "it is empty" : "it is not JSON")
    }
    try {
      const decoded = decode(json)
      return Result.isSuccess(decoded)
        ? Result.succeed(convert === null ? decoded.success : convert(decoded.success))
        : Result.fail(faultOf(decoded.failure.issue, names))
    } catch (cause) {
      if (cause instanceof Misfit) return Result.fail(faultAt(cause.path, cause.message, names))
      // Functions of the schema may throw, and JSON may be nested deeper than they can go.
      return Result.fail(`the schema threw ${cause instanceof Error ? cause.name : typeof cause}`)
    }
  }
}
