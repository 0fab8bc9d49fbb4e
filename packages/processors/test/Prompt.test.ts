import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Result, Schema } from "effect"
import { Prompt } from "../src/index.ts"

const compiled = (prompt: Prompt.Any, columns: ReadonlyArray<string>): Prompt.CompiledPrompt =>
  Result.getOrThrow(Prompt.compile(prompt, columns))

const render = (template: string, row: ReadonlyArray<readonly [column: string, value: unknown]>): string =>
  compiled(Prompt.make(template), row.map(([column]) => column)).render(row.map(([, value]) => [value]), 0)[0]!.content

const syntaxError = (make: () => unknown): Prompt.PromptSyntaxError => {
  try {
    make()
  } catch (error) {
    if (error instanceof Prompt.PromptSyntaxError) return error
    throw error
  }
  throw new Error("no error was thrown")
}

const text = (pieces: ReadonlyArray<string>, options?: Arbitrary.ArrayOptions): Arbitrary.Arbitrary<string> =>
  Arbitrary.array(Arbitrary.schema(Schema.Literals(pieces)), options).pipe(Arbitrary.map((parts) => parts.join("")))

const literal = text(["a", " ", "{", "}", "{{", "\n", "$", "\\", "é", "\u2028", "🂡", "%s", "{x}"])
const column = text(["a", "B", " ", "$", ":", "/", ".", "[0]", "!r", "__proto__", "constructor", "é", "\""], {
  minLength: 1,
  maxLength: 4
})
const segment = Arbitrary.all({ literal, column })

// Templates with a = "<{A}>" and b = "}b{", and what CPython's str.format makes of them; null where it raises.
const python: ReadonlyArray<readonly [template: string, result: string | null]> = [
  ["{b}  {b}b", "}b{  }b{b"],
  ["{b} a", "}b{ a"],
  [" {a}", " <{A}>"],
  ["}{b}{", null],
  ["}} a{{b}}", "} a{b}"],
  ["{b", null],
  ["{ {{", null],
  ["b{b}b{a} ", "b}b{b<{A}> "],
  ["} ", null],
  ["{a}}}{b}}{a}{{b", null],
  ["{a}{}}}}}", null],
  ["{a}}}}{{bb{", null],
  ["}}}}}}}b", null],
  ["{a}{{}{a}{{{}}}", null],
  ["b}{", null],
  ["{b}b ", "}b{b "],
  ["ba}}}}}}}", null],
  ["b{{a}{a}{", null],
  ["a}}}", null],
  ["{a}{{{{a}}}", null],
  ["}}", "}"],
  ["b{{{", null],
  ["}}aa{a}bbba", "}aa<{A}>bbba"],
  ["{b}b}} }}}{", null],
  ["{a}b}}{a}}} ", "<{A}>b}<{A}>} "],
  ["a{a}", "a<{A}>"],
  [" {{{b}", " {}b{"],
  ["a{{ {{{a}", "a{ {<{A}>"],
  [" {b}", " }b{"],
  ["}}{{}} ", "}{} "],
  ["{b}  ", "}b{  "],
  ["b{b}a{{  b", "b}b{a{  b"],
  ["}}{a}b}}", "}<{A}>b}"],
  ["bb}}b{{baa", "bb}b{baa"],
  ["b}}}}{b}", "b}}}b{"],
  [" {a}a", " <{A}>a"],
  ["}}a  b", "}a  b"],
  ["{b}}}{a} ", "}b{}<{A}> "],
  ["a{b}{b}  ", "a}b{}b{  "],
  ["{b}a{b}{b}{b}{a}{a}}}", "}b{a}b{}b{}b{<{A}><{A}>}"],
  ["{{{a}}}", "{<{A}>}"],
  ["{{a}}", "{a}"],
  ["{a}}}", "<{A}>}"],
  ["{{{a}", "{<{A}>"],
  ["}}{{", "}{"],
  ["{{}}{a}{{", "{}<{A}>{"],
  ["{a}}", null],
  ["{{{{a}}}}", "{{a}}"],
  ["{{{{{a}}}}}", "{{<{A}>}}"]
]

describe("templates", () => {
  it("names columns by anything between braces", () => {
    const prompt = Prompt.make("{Cost: Total $} {Aircraft: Make/Model} {a.b} {a[0]} {a!r} {a:>10} { a } {\n}")
    assert.deepStrictEqual(prompt.placeholders, [
      "Cost: Total $",
      "Aircraft: Make/Model",
      "a.b",
      "a[0]",
      "a!r",
      "a:>10",
      " a ",
      "\n"
    ])
  })

  it("lists each column once, in order of first appearance, the system text first", () => {
    assert.deepStrictEqual(Prompt.make("{b}{a}{b}", { system: "{c}{a}" }).placeholders, ["c", "a", "b"])
    assert.deepStrictEqual(Prompt.make("none {{not}}").placeholders, [])
  })

  it("takes an empty system text for none", () => {
    assert.deepStrictEqual(Prompt.make("a", { system: "" }).turns, [{ role: "user", content: "a" }])
    assert.deepStrictEqual(Prompt.make("a", { system: "b" }).turns, [
      { role: "system", content: "b" },
      { role: "user", content: "a" }
    ])
  })

  it("reads an empty template as an empty text", () => {
    assert.strictEqual(render("", []), "")
  })

  it("keeps its turns when the caller changes the array", () => {
    const turns: Array<{ role: "user"; content: string }> = [{ role: "user", content: "{a}" }]
    const prompt = Prompt.chat(turns)
    turns[0]!.content = "{b}"
    turns.push({ role: "user", content: "{c}" })
    assert.deepStrictEqual(compiled(prompt, ["a"]).render([["1"]], 0), [{ role: "user", content: "1" }])
    assert.deepStrictEqual(prompt.turns, [{ role: "user", content: "{a}" }])
  })

  it.each(python)("does with %j what Python does", (template, result) => {
    const row = [["a", "<{A}>"], ["b", "}b{"]] as const
    if (result === null) syntaxError(() => Prompt.make(template))
    else assert.strictEqual(render(template, row), result)
  })

  it.prop(
    "any text of braces is accepted and rendered as a scan of braces, doubled braces and names says",
    [text(["{", "}", "{{", "}}", "{a}"])],
    ([template]) => {
      const tokens: ReadonlyArray<string> = template.match(/\{\{|\}\}|\{[^{}]+\}|[{}]|[^{}]+/g) ?? []
      if (tokens.includes("{") || tokens.includes("}")) {
        syntaxError(() => Prompt.make(template))
        return
      }
      const meaning = new Map([["{{", "{"], ["}}", "}"], ["{a}", "<{a}>"]])
      const expected = tokens.map((token) => meaning.get(token) ?? token).join("")
      assert.strictEqual(render(template, [["a", "<{a}>"]]), expected)
    },
    { arbitrary: { runs: 500 } }
  )

  it.prop(
    "a template of any texts and any column names renders to their concatenation",
    {
      segments: Arbitrary.array(segment, { maxLength: 6 }),
      last: literal,
      row: Arbitrary.schema(Schema.Literals([0, 1]))
    },
    ({ last, row, segments }) => {
      const escape = (value: string) => value.replaceAll("{", "{{").replaceAll("}", "}}")
      const template = segments.map((part) => `${escape(part.literal)}{${part.column}}`).join("") + escape(last)
      const columns = ["unused", ...new Set(segments.map((part) => part.column))]
      const value = (name: string, index: number) => `<{${name}}${index}}}>`
      const values = columns.map((name) => [value(name, 0), value(name, 1)])
      const prompt = Prompt.make(template)
      const expected = segments.map((part) => part.literal + value(part.column, row)).join("") + last
      assert.deepStrictEqual(prompt.placeholders, columns.slice(1))
      assert.deepStrictEqual(compiled(prompt, columns).render(values, row), [{ role: "user", content: expected }])
    },
    { arbitrary: { runs: 300 } }
  )
})

describe("malformed templates", () => {
  it.each([
    ["Tell me {topic", 8, "a { without } (write {{ for a brace)"],
    ["Tell me topic}", 13, "a single } (write }} for a brace)"],
    ["{topic}}", 7, "a single } (write }} for a brace)"],
    ["{a} {}", 4, "{} names no column"],
    ["{a {b}", 3, "a { inside the placeholder {a {b}"],
    ["{{{{{", 4, "a { without } (write {{ for a brace)"]
  ])("%j is refused at its position", (template, position, problem) => {
    const error = syntaxError(() => Prompt.make(template))
    assert.deepInclude({ ...error }, { _tag: "PromptSyntaxError", part: "template", position, problem })
  })

  it("the message shows where, and no more than the neighbourhood", () => {
    const template: string = `${"x".repeat(1000)} about {topic${"y".repeat(1000)}`
    const error = syntaxError(() => Prompt.make(template))
    assert.strictEqual(
      error.message,
      "the template is malformed at position 1007: a { without } (write {{ for a brace), near " +
        `"${"x".repeat(13)} about {topic${"y".repeat(14)}"`
    )
  })

  it("the part says which text it is", () => {
    const wrong: string = "{"
    assert.strictEqual(syntaxError(() => Prompt.make("{a}", { system: wrong })).part, "system")
    assert.strictEqual(syntaxError(() => Prompt.make(wrong, { system: "a" })).part, "template")
    const turns = [{ role: "user", content: "a" }, { role: "assistant", content: wrong }] as const
    assert.strictEqual(syntaxError(() => Prompt.chat(turns)).part, "turns[1]")
  })
})

describe("compile", () => {
  it("lists all missing columns, each with the nearest that exists", () => {
    const prompt = Prompt.make("{topik} {Mood} {year} {topic}")
    assert.deepStrictEqual(Prompt.compile(prompt, ["id", "topic", "mood"]), Result.fail({
      missing: [
        { column: "topik", nearest: "topic" },
        { column: "Mood", nearest: "mood" },
        { column: "year", nearest: null }
      ]
    }))
  })

  it("lists the missing columns of a function", () => {
    const prompt = Prompt.fromColumns(["a", "topik"], () => [], { version: "1" })
    assert.deepStrictEqual(
      Prompt.compile(prompt, ["a", "topic"]),
      Result.fail({ missing: [{ column: "topik", nearest: "topic" }] })
    )
  })

  it("does not take what objects inherit for columns", () => {
    const prompt = Prompt.make("{__proto__}{constructor}{toString}{hasOwnProperty}")
    const failure = Result.getOrThrow(Result.flip(Prompt.compile(prompt, ["a"])))
    assert.deepStrictEqual(failure.missing.map((entry) => entry.column), [...prompt.placeholders])
  })

  it("renders columns that have the names of inherited members", () => {
    const columns = ["__proto__", "constructor", "toString", "length"]
    const values = columns.map((name) => [name.toUpperCase()])
    const prompt = Prompt.make("{toString}|{constructor}|{__proto__}|{length}")
    assert.strictEqual(compiled(prompt, columns).render(values, 0)[0]!.content, "TOSTRING|CONSTRUCTOR|__PROTO__|LENGTH")
    const fn = Prompt.fromColumns(["__proto__", "constructor", "toString"], (row) => [
      { role: "user", content: `${row.__proto__}|${row.constructor}|${row.toString}` }
    ], { version: "1" })
    assert.strictEqual(compiled(fn, columns).render(values, 0)[0]!.content, "__PROTO__|CONSTRUCTOR|TOSTRING")
  })

  it("says which columns are read, and reads the row that is asked for", () => {
    const prompt = compiled(Prompt.make("{c}-{a}-{c}"), ["a", "b", "c"])
    assert.deepStrictEqual(prompt.reads, [2, 0])
    assert.strictEqual(prompt.render([[1, 2], [], [3, 4]], 1)[0]!.content, "4-2-4")
  })

  it("reads the first of two columns of one name", () => {
    assert.strictEqual(compiled(Prompt.make("{a}"), ["a", "a"]).render([[1], [2]], 0)[0]!.content, "1")
  })

  it("never looks for placeholders in values", () => {
    assert.strictEqual(render("{a}{b}", [["a", "{b} {{ }}"], ["b", "{a}"]]), "{b} {{ }}{a}")
    assert.strictEqual(render("{a}", [["a", "$& $1 $$"]]), "$& $1 $$")
  })

  it("renders every turn of a chat", () => {
    const prompt = Prompt.chat([
      { role: "system", content: "{{{a}}}" },
      { role: "user", content: "fixed" },
      { role: "assistant", content: "{b}" },
      { role: "user", content: "{a}{b}" }
    ])
    assert.deepStrictEqual(compiled(prompt, ["b", "a"]).render([["B"], ["A"]], 0), [
      { role: "system", content: "{A}" },
      { role: "user", content: "fixed" },
      { role: "assistant", content: "B" },
      { role: "user", content: "AB" }
    ])
  })
})

describe("fromColumns", () => {
  it("gives the function exactly the named columns, a missing value as null", () => {
    const seen: Array<object> = []
    const prompt = Prompt.fromColumns(["b", "a", "b"], (row) => {
      seen.push({ ...row })
      return [{ role: "user", content: "x" }]
    }, { version: "1" })
    assert.deepStrictEqual(prompt.placeholders, ["b", "a"])
    assert.deepStrictEqual(prompt.turns, [])
    const { render } = compiled(prompt, ["a", "b", "c"])
    assert.deepStrictEqual(render([[undefined], [0], [3]], 0), [{ role: "user", content: "x" }])
    assert.deepStrictEqual(seen, [{ b: 0, a: null }])
  })

  it("throws what the function throws", () => {
    const problem = new RangeError("no such topic")
    const prompt = Prompt.fromColumns(["a"], () => {
      throw problem
    }, { version: "1" })
    try {
      compiled(prompt, ["a"]).render([[1]], 0)
      assert.fail("did not throw")
    } catch (error) {
      assert.strictEqual(error, problem)
    }
  })

  it.each([
    ["a string", "text"],
    ["nothing", undefined],
    ["no turns", []],
    ["a turn without content", [{ role: "user" }]],
    ["an unknown role", [{ role: "tool", content: "a" }]],
    ["null for a turn", [null]]
  ])("throws a TypeError for a function that gives %s", (_, given) => {
    const turns: () => any = () => given
    const prompt = Prompt.fromColumns(["a"], turns, { version: "1" })
    assert.throws(() => compiled(prompt, ["a"]).render([[1]], 0), TypeError, "must give an array of turns")
  })
})

describe("renderValue", () => {
  class Money {
    readonly amount = 1
    toJSON() {
      return { money: this.amount, at: undefined }
    }
  }
  it.each<[name: string, value: unknown, text: string]>([
    ["a string", "a\nb", "a\nb"],
    ["an empty string", "", ""],
    ["null", null, ""],
    ["undefined", undefined, ""],
    ["a function", () => 1, ""],
    ["a symbol", Symbol("a"), ""],
    ["a number", 0.1, "0.1"],
    ["a large number", 1e21, "1e+21"],
    ["negative zero", -0, "0"],
    ["NaN", NaN, "NaN"],
    ["a bigint", 12345678901234567890n, "12345678901234567890"],
    ["true", true, "true"],
    ["false", false, "false"],
    ["a date", new Date(0), "1970-01-01T00:00:00.000Z"],
    ["an invalid date", new Date(NaN), ""],
    ["bytes", Uint8Array.of(0, 1, 255), "AAH/"],
    ["part of a buffer", new Uint8Array(Uint8Array.of(9, 1, 2, 9).buffer, 1, 2), "AQI="],
    ["no bytes", new Uint8Array(), ""],
    ["a vector", Float32Array.of(0.5, -1, NaN), "[0.5,-1,null]"],
    ["bigints in an array", BigInt64Array.of(1n, -2n), "[1,-2]"],
    ["an array", [1, "a", null, undefined, () => 1, [true]], "[1,\"a\",null,null,null,[true]]"],
    ["an object", { a: 1, b: undefined, c: () => 1, "d\"": "e\"" }, "{\"a\":1,\"d\\\"\":\"e\\\"\"}"],
    ["a bigint in an object", { a: 2n ** 64n }, "{\"a\":18446744073709551616}"],
    ["dates in an object", { a: new Date(0), b: new Date(NaN) }, "{\"a\":\"1970-01-01T00:00:00.000Z\",\"b\":null}"],
    ["bytes in an object", { a: Uint8Array.of(255) }, "{\"a\":\"/w==\"}"],
    ["numbers that JSON lacks", [Infinity, NaN, -0], "[null,null,0]"],
    ["toJSON", [new Money()], "[{\"money\":1}]"],
    ["a member called toJSON", { toJSON: 1 }, "{\"toJSON\":1}"],
    ["a member called __proto__", JSON.parse("{\"__proto__\":{\"a\":1}}"), "{\"__proto__\":{\"a\":1}}"],
    ["an object without a prototype", Object.assign(Object.create(null), { a: 1 }), "{\"a\":1}"],
    ["a lone surrogate", ["\ud800"], "[\"\\ud800\"]"],
    ["a map", new Map([[1, 2]]), "{}"]
  ])("renders %s", (_, value, expected) => {
    assert.strictEqual(Prompt.renderValue(value), expected)
  })

  it("never throws: getters, toJSON, proxies, cycles and depth", () => {
    const throwing = { toJSON: () => { throw new Error("no") } }
    const getter = { get a() { throw new Error("no") } }
    const proxy = new Proxy({}, { ownKeys: () => { throw new Error("no") } })
    assert.strictEqual(Prompt.renderValue([throwing, getter, proxy, 1]), "[null,null,null,1]")
    const cycle: { left?: unknown; right?: unknown; shared?: unknown } = { shared: [{}, {}] }
    cycle.left = [cycle]
    cycle.right = cycle
    assert.strictEqual(Prompt.renderValue([cycle]), "[{\"shared\":[{},{}],\"left\":[null],\"right\":null}]")
    const itself = { toJSON: (): unknown => itself }
    assert.strictEqual(Prompt.renderValue(itself), "null")
    let deep: unknown = 1
    for (let level = 0; level < 100_000; level++) deep = [deep]
    assert.strictEqual(Prompt.renderValue(deep), `${"[".repeat(500)}null${"]".repeat(500)}`)
  })

  it.prop("renders JSON as JSON.stringify does", [Schema.Json], ([value]) => {
    assert.strictEqual(Prompt.renderValue([value]), JSON.stringify([value]))
  })
})

describe("fingerprint", () => {
  it("of templates is their turns, and makes the prompt again", () => {
    const prompt = Prompt.make("{b} {{", { system: "{a}" })
    assert.deepStrictEqual(Prompt.fingerprint(prompt), {
      type: "templates",
      turns: [{ role: "system", content: "{a}" }, { role: "user", content: "{b} {{" }]
    })
    assert.deepStrictEqual(Prompt.chat(prompt.turns), prompt)
  })

  it("of a function is its columns and version", () => {
    const prompt = Prompt.fromColumns(["b", "a"], () => [], { version: "7" })
    assert.deepStrictEqual(Prompt.fingerprint(prompt), { type: "function", columns: ["b", "a"], version: "7" })
  })

  it("is the same text for equal turns whose members are in another order", () => {
    const one = Prompt.chat([{ role: "user", content: "a" }])
    const other = Prompt.chat([{ content: "a", role: "user" }])
    assert.strictEqual(JSON.stringify(Prompt.fingerprint(one)), JSON.stringify(Prompt.fingerprint(other)))
  })
})

describe("nearest", () => {
  it.each<[name: string, candidates: ReadonlyArray<string>, found: string | null]>([
    ["topik", ["id", "topic"], "topic"],
    ["Topic", ["tropic", "TOPIC"], "TOPIC"],
    ["tpoic", ["topic"], "topic"],
    ["input text", ["inputs", "input_text"], "input_text"],
    ["lang", ["language"], null],
    ["x", ["y"], null],
    ["x", ["X"], "X"],
    ["ab", ["abc"], "abc"],
    ["topic", [], null],
    ["", ["a"], null],
    ["cat", ["cut", "cot"], "cut"]
  ])("of %j among %j", (name, candidates, found) => {
    assert.strictEqual(Prompt.nearest(name, candidates), found)
  })

  it("stays quick with many long names", () => {
    const candidates = Array.from({ length: 2_000 }, (_, index) => `${"column".repeat(1_000)}${index}`)
    assert.strictEqual(Prompt.nearest(`${"column".repeat(1_000)}x`, candidates), null)
  })
})
