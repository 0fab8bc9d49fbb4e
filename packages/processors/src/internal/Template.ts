/**
 * Templates with `{column}` placeholders and the literal braces of Python's `str.format`.
 *
 * @internal
 */
import * as Result from "effect/Result"

/**
 * A parsed template: `literals[0]`, the value of `names[0]`, `literals[1]`, ..., so one literal more than names.
 *
 * @internal
 */
export interface Template {
  readonly literals: ReadonlyArray<string>
  readonly names: ReadonlyArray<string>
}

/**
 * What is wrong with a template; `position` is the index of the brace in question.
 *
 * @internal
 */
export interface Malformed {
  readonly problem: string
  readonly position: number
}

/**
 * Parses a template, up to the first thing that is wrong with it.
 *
 * @internal
 */
export const parse = (template: string): Result.Result<Template, Malformed> => {
  const literals: Array<string> = []
  const names: Array<string> = []
  const braces = /[{}]/g
  let literal = ""
  let read = 0
  for (let found = braces.exec(template); found !== null; found = braces.exec(template)) {
    const brace = found[0]
    const position = found.index
    literal += template.slice(read, position)
    if (template[position + 1] === brace) {
      literal += brace
      read = position + 2
    } else if (brace === "}") {
      return Result.fail({ problem: "a single } (write }} for a brace)", position })
    } else {
      const end = template.indexOf("}", position)
      if (end < 0) return Result.fail({ problem: "a { without } (write {{ for a brace)", position })
      const name = template.slice(position + 1, end)
      if (name === "") return Result.fail({ problem: "{} names no column", position })
      const nested = name.indexOf("{")
      if (nested >= 0) {
        return Result.fail({ problem: `a { inside the placeholder {${name}}`, position: position + 1 + nested })
      }
      literals.push(literal)
      names.push(name)
      literal = ""
      read = end + 1
    }
    braces.lastIndex = read
  }
  literals.push(literal + template.slice(read))
  return Result.succeed({ literals, names })
}
