import * as Media from "@bedrock-batch/processors/Media"
import * as Prompt from "@bedrock-batch/processors/Prompt"
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Result, Schema } from "effect"

const png = Buffer.from("89504e470d0a1a0a0000000d49484452", "hex")
const image = Prompt.image("photo")
const document = Prompt.document("file")

const succeeded = <A>(result: Result.Result<A, string>): A =>
  Result.isSuccess(result) ? result.success : assert.fail(result.failure)
const failed = (result: Result.Result<unknown, string>): string =>
  Result.isFailure(result) ? result.failure : assert.fail("it succeeded")

const formatOf = (value: unknown, attachment: Prompt.Attachment = image) =>
  succeeded(Media.fromCell(value, attachment))?.format

describe("Media", () => {
  it("makes the same media of bytes, base64, base64 for URLs in lines, a data: URL and a file of a dataset", () => {
    const bytes = Buffer.concat([png, Buffer.from([0xfb, 0xff, 0xfe, 0x3e])])
    const base64 = bytes.toString("base64")
    const wanted: Prompt.Media = { kind: "image", format: "png", name: null, source: { type: "bytes", base64 } }
    const lines = bytes.toString("base64url").replace(/(.{8})/g, "$1\r\n")
    const cells = [
      bytes,
      new Uint8Array(bytes),
      base64,
      lines,
      `data:image/png;base64,${base64}`,
      `DATA:;Base64,${base64}`,
      { bytes, path: "x.jpg" },
      { bytes: base64, path: null }
    ]
    for (const cell of cells) assert.deepStrictEqual(succeeded(Media.fromCell(cell, image)), wanted)
  })

  it("takes null, undefined, an empty text, no bytes and a file without bytes for no media", () => {
    const without = { bytes: null, path: "a.png" }
    for (const cell of [null, undefined, "", new Uint8Array(), "data:image/png;base64,", without]) {
      assert.isNull(succeeded(Media.fromCell(cell, image)))
    }
  })

  it("tells formats from the first bytes", () => {
    const head = (text: string) => Buffer.from(text, "latin1")
    const known: ReadonlyArray<readonly [string, Buffer]> = [
      ["png", png],
      ["jpeg", Buffer.from("ffd8ffe000104a464946", "hex")],
      ["gif", head("GIF89a\x01\x00")],
      ["webp", head("RIFF\x24\x00\x00\x00WEBPVP8 ")],
      ["wav", head("RIFF\x24\x00\x00\x00WAVEfmt ")],
      ["pdf", head("%PDF-1.7\n")],
      ["mp4", head("\x00\x00\x00\x18ftypisom")],
      ["mov", head("\x00\x00\x00\x14ftypqt  ")],
      ["m4a", head("\x00\x00\x00\x20ftypM4A ")],
      ["three_gp", head("\x00\x00\x00\x20ftyp3gp4")],
      ["webm", Buffer.from("1a45dfa39f4286810142f7810142f2810442f381084282847765626d", "hex")],
      ["mkv", Buffer.concat([Buffer.from("1a45dfa3", "hex"), head("\x01\x42\x82\x88matroska")])],
      ["mp3", head("ID3\x04\x00")],
      ["mp3", Buffer.from("fffb9064", "hex")],
      ["flac", head("fLaC\x00")],
      ["ogg", head("OggS\x00")]
    ]
    for (const [format, bytes] of known) assert.strictEqual(Media.sniff(bytes), format)
    const unknown = ["PK\x03\x04", "\xd0\xcf\x11\xe0", "hello", "", "RIFF\x24\x00\x00\x00AVI ", "\xff\xfe\x41\x00"]
    for (const text of [...unknown, "\xff\xff\xff"]) assert.isNull(Media.sniff(head(text)), JSON.stringify(text))
  })

  it("takes the given format first, then the bytes, then the MIME type, then the name, in Bedrock's words", () => {
    assert.strictEqual(formatOf(png, Prompt.image("photo", { format: "JPG" })), "jpeg")
    assert.strictEqual(formatOf(`data:image/jpeg;base64,${png.toString("base64")}`), "png")
    const text = Buffer.from("a,b\n1,2\n")
    assert.strictEqual(formatOf(`data:text/csv;base64,${text.toString("base64")}`, document), "csv")
    assert.strictEqual(formatOf("data:text/plain;charset=utf-8,a%20b", document), "txt")
    assert.strictEqual(formatOf("data:text/markdown,%23%20a", document), "md")
    const word = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
    assert.strictEqual(formatOf(`data:${word};base64,UEsDBA==`, document), "docx")
    for (const name of ["b.html", "b.md", "c.xlsx", "d.DOC", "e.txt", "f.csv"]) {
      assert.strictEqual(succeeded(Media.fromBytes(text, document, { name })).format, name.slice(2).toLowerCase())
    }
    assert.strictEqual(succeeded(Media.fromUri("s3://bucket/in/clip.MOV", Prompt.video("clip"))).format, "mov")
  })

  it("says to give the format where nothing tells it, and names the formats of the kind", () => {
    for (const cell of [Buffer.from("hello"), { bytes: Buffer.from("hello"), path: "a.xyz" }, "aGVsbG8="]) {
      assert.match(failed(Media.fromCell(cell, document)), /give `format`, one of pdf, csv, doc,/)
    }
    assert.match(failed(Media.fromCell(Buffer.from("%PDF-1"), image)), /the format pdf, which an image cannot have/)
    assert.match(failed(Media.fromCell(png, Prompt.image("photo", { format: "pgn" }))), /one of png, jpeg, gif, webp/)
  })

  it("names a document, and nothing else", () => {
    assert.strictEqual(succeeded(Media.fromCell(Buffer.from("%PDF-1"), document))?.name, "document")
    const named = Prompt.document("file", { name: "contract" })
    assert.strictEqual(succeeded(Media.fromCell(Buffer.from("%PDF-1"), named))?.name, "contract")
    assert.isNull(succeeded(Media.fromCell(png, Prompt.image("photo", { name: "contract" })))?.name)
  })

  it("names an object by reference, and has an inline one and a file read first", () => {
    const uri = "s3://my-bucket/in put/cat.png"
    assert.deepStrictEqual(succeeded(Media.fromCell(uri, Prompt.image("photo", { s3: "reference" }))), {
      kind: "image",
      format: "png",
      name: null,
      source: { type: "s3", uri }
    })
    assert.deepStrictEqual(succeeded(Media.contentOf(uri, image)), { type: "s3", uri })
    assert.include(failed(Media.fromCell(uri, image)), "has to be read first")
    const below = Prompt.image("photo", { directory: "photos" })
    assert.deepStrictEqual(succeeded(Media.contentOf("a/b c.png", below)), { type: "path", path: "a/b c.png" })
    assert.deepStrictEqual(succeeded(Media.contentOf("s3://b/k.png", below)), { type: "path", path: "s3://b/k.png" })
    assert.include(failed(Media.fromCell("a.png", below)), "has to be read first")
  })

  it("refuses paths that are absolute or leave the directory", () => {
    const below = Prompt.image("photo", { directory: "photos" })
    const windows = ["a\\..\\..\\b.png", "C:\\a.png", "\\\\host\\a"]
    for (const path of ["/etc/passwd", "../a.png", "a/../../b.png", "..", "a\0.png", ...windows]) {
      assert.match(failed(Media.contentOf(path, below)), /^the path /)
    }
    for (const path of ["a..png", "..a/b.png", "./a.png"]) succeeded(Media.contentOf(path, below))
  })

  it("refuses URIs that name no object", () => {
    const wrong = ["s3://", "s3://bucket", "s3://bucket/", "s3:///key", "s3://Bucket/key", "s3://bucket/folder/"]
    const long = `s3://bucket/${"k".repeat(1025)}`
    for (const uri of [...wrong, "s3://b/key", long, "s3://bucket/\ud800", "s3://bucket/\0"]) {
      assert.match(failed(Media.contentOf(uri, image)), /^the URI/)
    }
  })

  it("says of any other text what it could be, and quotes nothing of it", () => {
    const texts = ["cat.png", "photos/cat.png", "secret words", "QR==", "data:image/png;base64,***", "data:x"]
    for (const text of texts) {
      const message = failed(Media.fromCell(text, Prompt.image("photo", { format: "png" })))
      assert.notInclude(message, text)
    }
    for (const value of [1, true, ["a"], {}, new Date(0), 5n]) failed(Media.fromCell(value, image))
  })

  const known = Prompt.image("photo", { format: "png" })
  const byte = Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 })))
  const bytes = Arbitrary.array(byte, { maxLength: 40 })
  it.prop("keeps every byte, however they are written", [bytes], ([given]) => {
    const buffer = Buffer.from(given)
    const base64 = buffer.toString("base64")
    for (const cell of [buffer, base64, buffer.toString("base64url"), `data:;base64,${base64}`]) {
      const media = succeeded(Media.fromCell(cell, known))
      const read = media?.source.type === "bytes" ? Buffer.from(media.source.base64, "base64") : Buffer.alloc(0)
      assert.isTrue(read.equals(buffer))
    }
  })

  it.prop("never throws, whatever a cell holds", [Arbitrary.schema(Schema.Json)], ([value]) => {
    Media.fromCell(value, image)
    Media.contentOf(value, Prompt.image("photo", { directory: "photos" }))
  })
})
