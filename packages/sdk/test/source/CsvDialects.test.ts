import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Schema } from "effect"
import { open as openHandle } from "node:fs/promises"
import { pathToFileURL } from "node:url"
import { gzipSync, zstdCompressSync } from "node:zlib"
import { csv, type CsvOptions } from "../../src/source/Csv.ts"
import { CsvFault, CsvParser } from "../../src/source/internal/CsvParser.ts"
import type { Cells, CsvDialect } from "../../src/source/internal/CsvText.ts"
import { faultOf, inFolder, readAll, reasonOf, rowsOf } from "./folder.ts"

const cellsOf = (rows: ReadonlyArray<object>) => rows.map((row) => Object.values(row))

describe("Source.csv of another dialect", () => {
  it.effect("reads tabs where the name says so, and other delimiters where an option does", () =>
    inFolder((file) =>
      Effect.gen(function*() {
        const expected = [{ a: "1,2", b: "x" }]
        for (const name of ["a.tsv", "a.TAB", "a b.tsv"]) {
          assert.deepStrictEqual(yield* readAll(csv(yield* file(name, "a\tb\n1,2\tx\n"))), expected)
        }
        const packed = yield* file("a.tsv.gz", gzipSync("a\tb\n1,2\tx\n"))
        assert.deepStrictEqual(yield* readAll(csv(packed)), expected)
        const commas = yield* file("commas.tsv", "a,b\n\"1,2\",x\n")
        assert.deepStrictEqual(yield* readAll(csv(commas, { delimiter: "," })), expected)
        const pipes = yield* file("pipes.csv", "a|b\n1,2|x\n")
        assert.deepStrictEqual(yield* readAll(csv(pipes, { delimiter: "|" })), expected)
        const same = "a\n1\n"
        const identity = (name: string) =>
          Effect.flatMap(file(name, same), (path) => Effect.map(csv(path).open, (opened) => opened.identity))
        assert.notStrictEqual(yield* identity("same.csv"), yield* identity("same.tsv"))
      })
    ))

  it.effect("reads other quotes, none at all, and quotes that are escaped otherwise", () =>
    inFolder((file) =>
      Effect.gen(function*() {
        const read = (text: string, options: CsvOptions) =>
          Effect.flatMap(file("a.csv", text), (path) =>
            Effect.map(readAll(csv(path, options as object)), cellsOf))
        assert.deepStrictEqual(yield* read("a,b\n'it''s, \"so\"',x\n", { quote: "'" }), [["it's, \"so\"", "x"]])
        assert.deepStrictEqual(yield* read("a,b\n\"x,5\" y\r\n\"\"\"\",\"\n", { quote: null }), [
          ["\"x", "5\" y"],
          ["\"\"\"\"", "\""]
        ])
        const backslash = { escape: "\\" }
        assert.deepStrictEqual(
          yield* read("a,b\n\"say \\\"hi\\\", \\\\\",\"c:\\dir\\\\\"\n\\,\"\"\n", backslash),
          [["say \"hi\", \\", "c:\\dir\\"], ["\\", ""]]
        )
        const crlf = "a,b\r\n\"x\r\n\\\"\",1\r\n\"\" ,2\r\n"
        assert.deepStrictEqual(yield* read(crlf, backslash), [["x\r\n\"", "1"], ["", "2"]])
        assert.deepStrictEqual(yield* read("a,b\n\"1\",\"2\"", backslash), [["1", "2"]])
        assert.deepStrictEqual(yield* read("a,b\n\"1\",", backslash), [["1", ""]])
      })
    ))

  it.effect("refuses broken quotes of a dialect with an escape, with the row", () =>
    inFolder((file) =>
      Effect.gen(function*() {
        for (const rows of ["\"x\"y,2\n3,4\n", "\"x\"\"y\",2\n", "3,\"4\n5,6\n", "\"x\\\""]) {
          const fault = yield* faultOf(csv(yield* file("a.csv", `a,b\n1,2\n${rows}`), { escape: "\\" }))
          assert.deepStrictEqual([fault.row, fault.problem], [2, "malformed"])
          assert.include(fault.message, "a quoted field is not closed")
        }
      })
    ))

  it.effect("leaves out lines that begin with the comment, wherever they are, and lines before the header", () =>
    inFolder((file) =>
      Effect.gen(function*() {
        const read = (text: string, options: CsvOptions) =>
          Effect.flatMap(file("a.csv", text), (path) =>
            Effect.map(readAll(csv(path, options as object)), cellsOf))
        const comment = { comment: "#" }
        const text = "# it's \"open\n#\na,b\n1,#2\n# \"\"\n\n\"# 3\",4\n#,\"\n#"
        for (const option of [comment, { ...comment, escape: "\\" }]) {
          assert.deepStrictEqual(yield* read(text, option), [["1", "#2"], ["# 3", "4"]])
        }
        assert.deepStrictEqual(yield* read("// x\r\na\r\n1\r\n// \"\r\n2", { comment: "//" }), [["1"], ["2"]])
        assert.deepStrictEqual(yield* read("a\n#1\n\"#1\"\n\"\"\n", { ...comment, quote: "\"" }), [["#1"], [""]])
        for (const end of ["\n", "\r\n", "\r"]) {
          const preamble = `Report "of ${end}${end}x,y,z${end}a,b${end}1,2${end}`
          assert.deepStrictEqual(yield* read(preamble, { skipLines: 3 }), [["1", "2"]])
          assert.deepStrictEqual(yield* read(`\ufeff${preamble}`, { skipLines: 3 }), [["1", "2"]])
        }
        assert.deepStrictEqual(yield* read("x\ny\n", { skipLines: 1 }), [])
        for (const skipLines of [2, 3]) {
          const short = yield* file("b.csv", "x\ny\n")
          assert.strictEqual((yield* faultOf(csv(short, { skipLines }))).problem, "empty")
        }
      })
    ))

  it.effect("loses no row to a comment that ends otherwise than the lines of the file do", () =>
    inFolder((file) =>
      Effect.gen(function*() {
        for (const text of ["a\r\n1\r\n# x\n2\r\n", "a\r\n1\r\n# x\n2", "a\n1\n# x\r2\n"]) {
          const fault = yield* faultOf(csv(yield* file("a.csv", text), { comment: "#" }))
          assert.include(fault.message, "a line ends otherwise")
        }
      })
    ))

  it.effect("takes the names of a file without a header from the option", () =>
    inFolder((file) =>
      Effect.gen(function*() {
        const path = yield* file("a.csv", "1,x\n2,y\n")
        const names = ["n", "text"]
        const columns = Schema.Struct({ n: Schema.Int })
        const expected = [{ n: 1, text: "x" }, { n: 2, text: "y" }]
        assert.deepStrictEqual(yield* readAll(csv(path, { names, columns })), expected)
        assert.deepStrictEqual(yield* readAll(csv(path, { names, select: ["text"], skipLines: 1 })), [{ text: "y" }])
        assert.deepStrictEqual(yield* readAll(csv(yield* file("b.csv", ""), { names })), [])
        const wide = yield* faultOf(csv(path, { names: ["n"] }))
        assert.include(wide.message, "row 1, column \"extra field 2\": the row has 2 fields, `names` 1")
        const missing = yield* reasonOf(readAll(csv(path, { names, select: ["txt"] })))
        assert.include(missing.message, "did you mean \"text\"")
      })
    ))

  it.effect("refuses dialects that cannot work", () =>
    inFolder((file) =>
      Effect.gen(function*() {
        const path = yield* file("a.csv", "a\n1\n")
        const tabs = yield* file("a.tsv", "a\n1\n")
        const wrong = (options: object, location = path) =>
          Effect.map(
            reasonOf(readAll(csv(location, options))),
            (reason) => reason._tag === "InvalidOption" ? reason.path : reason._tag
          )
        for (const quote of ["", "''", " ", "\n", 5, ","]) {
          assert.include(["quote", "delimiter"], yield* wrong({ quote }))
        }
        assert.strictEqual(yield* wrong({ quote: ";", delimiter: ";" }), "delimiter")
        for (const escape of ["", "\\\\", "\n", 5, null]) assert.strictEqual(yield* wrong({ escape }), "escape")
        assert.strictEqual(yield* wrong({ escape: "\\", quote: null }), "escape")
        for (const comment of ["", "\n", "\"", "a\n", ",", 5, null]) {
          assert.strictEqual(yield* wrong({ comment }), "comment")
        }
        assert.strictEqual(yield* wrong({ comment: "\t" }, tabs), "comment")
        for (const skipLines of [-1, 0.5, "1", Number.NaN]) assert.strictEqual(yield* wrong({ skipLines }), "skipLines")
        for (const names of [[], "a", [""], ["a", "a"], [5]]) assert.strictEqual(yield* wrong({ names }), "names")
        for (const select of [[], "a", ["a", "a"]]) assert.strictEqual(yield* wrong({ select }), "select")
        for (const limit of [0, 1.5, "1"]) assert.strictEqual(yield* wrong({ limit }), "limit")
      })
    ))

  it.effect("has an identity of all that changes the rows", () =>
    inFolder((file) =>
      Effect.gen(function*() {
        const a = yield* file("a.csv", "a,b\n1,2\n")
        const b = yield* file("b.csv", "a,b\n3,4\n")
        const sources = [
          csv(a),
          csv([a, b]),
          csv([b, a]),
          csv(a, { quote: null }),
          csv(a, { quote: "'" }),
          csv(a, { escape: "\\" }),
          csv(a, { comment: "#" }),
          csv(a, { skipLines: 1 }),
          csv(a, { names: ["a", "b"] }),
          csv(a, { select: ["a"] }),
          csv(a, { select: ["b", "a"] }),
          csv(a, { limit: 1 })
        ]
        const opened = yield* Effect.forEach(sources, (source) => source.open)
        const identities = opened.map(({ identity }) => identity)
        assert.strictEqual(new Set(identities).size, sources.length)
        const spelled = yield* csv(a, { delimiter: ",", quote: "\"", escape: "\"", skipLines: 0 }).open
        assert.strictEqual(spelled.identity, identities[0])
      })
    ))
})

describe("Source.csv of several files", () => {
  it.effect("reads them as one table with the first one's order of columns, however they are compressed", () =>
    inFolder((file) =>
      Effect.gen(function*() {
        const a = yield* file("data/a.csv", "x,y\n1,a\n")
        const b = yield* file("data/b.csv.gz", gzipSync("y,x\r\nb,2\r\n"))
        const c = yield* file("data/c.tsv.zst", zstdCompressSync("x\ty\n3\tc\n"))
        yield* file("data/empty.csv", "x,y\n")
        const expected = [{ x: "1", y: "a" }, { x: "2", y: "b" }, { x: "3", y: "c" }]
        assert.deepStrictEqual(yield* readAll(csv([a, b, c])), expected)
        const opened = yield* csv(new URL(".", pathToFileURL(a))).open
        assert.deepStrictEqual(yield* rowsOf(opened), expected)
        assert.strictEqual(opened.uri, new URL(".", pathToFileURL(a)).href)
        const columns = Schema.Struct({ x: Schema.Int })
        assert.deepStrictEqual(yield* readAll(csv([b, a], { columns, select: ["x"] })), [{ x: 2 }, { x: 1 }])
      })
    ))

  it.effect("names the file whose columns are others, and rows within their file", () =>
    inFolder((file) =>
      Effect.gen(function*() {
        const a = yield* file("a.csv", "x,y\n1,a\n")
        const lacks = yield* file("lacks.csv", "x\n1\n")
        const adds = yield* file("adds.csv", "x,z,y\n1,2,3\n")
        const bad = yield* file("bad.csv", "x,y\n1,2\n3\n")
        const empty = yield* file("empty.csv", "")
        const fault = (path: string) =>
          Effect.map(faultOf(csv([a, path], { select: ["x"] })), (fault) => {
            assert.strictEqual(fault.uri, pathToFileURL(path).href)
            return fault
          })
        const { message } = yield* fault(lacks)
        assert.include(message, "the file lacks the columns \"y\"; all files must have the columns of")
        assert.include((yield* fault(adds)).message, "the file has the columns \"z\" besides")
        assert.strictEqual((yield* fault(bad)).row, 2)
        assert.strictEqual((yield* fault(empty)).problem, "empty")
      })
    ))

  it.effect("takes the first rows, over all files, and looks at no row beyond them", () =>
    inFolder((file) =>
      Effect.gen(function*() {
        const a = yield* file("a.csv", "x\n1\n2\n")
        const b = yield* file("b.csv", "x\n3\n4,5\n\"")
        const none = yield* file("c.csv", "")
        assert.deepStrictEqual(yield* readAll(csv([a, b], { limit: 3 })), [{ x: "1" }, { x: "2" }, { x: "3" }])
        assert.deepStrictEqual(yield* readAll(csv([a, none], { limit: 2 })), [{ x: "1" }, { x: "2" }])
        assert.deepStrictEqual(yield* readAll(csv([a, b], { limit: 1 })), [{ x: "1" }])
        assert.strictEqual((yield* faultOf(csv([a, b], { limit: 4 }))).row, 2)
        const large = yield* file("d.csv", `x\n${"1\n".repeat(500_000)}`)
        const opened = yield* csv(large, { limit: 10 }).open
        yield* file("d.csv", "x\n1\n")
        assert.include((yield* reasonOf(rowsOf(opened))).message, "the file changed while it was read")
      })
    ))

  it.effect("takes the selected columns, in their order", () =>
    inFolder((file) =>
      Effect.gen(function*() {
        const path = yield* file("a.csv", "a,b,c\n1,NA,3\n")
        assert.deepStrictEqual(
          (yield* readAll(csv(path, { select: ["c", "b"], nullValues: ["NA"] }))).map((row) => Object.entries(row)),
          [[["c", "3"], ["b", null]]]
        )
        const columns = Schema.Struct({ b: Schema.Int, c: Schema.Int })
        assert.deepStrictEqual(yield* readAll(csv(path, { select: ["c"], columns })), [{ c: 3 }])
        const missing = yield* reasonOf(readAll(csv(path, { select: ["d"] })))
        assert.strictEqual(missing._tag, "InvalidColumns")
      })
    ))

  it.effect("fails at bigints that a column of 64 bits does not hold", () =>
    inFolder((file) =>
      Effect.gen(function*() {
        const path = yield* file("a.csv", "n\n9223372036854775807\n9223372036854775808\n")
        const fault = yield* faultOf(csv(path, { columns: Schema.Struct({ n: Schema.BigInt }) }))
        assert.include(fault.message, "row 2, column \"n\": the cell does not decode: the bigint does not fit 64 bits")
      })
    ))

  it.effect("fails at a row longer than 64 MB without holding the file, also after an open quote", () =>
    inFolder((file) =>
      Effect.gen(function*() {
        for (const start of ["a,b\n1,2\n3,\"4\n", "a,b\n1,2\n3,"]) {
          const path = yield* file("a.csv", start)
          yield* Effect.promise(async () => {
            const handle = await openHandle(path, "a")
            await handle.truncate(200_000_000)
            await handle.close()
          })
          const fault = yield* faultOf(csv(path))
          assert.deepStrictEqual([fault.row, fault.problem], [2, "malformed"])
          assert.include(fault.message, "is a quote left open in it?")
        }
      })
    ), 20_000)
})

const parse = (dialect: CsvDialect, bytes: Uint8Array, pieceSize: number, names: ReadonlyArray<string> | null) => {
  const parser = new CsvParser({ ...dialect, names, parseAt: 1 })
  const rows: Array<Cells> = []
  for (let at = 0; at < bytes.length; at += pieceSize) rows.push(...parser.push(bytes.subarray(at, at + pieceSize)))
  rows.push(...parser.end())
  return { header: parser.header, rows }
}

describe("CsvParser", () => {
  it("stops early in a row whose quotes are wrong, and holds no more than a row", () => {
    const parser = new CsvParser({ delimiter: ",", quote: "\"", escape: "\"", comment: null })
    parser.push(Buffer.from("a\n\""))
    const piece = Buffer.from("x\"y\"z,".repeat(50_000))
    const faultAt = (): number => {
      for (let pieces = 0; pieces < 1000; pieces++) {
        try {
          parser.push(piece)
        } catch (fault) {
          assert.isTrue(fault instanceof CsvFault)
          return pieces
        }
      }
      return 1000
    }
    assert.isBelow(faultAt(), 5)
  })

  const anyText = Arbitrary.schema(Schema.String)
  // Texts of the characters that matter are more likely to go wrong.
  const characters = Schema.Literals(["\"", "'", "\\", ",", ";", "\t", "\n", "\r", "#", " ", "é", "😀", "x"])
  const nastyText = Arbitrary.array(Arbitrary.schema(characters), { maxLength: 6 }).pipe(
    Arbitrary.map((characters) => characters.join(""))
  )
  const rowsOfFour = (text: Arbitrary.Arbitrary<string>) =>
    Arbitrary.array(Arbitrary.array(text, { minLength: 4, maxLength: 4 }), { maxLength: 12 })

  const tables = Arbitrary.all({
    names: Arbitrary.array(anyText, { minLength: 1, maxLength: 4 }),
    rows: rowsOfFour(anyText),
    nasty: rowsOfFour(nastyText),
    delimiter: Arbitrary.schema(Schema.Literals([",", ";", "\t", "|"])),
    quote: Arbitrary.schema(Schema.Literals(["\"", "'"])),
    escape: Arbitrary.schema(Schema.Literals(["quote", "\\", "^"])),
    comment: Arbitrary.schema(Schema.NullOr(Schema.Literals(["#", "//"]))),
    newline: Arbitrary.schema(Schema.Literals(["\n", "\r\n", "\r"])),
    pieceSize: Arbitrary.schema(Schema.Literals([1, 3, 7, 64, 4096])),
    headerless: Arbitrary.schema(Schema.Boolean)
  })

  it.prop("gives back any table of texts in any dialect, however it is cut", { table: tables }, ({ table }) => {
    const { comment, delimiter, headerless, newline, pieceSize, quote } = table
    const escape = table.escape === "quote" ? quote : table.escape
    const dialect = { delimiter, quote, escape, comment }
    const names = [...new Set(table.names.map((name) => Buffer.from(name).toString()))].filter((name) => name !== "")
    if (names.length === 0) return
    const rows = [...table.rows, ...table.nasty].map((row) =>
      names.map((_, j) => Buffer.from(row[j]!).toString()))
    const field = (text: string): string => {
      // Every second one is quoted without need.
      if (text !== "" && !/["'\\^,;\t|\r\n#/\s]/.test(text) && text.length % 2 === 0) return text
      const inner = escape === quote
        ? text.replaceAll(quote, quote + quote)
        : text.replaceAll(escape, escape + escape).replaceAll(quote, escape + quote)
      return quote + inner + quote
    }
    const between = comment === null ? "" : `${comment} a ${quote}comment${newline}`
    const text = (headerless ? rows : [names, ...rows])
      .map((row) => between + row.map(field).join(delimiter) + newline)
      .join("")
    // A header that begins with a byte order mark would lose it.
    if (text.startsWith("\ufeff")) return
    assert.deepStrictEqual(parse(dialect, Buffer.from(text), pieceSize, headerless ? names : null), {
      header: names,
      rows
    })
  }, { arbitrary: { runs: 1000 } })

  it.prop("gives back any table of texts without quotes", { table: tables }, ({ table }) => {
    const clean = (text: string) => Buffer.from(text).toString().replaceAll(/[,\r\n\ufeff]/g, "")
    const rows = [...table.rows, ...table.nasty].map((row) => [clean(row[0]!), `${clean(row[1]!)}.`])
    const text = rows.map((row) => `${row.join()}${table.newline}`).join("")
    const dialect = { delimiter: ",", quote: null, escape: null, comment: null }
    assert.deepStrictEqual(parse(dialect, Buffer.from(text), table.pieceSize, ["a", "b"]).rows, rows)
  })
})
