import * as Prompt from "@bedrock-batch/processors/Prompt"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Fiber, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"
import { parquetWriteBuffer } from "hyparquet-writer"
import { setTimeout } from "node:timers/promises"
import { inspect } from "node:util"
import { gzipSync } from "node:zlib"
import type { BatchError, Reason } from "../../src/BatchError.ts"
import { toRows } from "../../src/internal/Rows.ts"
import { prepare } from "../../src/prepare.ts"
import { huggingFace, type HuggingFaceOptions } from "../../src/source/HuggingFace.ts"
import { hubFile } from "../../src/source/internal/HubFile.ts"
import { get } from "../../src/source/internal/HubHttp.ts"
import type { OpenSource } from "../../src/source/Source.ts"
import { ObjectStore } from "../../src/store/ObjectStore.ts"
import { folder, model, processOf } from "../rig/Bench.ts"
import { type FakeHub, type Fault, type Logged, startFakeHub } from "../rig/FakeHub.ts"
import { memoryStore } from "../rig/MemoryStore.ts"
import { ScriptedJobs } from "../rig/ScriptedJobs.ts"

const id = "org/jokes"

const withHub = <A, E, R>(run: (hub: FakeHub) => Effect.Effect<A, E, R>) =>
  Effect.flatMap(Effect.acquireRelease(Effect.promise(startFakeHub), (hub) => Effect.promise(hub.close)), run)

const addresses = (hub: FakeHub) => ({ hubUrl: hub.hubUrl, datasetsServerUrl: hub.serverUrl })

const open = (hub: FakeHub, options: HuggingFaceOptions & { readonly select?: undefined } = {}, dataset = id) =>
  huggingFace(dataset, { ...addresses(hub), ...options }).open.pipe(Effect.provideService(ObjectStore, memoryStore()))

const rowsOf = (opened: OpenSource) =>
  Effect.map(Stream.runCollect(opened.batches), (batches) => batches.flatMap((batch) => toRows(opened.columns, batch)))

const read = (hub: FakeHub, options: HuggingFaceOptions & { readonly select?: undefined } = {}, dataset = id) =>
  Effect.flatMap(open(hub, options, dataset), rowsOf)

/** The first cells of the rows, which tell the files they come from. */
const cells = (...parameters: Parameters<typeof read>) =>
  Effect.map(read(...parameters), (rows) => rows.map((row) => String(Object.values(row)[0])))

const reasonOf = <A, R>(effect: Effect.Effect<A, BatchError, R>): Effect.Effect<Reason, void, R> =>
  Effect.map(Effect.flip(Effect.asVoid(effect)), ({ reason }) => reason)

/** Runs an effect while time passes: a second every few milliseconds. */
const inTime = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkChild(effect)
    while (fiber.pollUnsafe() === undefined) {
      yield* Effect.promise(() => setTimeout(2))
      yield* TestClock.adjust("1 second")
    }
    return yield* Fiber.join(fiber)
  })

const csv = (...values: ReadonlyArray<string>) => ["topic", ...values].map((value) => `${value}\n`).join("")

const parquet = (values: ReadonlyArray<string>, rowGroupSize = 1000) =>
  Buffer.from(parquetWriteBuffer({
    columnData: [
      { name: "topic", data: [...values], type: "STRING" },
      { name: "n", data: values.map((_, i) => i), type: "INT32" },
      { name: "unused", data: values.map((value) => `${value} `.repeat(50)), type: "STRING" }
    ],
    rowGroupSize,
    codec: "UNCOMPRESSED"
  }))

const bigCsv = csv(...Array.from({ length: 20_000 }, (_, i) => `topic ${i} ${"x".repeat(i % 50)}`))

const header = (yaml: string) => `---\nlicense: mit\ntags:\n- a\n${yaml}\n---\n# Jokes\n`

const ofPart = (hub: FakeHub, part: Logged["part"]) => hub.log.filter((logged) => logged.part === part)

/** What was sent of the content of files, by file: pairs of first and last byte. */
const sent = (hub: FakeHub) => {
  const ranges = new Map<string, Array<readonly [number, number]>>()
  for (const { bytes, headers, part, url } of hub.log) {
    const path = url.split("?", 1)[0] ?? ""
    if (bytes === 0 || (part !== "cdn" && !path.includes("/resolve/"))) continue
    const start = Number(/^bytes=(\d+)-\d+$/.exec(headers.range ?? "")?.[1] ?? 0)
    ranges.set(path, [...ranges.get(path) ?? [], [start, start + bytes - 1]])
  }
  return ranges
}

/** Asserts that no byte of a file was sent twice. */
const assertOnce = (hub: FakeHub) => {
  for (const [path, ranges] of sent(hub)) {
    const sorted = ranges.toSorted(([a], [b]) => a - b)
    for (const [i, [start]] of sorted.entries()) {
      if (i > 0) assert.isAbove(start, sorted[i - 1]![1], `${path} ${inspect(sorted)}`)
    }
  }
}

/** Asserts that the token went to the hub and its datasets server, and to nobody else. */
const assertTokenKept = (hub: FakeHub) => {
  assert.isNotEmpty(ofPart(hub, "cdn"))
  for (const { headers } of ofPart(hub, "cdn")) assert.isUndefined(headers.authorization)
  for (const { headers } of ofPart(hub, "hub")) assert.strictEqual(headers.authorization, `Bearer ${hub.token}`)
}

describe("Source.huggingFace", () => {
  it.effect("reads CSV, pins the commit in everything it asks and records", () =>
    withHub((hub) =>
      Effect.gen(function*() {
        const sha = hub.commit(id, { "README.md": "# Jokes", "train.csv": csv("a", "b"), "test.csv": csv("c") })
        const opened = yield* open(hub)
        const uri = `hf://datasets/${id}@${sha}/train.csv`
        assert.strictEqual(opened.uri, uri)
        assert.include(opened.identity, sha)
        assert.deepInclude(opened.description, {
          type: "huggingFace",
          dataset: id,
          revision: sha,
          config: "default",
          split: "train",
          asked: "main"
        })
        assert.include(JSON.stringify(opened.description), uri)
        assert.notInclude(JSON.stringify(opened), "hf_")
        // A later commit is not seen.
        hub.commit(id, { "train.csv": csv("z") })
        assert.deepStrictEqual(yield* rowsOf(opened), [{ topic: "a" }, { topic: "b" }])
        for (const { url } of ofPart(hub, "hub").slice(1)) assert.include(url, sha)
        assertOnce(hub)
        assert.deepStrictEqual(yield* cells(hub, { split: "train" }), ["z"])
        assert.deepStrictEqual(yield* cells(hub, { split: "test", revision: sha }), ["c"])
      })
    ))

  it.effect("reads Parquet by ranges: only the chosen columns, no byte twice, and the token stays with the hub", () =>
    withHub((hub) =>
      Effect.gen(function*() {
        const values = Array.from({ length: 9000 }, (_, i) => `topic ${i}`)
        const files = { 0: parquet(values.slice(0, 5000)), 1: parquet(values.slice(5000)) }
        hub.commit(id, {
          "data/train-00000-of-00002.parquet": files[0],
          "data/train-00001-of-00002.parquet": files[1],
          "data/test-00000-of-00001.parquet": parquet(["t"])
        })
        const source = huggingFace(id, { ...addresses(hub), token: hub.token, select: ["topic"] })
        const opened = yield* Effect.provideService(source.open, ObjectStore, memoryStore())
        assert.strictEqual(opened.count, 9000)
        assert.deepStrictEqual(yield* rowsOf(opened), values.map((topic) => ({ topic })))
        assertOnce(hub)
        assertTokenKept(hub)
        const bytes = ofPart(hub, "cdn").reduce((sum, { bytes }) => sum + bytes, 0)
        assert.isBelow(bytes, (files[0].length + files[1].length) / 2)
        const resolved = ofPart(hub, "hub").filter(({ url }) => url.includes("/resolve/"))
        assert.isAtMost(resolved.length, 2, "each file's address is asked for once")
      })
    ))

  it.effect("reads JSON lines, also compressed, and CSV with the delimiter of the README", () =>
    withHub((hub) =>
      Effect.gen(function*() {
        hub.commit(id, {
          "a/train.jsonl": "{\"topic\":\"a\",\"n\":1}\n",
          "b/train.jsonl.gz": gzipSync("{\"topic\":\"b\",\"n\":2}\n"),
          "c/train.json": "{\"topic\":\"c\",\"n\":3}\n{\"topic\":\"d\",\"n\":4}"
        })
        assert.deepStrictEqual(yield* read(hub), [
          { topic: "a", n: 1 },
          { topic: "b", n: 2 },
          { topic: "c", n: 3 },
          { topic: "d", n: 4 }
        ])
        assertOnce(hub)
        hub.commit(id, {
          "README.md": header("configs:\n- config_name: default\n  data_files: x.csv\n  sep: \";\""),
          "x.csv": "topic;n\na,b;1\n"
        })
        assert.deepStrictEqual(yield* read(hub), [{ topic: "a,b", n: "1" }])
        assert.deepStrictEqual(yield* read(hub, { csv: { delimiter: ",", names: ["x", "y"], skipLines: 1 } }), [
          { x: "a", y: "b;1" }
        ])
        hub.commit(id, { "train.tsv": "topic\tn\na,b\t1\n" })
        assert.deepStrictEqual(yield* read(hub), [{ topic: "a,b", n: "1" }])
      })
    ))

  it.effect("takes the declared columns, whatever the format, and the first rows", () =>
    withHub((hub) =>
      Effect.gen(function*() {
        hub.commit(id, {
          "csv/train.csv": "other,n,topic\nx,1,a\ny,2,b\n",
          "jsonl/train.jsonl": "{\"other\":1,\"n\":1,\"topic\":\"a\"}\n{\"n\":2,\"topic\":\"b\"}\n",
          "parquet/train.parquet": parquet(["a", "b"]),
          "README.md": header(
            ["configs:", ...["csv", "jsonl", "parquet"].map((name) => `- {config_name: ${name}, data_dir: ${name}}`)]
              .join("\n")
          )
        })
        const columns = Schema.Struct({ topic: Schema.String, n: Schema.Int })
        for (const config of ["csv", "jsonl", "parquet"]) {
          const source = huggingFace(id, { ...addresses(hub), config, columns, limit: config === "csv" ? 2 : 1 })
          const opened = yield* Effect.provideService(source.open, ObjectStore, memoryStore())
          assert.deepStrictEqual(opened.columns.map(({ name }) => name), ["topic", "n"])
          const rows = yield* rowsOf(opened)
          assert.deepStrictEqual(rows[0], { topic: "a", n: config === "parquet" ? 0 : 1 })
          assert.lengthOf(rows, config === "csv" ? 2 : 1)
        }
      })
    ))

  it.effect("finds the splits by the names of files and folders", () =>
    withHub((hub) =>
      Effect.gen(function*() {
        const layouts: ReadonlyArray<readonly [Record<string, string>, Record<string, ReadonlyArray<string>>]> = [
          [{ "any.csv": "any" }, { train: ["any"] }],
          [{ "a.csv": "a", "sub/b.csv": "b", ".hidden/c.csv": "c", "__cache/d.csv": "d" }, { train: ["a", "b"] }],
          [{ "data/train.csv": "a", "data/dev.csv": "b", "data/eval.csv": "c" }, {
            train: ["a"],
            validation: ["b"],
            test: ["c"]
          }],
          [{ "training/x.csv": "a", "valid/x.csv": "b", "data/test/y.csv": "c", "z.csv": "z" }, {
            train: ["a"],
            validation: ["b"],
            test: ["c"]
          }],
          [{ "my_train_2.csv": "b", "my_train_1.csv": "a", "developers.csv": "z", "my-val.csv": "c" }, {
            train: ["a", "b"],
            validation: ["c"]
          }],
          [{
            "data/train-00001-of-00002-ab12.csv": "b",
            "data/train-00000-of-00002-ab12.csv": "a",
            "data/random-00000-of-00001.csv": "r",
            "data/test.csv": "t"
          }, { train: ["a", "b"], random: ["r"] }],
          [{ "train.csv": "a", "train.py": "x", "LICENSE.txt": "x", "notes.txt": "y" }, { train: ["a"] }],
          [{ "a_train/train_b.csv": "once" }, { train: ["once"] }]
        ]
        for (const [files, splits] of layouts) {
          hub.commit(id, Object.fromEntries(Object.entries(files).map(([path, value]) => [path, csv(value)])))
          for (const [split, expected] of Object.entries(splits)) {
            assert.deepStrictEqual(yield* cells(hub, { split }), expected, JSON.stringify(files))
          }
          const reason = yield* reasonOf(open(hub, { split: "trian" }))
          assert.deepInclude(reason, { _tag: "InvalidOption", path: "split" })
          for (const split of Object.keys(splits)) assert.include(reason.message, JSON.stringify(split))
        }
      })
    ))

  it.effect("finds the splits of the README's configs, in all forms that it has", () =>
    withHub((hub) =>
      Effect.gen(function*() {
        const files = {
          "en/a.csv": csv("a"),
          "en/b.csv": csv("b"),
          "en/deep/c.csv": csv("c"),
          "de/train.csv": csv("d"),
          "de/test.csv": csv("e"),
          "odd #1?/50% é.csv": csv("f")
        }
        hub.commit(id, {
          ...files,
          "README.md": header(`configs:
- config_name: plain   # the first
  data_files: "en/*.csv"
- config_name: "listed"
  data_files:
  - en/b.csv
  - en/a.csv
  features:
  - name: topic
    dtype: string
- config_name: splits
  default: true
  data_files:
    - split: train
      path: ["en/**", 'de/train.csv']
    - split: extra.one
      path:
      - 'odd #1?/50% é.csv'
      - de/t[e-f]st.cs?
- {config_name: folder, data_dir: de}
- config_name: 2020
  data_files: ./en/a.csv
dataset_info:
  features: []`)
        })
        const expected: ReadonlyArray<readonly [HuggingFaceOptions & { select?: undefined }, ReadonlyArray<string>]> = [
          [{}, ["a", "b", "c", "d"]],
          [{ split: "extra.one" }, ["f", "e"]],
          [{ config: "plain" }, ["a", "b"]],
          [{ config: "listed" }, ["b", "a"]],
          [{ config: "folder" }, ["d"]],
          [{ config: "folder", split: "test" }, ["e"]],
          [{ config: "2020" }, ["a"]]
        ]
        for (const [options, values] of expected) {
          assert.deepStrictEqual(yield* cells(hub, options), values, JSON.stringify(options))
        }
        const config = yield* reasonOf(open(hub, { config: "spilts" }))
        assert.deepInclude(config, { _tag: "InvalidOption", path: "config" })
        assert.include(config.message, "\"plain\", \"listed\", \"splits\", \"folder\", \"2020\"")
        const split = yield* reasonOf(open(hub, { split: "test" }))
        assert.deepInclude(split, { _tag: "InvalidOption", path: "split" })
        assert.include(split.message, "\"train\", \"extra.one\"")
        assert.isEmpty(ofPart(hub, "server"))
      })
    ))

  it.effect("asks for a config where there are several and no default", () =>
    withHub((hub) =>
      Effect.gen(function*() {
        const yaml = "configs:\n- config_name: en\n  data_files: en.csv\n- config_name: de\n  data_files: de.csv"
        hub.commit(id, { "README.md": header(yaml), "en.csv": csv("e"), "de.csv": csv("d") })
        const reason = yield* reasonOf(open(hub))
        assert.deepInclude(reason, { _tag: "InvalidOption", path: "config" })
        assert.include(reason.message, "\"en\", \"de\"")
        assert.deepStrictEqual(yield* cells(hub, { config: "de" }), ["d"])
        const withDefault = yaml.replace("en\n", "default\n")
        hub.commit(id, { "README.md": header(withDefault), "en.csv": csv("e"), "de.csv": csv("d") })
        assert.deepStrictEqual(yield* cells(hub), ["e"])
        const standalone = "configs: [{config_name: own, data_files: [de.csv, en.csv]}]"
        const both = { "en.csv": csv("e"), "de.csv": csv("d") }
        hub.commit(id, { "README.md": header(yaml), ".huggingface.yaml": standalone, ...both })
        assert.deepStrictEqual(yield* cells(hub), ["d", "e"])
        hub.commit(id, { "README.md": header(yaml), "en.csv": csv("e") })
        const absent = yield* reasonOf(open(hub, { config: "de" }))
        assert.deepInclude(absent, { _tag: "InvalidSource", problem: "not-found" })
        assert.include(absent.message, "de.csv")
      })
    ))

  it.effect("takes the format that most files of the split have, Parquet first among equals", () =>
    withHub((hub) =>
      Effect.gen(function*() {
        hub.commit(id, { "train.csv": csv("csv"), "train.parquet": parquet(["parquet"]), "train.jsonl": "{\"a\":1}\n" })
        assert.deepStrictEqual(yield* cells(hub), ["parquet"])
        hub.commit(id, { "train_1.csv": csv("a"), "train_2.csv": csv("b"), "train_meta.parquet": parquet(["parquet"]) })
        assert.deepStrictEqual(yield* cells(hub), ["a", "b"])
      })
    ))

  it.effect("lists over many pages, and no folder that is not asked for", () =>
    withHub((hub) =>
      Effect.gen(function*() {
        const names = Array.from({ length: 25 }, (_, i) => `part ${String(i).padStart(2, "0")}`)
        const others = Object.fromEntries(names.map((name) => [`other/${name}.csv`, csv("o")]))
        const files = Object.fromEntries(names.map((name) => [`data/${name}.csv`, csv(name)]))
        hub.pageSize = 7
        hub.commit(id, { ...files, ...others })
        assert.lengthOf(yield* cells(hub), 50)
        hub.commit(id, {
          ...files,
          ...others,
          "README.md": header("configs:\n- config_name: default\n  data_files: data/*.csv")
        })
        hub.log.length = 0
        assert.deepStrictEqual(yield* cells(hub), names)
        assert.lengthOf(hub.log.filter(({ url }) => url.includes("/tree/")), 1 + 4)
        assert.isEmpty(hub.log.filter(({ url }) => url.includes("/tree/") && url.includes("other")))
      })
    ))

  it.effect("reads from a dataset without an owner, a tag, a branch with slashes and a commit", () =>
    withHub((hub) =>
      Effect.gen(function*() {
        const first = hub.commit("squad", { "train.csv": csv("first") })
        hub.commit("squad", { "train.csv": csv("pull") }, { ref: "refs/pr/3" })
        hub.commit("squad", { "train.csv": csv("tag") }, { ref: "v1.0+x%2F" })
        hub.commit("squad", { "train.csv": csv("last") })
        const revisions = { [first]: "first", "refs/pr/3": "pull", "v1.0+x%2F": "tag", main: "last" }
        for (const [revision, expected] of Object.entries(revisions)) {
          assert.deepStrictEqual(yield* cells(hub, { revision }, "squad"), [expected])
        }
        const reason = yield* reasonOf(open(hub, { revision: "none" }, "squad"))
        assert.deepInclude(reason, { _tag: "InvalidSource", problem: "not-found", uri: "hf://datasets/squad@none" })
        assert.include(reason.message, "revision")
      })
    ))

  it.effect("does not send a request that a listed path leads astray", () =>
    withHub((hub) =>
      Effect.gen(function*() {
        hub.commit(id, { "train.csv": csv("a") })
        const dataset = hub.datasets.get(id)!
        const strays = ["../../api/whoami.csv", "/etc/train.csv", "a//b.csv", "a/./b.csv", "a\\..\\x.csv", "\u0000.csv"]
        for (const path of [...strays, 7]) {
          dataset.strays = [{ type: "file", path, size: 1, oid: "a" }]
          hub.log.length = 0
          const reason = yield* reasonOf(read(hub))
          assert.deepInclude(reason, { _tag: "InvalidSource", problem: "malformed" })
          assert.lengthOf(hub.log, 2)
        }
        dataset.strays = [null, 1]
        assert.deepInclude(yield* reasonOf(read(hub)), { _tag: "InvalidSource", problem: "malformed" })
      })
    ))

  it.effect("checks its options before it asks anybody", () =>
    withHub((hub) =>
      Effect.gen(function*() {
        hub.commit(id, { "train.csv": csv("a") })
        const wrong: ReadonlyArray<readonly [string, object]> = [
          ["token", { token: "my token" }],
          ["token", { token: "hf_a b" }],
          ["token", { token: "" }],
          ["token", { token: 1 }],
          ["split", { split: "" }],
          ["config", { config: "" }],
          ["revision", { revision: "" }],
          ["revision", { revision: ".." }],
          ["revision", { revision: "a/../b" }],
          ["revision", { revision: "a b" }],
          ["revision", { revision: 1 }],
          ["hubUrl", { hubUrl: "ftp://x" }],
          ["hubUrl", { hubUrl: "huggingface.co" }],
          ["hubUrl", { hubUrl: "https://user:secret@huggingface.co" }],
          ["datasetsServerUrl", { datasetsServerUrl: "https://x/?a=b" }],
          ["limit", { limit: 0 }],
          ["select", { select: [] }],
          ["columns", { columns: {} }],
          ["csv", { csv: 1 }]
        ]
        for (const [path, options] of wrong) {
          const reason = yield* reasonOf(open(hub, options))
          assert.deepInclude(reason, { _tag: "InvalidOption", path })
          assert.notInclude(inspect(reason), "secret")
        }
        const names = ["", "a/b/c", "..", "a/..", "../a", "a b", "a/", "/a", "a?b", "a#b", "https://x/a", "a--b", ".a"]
        for (const name of names) {
          assert.deepInclude(yield* reasonOf(open(hub, {}, name)), { _tag: "InvalidOption", path: "id" }, name)
        }
        assert.isEmpty(hub.log)
      })
    ))

  it.effect("takes token and hub from the environment, the options before them", () =>
    withHub((hub) =>
      Effect.gen(function*() {
        hub.commit(id, { "train.csv": csv("a") })
        hub.datasets.get(id)!.access = "private"
        const names = ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_ENDPOINT"] as const
        const kept = names.map((name) => process.env[name])
        const set = (values: ReadonlyArray<string | undefined>) => {
          for (const [i, name] of names.entries()) {
            delete process.env[name]
            if (values[i] !== undefined) process.env[name] = values[i]
          }
        }
        yield* Effect.acquireRelease(Effect.void, () => Effect.sync(() => set(kept)))
        const found = (options: HuggingFaceOptions & { readonly select?: undefined } = {}) =>
          Effect.provideService(huggingFace(id, options).open, ObjectStore, memoryStore())
        set([`${hub.token}\n`, "hf_other", `${hub.hubUrl}/`])
        assert.deepStrictEqual(yield* rowsOf(yield* found()), [{ topic: "a" }])
        set(["", hub.token, hub.hubUrl])
        assert.deepStrictEqual(yield* rowsOf(yield* found()), [{ topic: "a" }])
        assert.deepInclude(yield* reasonOf(found({ token: "hf_bad" })), { problem: "not-found" })
        set(["bad token", undefined, hub.hubUrl])
        const reason = yield* reasonOf(found())
        assert.include(reason.message, "HF_TOKEN")
        assert.notInclude(inspect(reason), "bad token")
      })
    ))

  it.effect("says what to do where a dataset is gated, private or absent", () =>
    withHub((hub) =>
      Effect.gen(function*() {
        hub.commit(id, { "train.csv": csv("a") })
        const dataset = hub.datasets.get(id)!
        dataset.access = "gated"
        for (const token of [undefined, "hf_bad"]) {
          const reason = yield* reasonOf(open(hub, { token }))
          assert.deepInclude(reason, { _tag: "Refused", code: "GatedRepo" })
          assert.include(reason.message, `${hub.hubUrl}/datasets/${id}`)
          assert.include(reason.message, "accept its terms")
        }
        dataset.access = "private"
        for (const [token, advice] of [[undefined, "HF_TOKEN"], ["hf_bad", "the token may read it"]] as const) {
          const reason = yield* reasonOf(open(hub, { token }))
          assert.deepInclude(reason, { _tag: "InvalidSource", problem: "not-found" })
          assert.include(reason.message, advice)
          assert.notInclude(inspect(reason, { depth: 9 }), "hf_bad")
        }
        assert.deepStrictEqual(yield* cells(hub, { token: hub.token }), ["a"])
        for (const { headers } of ofPart(hub, "cdn")) assert.isUndefined(headers.authorization)
        assert.deepInclude(yield* reasonOf(open(hub, {}, "org/none")), { _tag: "InvalidSource", problem: "not-found" })
        for (const [status, code] of [[401, "Unauthorized"], [403, "Forbidden"], [400, "HTTP400"]] as const) {
          for (const url of ["/revision/", "/tree/", "/resolve/"]) {
            hub.faults.splice(0, 9, { status, url })
            const reason = yield* reasonOf(read(hub, { token: hub.token }))
            assert.deepInclude(reason, { _tag: "Refused", code })
          }
        }
        hub.faults.splice(0, 9, { status: 404 })
        assert.deepInclude(yield* reasonOf(open(hub)), { _tag: "InvalidSource", problem: "not-found" })
      })
    ))

  it.effect("sends the token along no redirect to another origin, and follows none for ever", () =>
    withHub((hub) =>
      Effect.gen(function*() {
        hub.commit(id, { "train.csv": csv("a") })
        hub.faults.push({ part: "hub", url: "/revision/", status: 302, headers: { location: `${hub.cdnUrl}/steal` } })
        const elsewhere = yield* reasonOf(open(hub, { token: hub.token }))
        assert.deepInclude(elsewhere, { _tag: "Refused", code: "StorageRefused" })
        assertTokenKept(hub)
        hub.faults.push({ part: "hub", url: "/tree/", status: 307, times: 99, headers: { location: "/api/tree/" } })
        const endless = yield* reasonOf(open(hub, { token: hub.token }))
        assert.deepInclude(endless, { _tag: "InvalidSource", problem: "failed" })
        assert.isBelow(hub.log.length, 20)
        hub.log.length = 0
        for (const location of ["", "file:///etc/passwd", "http://[", "javascript:1"]) {
          hub.faults.splice(0, 9, { part: "hub", url: "/tree/", status: 302, headers: { location } })
          const reason = yield* reasonOf(open(hub, { token: hub.token }))
          assert.deepInclude(reason, { _tag: "InvalidSource", problem: "failed" })
        }
        // A page of the list that lies elsewhere is asked for without the token.
        hub.faults.splice(0, 9, {
          part: "hub",
          url: "/tree/",
          status: 200,
          headers: { link: `<${hub.cdnUrl}/next>; rel="next"`, "content-type": "application/json" },
          body: "[]"
        })
        yield* Effect.exit(open(hub, { token: hub.token }))
        assertTokenKept(hub)
      })
    ))

  it.effect("sends the token to no datasets server that is not the hub's, nor with http for a hub with https", () =>
    withHub((hub) =>
      Effect.gen(function*() {
        hub.commit(id, { "train.csv": csv("a") })
        hub.convert(id, {})
        const { hubUrl, serverUrl, token } = hub
        const address = new URL(`${serverUrl}/parquet?dataset=${id}`)
        const target = { dataset: id, hubUrl, serverUrl, token, ownServer: true }
        for (const other of [{}, { ownServer: false }, { hubUrl: hubUrl.replace("http:", "https:") }]) {
          yield* get({ ...target, ...other }, address)
        }
        const sentTokens = hub.log.map(({ headers }) => headers.authorization)
        assert.deepStrictEqual(sentTokens, [`Bearer ${token}`, undefined, undefined])
      })
    ))

  it.effect("does not take the answer of something else for that of a hub", () =>
    withHub((hub) =>
      Effect.gen(function*() {
        hub.commit(id, { "train.csv": csv("a") })
        const json = { "content-type": "application/json" }
        const answers = [
          { url: "/revision/", body: "<html>" },
          { url: "/revision/", body: "null" },
          { url: "/revision/", body: "{}" },
          { url: "/revision/", body: "{\"sha\":\"../../x\"}" },
          { url: "/tree/", body: "{\"a\":1}" },
          { url: "/tree/", body: "[{}]" }
        ]
        for (const fault of answers) {
          hub.faults.splice(0, 9, { part: "hub", status: 200, headers: json, ...fault })
          assert.deepInclude(yield* reasonOf(open(hub)), { _tag: "InvalidSource", problem: "malformed" }, fault.body)
        }
      })
    ))
})

describe("Source.huggingFace over a failing network", () => {
  it.effect("waits as the hub asks, by RateLimit, Retry-After or else ever longer", () =>
    withHub((hub) =>
      Effect.gen(function*() {
        hub.commit(id, { "train.csv": csv("a") })
        const asked: ReadonlyArray<readonly [number, Record<string, string>, number, number]> = [
          [429, { ratelimit: "\"api\";r=0;t=55", "retry-after": "7" }, 55, 57],
          [429, { "retry-after": "120" }, 120, 122],
          [503, { "retry-after": new Date(40_000).toUTCString(), date: new Date(10_000).toUTCString() }, 30, 32],
          [500, {}, 0.25, 2],
          [429, { "retry-after": "soon" }, 0.25, 2],
          [429, { "retry-after": "0" }, 0.25, 2],
          [429, { ratelimit: "\"pages\";r=9;t=90, \"api\"; r=0; t=20, \"x\";r=0;t=3" }, 20, 22]
        ]
        for (const [status, headers, least, most] of asked) {
          for (const url of ["/revision/", "/tree/", "/resolve/"]) {
            hub.faults.splice(0, 9, { part: "hub", url, status, headers })
            const before = yield* Clock.currentTimeMillis
            assert.deepStrictEqual(yield* inTime(cells(hub)), ["a"])
            const waited = ((yield* Clock.currentTimeMillis) - before) / 1000
            assert.isAtLeast(waited, least, `${status} ${url}`)
            assert.isAtMost(waited, most + 2, `${status} ${url}`)
          }
        }
      })
    ))

  it.effect("gives up in the end, with an error that can be retried", () =>
    withHub((hub) =>
      Effect.gen(function*() {
        hub.commit(id, { "train.csv": csv("a") })
        const failures = [
          [{ status: 503 }, "server", null],
          [{ status: 429, headers: { "retry-after": "3" } }, "throttled", 3000],
          [{ reset: true }, "network", null],
          [{ status: 429, headers: { ratelimit: "\"api\";r=0;t=4000" } }, "throttled", 4_000_000]
        ] as const
        for (const [fault, code, retryAfterMillis] of failures) {
          for (const url of ["/revision/", "/resolve/"]) {
            hub.faults.splice(0, 9, { part: "hub", url, times: 1000, ...fault })
            hub.log.length = 0
            const error = yield* Effect.flip(inTime(cells(hub, { token: hub.token })))
            assert.isTrue(error.isRetryable)
            assert.deepInclude(error.reason, { _tag: "Unavailable", code, retryAfterMillis })
            assert.isAtMost(hub.log.length, 12)
            assert.notInclude(inspect(error, { depth: 9 }), hub.token)
          }
        }
        hub.faults.splice(0, 9, { part: "hub", status: 501, times: 9 })
        assert.isFalse((yield* Effect.flip(open(hub))).isRetryable)
        // What will not pass is not tried again: time stands still here.
        const encrypted = yield* reasonOf(open({ ...hub, hubUrl: hub.hubUrl.replace("http:", "https:") }))
        assert.deepInclude(encrypted, { _tag: "Unavailable", code: "network" })
        assert.include(encrypted.message, "SSL")
      })
    ))

  it.effect("goes on where a connection was cut, without asking for a byte twice", () =>
    withHub((hub) =>
      Effect.gen(function*() {
        const files = { "train.csv": bigCsv, "test.parquet": parquet(Array.from({ length: 5000 }, (_, i) => `t ${i}`)) }
        hub.commit(id, files)
        hub.faults.push({ part: "cdn", cutAfter: 100_000, times: 2 }, { part: "cdn", reset: true })
        assert.lengthOf(yield* inTime(cells(hub)), 20_000)
        assertOnce(hub)
        assert.deepStrictEqual(ofPart(hub, "cdn").map(({ headers }) => headers.range?.split("-")[0]), [
          undefined,
          "bytes=100000",
          "bytes=200000",
          "bytes=200000"
        ])
        hub.log.length = 0
        hub.faults.splice(0, 9, { part: "cdn", cutAfter: 1000, times: 5 })
        assert.lengthOf(yield* inTime(cells(hub, { split: "test" })), 5000)
        // An answer of the API that is cut is asked for again.
        hub.faults.splice(0, 9, { url: "/tree/", cutAfter: 10 }, { url: "/revision/", cutAfter: 0 })
        hub.log.length = 0
        assert.lengthOf(yield* inTime(cells(hub)), 20_000)
        assert.lengthOf(hub.log.filter(({ url }) => url.includes("/tree/")), 2)
      })
    ))

  it.effect("asks for an address again when it has expired, and goes on", () =>
    withHub((hub) =>
      Effect.gen(function*() {
        const values = Array.from({ length: 5000 }, (_, i) => `topic ${i}`)
        hub.commit(id, { "train.parquet": parquet(values), "test.csv": bigCsv })
        const opened = yield* open(hub, { token: hub.token })
        hub.expire()
        assert.lengthOf(yield* rowsOf(opened), 5000)
        assert.isNotEmpty(ofPart(hub, "cdn").filter(({ status }) => status === 403))
        hub.log.length = 0
        hub.faults.push({ part: "cdn", cutAfter: 100_000 }, { part: "cdn", status: 403 }, { part: "cdn", status: 403 })
        assert.lengthOf(yield* inTime(cells(hub, { split: "test", token: hub.token })), 20_000)
        assertOnce(hub)
        assertTokenKept(hub)
        hub.faults.push({ part: "cdn", status: 403, times: 1000 })
        hub.log.length = 0
        const error = yield* Effect.flip(read(hub, { split: "test", token: hub.token }))
        assert.deepInclude(error.reason, { _tag: "Refused", code: "StorageRefused" })
        assert.isAtMost(ofPart(hub, "cdn").length, 3)
        assert.notInclude(inspect(error, { depth: 9 }), "Signature")
      })
    ))

  it.effect("refuses bytes that are not those it asked for", () =>
    withHub((hub) =>
      Effect.gen(function*() {
        const values = Array.from({ length: 5000 }, (_, i) => `topic ${i}`)
        hub.commit(id, { "train.parquet": parquet(values), "test.csv": bigCsv })
        const size = parquet(values).length
        const wrong = [
          { ignoreRange: true },
          { shift: 1 },
          { shift: -1 },
          { contentHeaders: { "content-range": "bytes 0-9/10" } },
          { contentHeaders: { "content-range": "nonsense" } },
          { content: Buffer.alloc(size + 1) },
          { content: Buffer.alloc(size - 1) },
          { content: Buffer.alloc(10) }
        ]
        for (const fault of wrong) {
          hub.faults.splice(0, 9, { part: "cdn", times: 99, ...fault })
          hub.log.length = 0
          const reason = yield* reasonOf(inTime(read(hub)))
          assert.deepInclude(reason, { _tag: "InvalidSource", problem: "failed" }, inspect(fault))
          assert.isAtMost(hub.log.length, 8)
        }
        const text = Buffer.from(bigCsv)
        const texts = [
          { content: text.subarray(1) },
          { content: Buffer.concat([text, Buffer.from("x\n")]) },
          { content: Buffer.concat([text, Buffer.from("x\n")]), chunked: true },
          { content: text.subarray(0, 90_000), chunked: true }
        ]
        for (const fault of texts) {
          hub.faults.splice(0, 9, { part: "cdn", times: 99, ...fault })
          const reason = yield* reasonOf(inTime(read(hub, { split: "test" })))
          assert.deepInclude(reason, { _tag: "InvalidSource", problem: "failed" }, inspect(fault))
        }
        // A whole file may come in chunks, and a range in parts.
        hub.faults.splice(0, 9, { part: "cdn", chunked: true, times: 99 })
        assert.lengthOf(yield* cells(hub, { split: "test" }), 20_000)
        hub.faults.splice(0, 9, { part: "cdn", shorten: 1, times: 1 })
        assert.lengthOf(yield* inTime(cells(hub)), 5000)
      })
    ))

  it.effect("stops reading a body that it does not want", () =>
    withHub((hub) =>
      Effect.gen(function*() {
        const bytes = Buffer.alloc(30_000_000, 1)
        const sha = hub.commit(id, { "train.csv": bytes })
        const target = { dataset: id, hubUrl: hub.hubUrl, serverUrl: hub.serverUrl, ownServer: true, token: null }
        const file = hubFile(target, sha, { path: "train.csv", size: bytes.length, oid: "a" })
        hub.faults.push({ part: "cdn", ignoreRange: true })
        assert.include((yield* reasonOf(file.range(4, 8))).message, "range of bytes")
        assert.deepStrictEqual(yield* file.range(4, 8), new Uint8Array(4).fill(1))
        assert.lengthOf(yield* file.range(bytes.length, bytes.length), 0)
        for (const [start, end] of [[-1, 2], [3, 2], [0, bytes.length + 1], [Number.NaN, 1]] as const) {
          assert.strictEqual((yield* reasonOf(file.range(start, end)))._tag, "InvalidSource")
        }
        const [first] = yield* Stream.runCollect(Stream.take(file.bytes, 1))
        assert.isBelow(first!.length, bytes.length)
      })
    ))

  it.effect("fails when a file changes between two reads of it", () =>
    withHub((hub) =>
      Effect.gen(function*() {
        hub.commit(id, { "train.csv": bigCsv, "test.csv": bigCsv }, { stored: true })
        const other = "\"other\""
        const cdn: Fault = { part: "cdn", contentHeaders: { etag: other } }
        const expired: Fault = { part: "cdn", status: 403 }
        const headers = { location: `${hub.cdnUrl}/x`, "x-linked-etag": other }
        const moved: Fault = { url: "/resolve/", skip: 1, status: 302, headers }
        const range = { "content-range": `bytes 50000-50000/${bigCsv.length}` }
        const same: Fault = { part: "cdn", status: 206, headers: range, body: "x" }
        for (const faults of [[cdn], [expired, cdn], [expired, moved, same]] as const) {
          hub.faults.splice(0, 9, { part: "cdn", cutAfter: 50_000 }, ...faults.map((fault) => ({ ...fault })))
          const reason = yield* reasonOf(inTime(read(hub)))
          assert.deepInclude(reason, { _tag: "InvalidSource", problem: "failed" })
          assert.include(reason.message, "changed")
        }
      })
    ))

  it.live("leaves no request behind when it is interrupted", () =>
    withHub((hub) =>
      Effect.gen(function*() {
        hub.commit(id, { "train.csv": bigCsv })
        for (const fault of [{ url: "/revision/" }, { url: "/resolve/" }, { part: "cdn" as const }]) {
          hub.faults.splice(0, 9, { ...fault, stall: true, times: 9 })
          hub.log.length = 0
          const fiber = yield* Effect.forkChild(read(hub))
          while (!hub.log.some(({ part, url }) => part === (fault.part ?? "hub") && url.includes(fault.url ?? ""))) {
            yield* Effect.promise(() => setTimeout(2))
          }
          yield* Fiber.interrupt(fiber)
        }
      })
    ))
})

describe("Source.huggingFace from the converted files", () => {
  const arrow = { "train.arrow": Buffer.from("ARROW1") }

  it.effect("reads the conversion where the files have no format that it knows, each in its place", () =>
    withHub((hub) =>
      Effect.gen(function*() {
        const own: ReadonlyArray<Record<string, string | Buffer>> = [
          arrow,
          { "train/a.jpg": "x", "train/b.jpg": "y", "train/metadata.csv": csv("m") },
          { "data.zip": "x" },
          { "jokes.py": "import datasets", "data.csv": csv("raw") },
          { "data.json": "[{\"topic\":\"raw\"}]" },
          { "data.json": "{\n  \"data\": []\n}" },
          ...["*.csv", "a.csv\n  header: 3", "&x a.csv", "../a.csv", "https://x/a.csv", "a**.csv", "[a.csv"]
            .map((files) => header(`configs:\n- config_name: default\n  data_files: ${files}`))
            .map((readme) => ({ "README.md": readme, "a.csv": csv("a") })),
          { "train.csv": csv("a"), "train.tsv": csv("b") }
        ]
        for (const files of own) {
          const sha = hub.commit(id, files)
          const converted = hub.convert(id, {
            "default/train/0000.parquet": parquet(["a"]),
            "default/train/0001.parquet": parquet(["b"]),
            "default/test/0000.parquet": parquet(["t"])
          })
          hub.log.length = 0
          const opened = yield* open(hub, { token: hub.token })
          assert.deepInclude(opened.description, { revision: sha, converted, config: "default" })
          assert.include(opened.identity, sha)
          assert.include(opened.identity, converted)
          assert.deepStrictEqual((yield* rowsOf(opened)).map(({ topic }) => topic), ["a", "b"])
          const [server] = ofPart(hub, "server")
          assert.strictEqual(server?.headers.authorization, `Bearer ${hub.token}`)
          assertTokenKept(hub)
        }
        hub.commit(id, { "jokes.py": "import datasets" })
        hub.convert(id, { "en/test/0000.parquet": parquet(["t"]) })
        assert.deepStrictEqual(yield* cells(hub, { split: "test" }), ["t"])
      })
    ))

  it.effect("refuses a conversion that is not whole or not of this commit, and says what it lacks", () =>
    withHub((hub) =>
      Effect.gen(function*() {
        hub.commit(id, arrow)
        const files = { "default/train/0000.parquet": parquet(["a"]), "default/test/0000.parquet": parquet(["t"]) }
        const problems: ReadonlyArray<readonly [string, () => void]> = [
          ["only the first part", () => hub.convert(id, files, { partial: true })],
          ["only the first part", () => {
            hub.convert(id, { "default/partial-train/0000.parquet": parquet(["a"]) })
          }],
          ["not ready", () => hub.convert(id, files, { pending: [{ config: "x" }] })],
          ["failed", () => hub.convert(id, files, { failed: [{ config: "x" }] })],
          ["it is empty", () => hub.convert(id, {})],
          ["another", () => {
            hub.convert(id, files)
            const dataset = hub.datasets.get(id)!
            dataset.conversion = { ...dataset.conversion!, headers: { "x-revision": "another" } }
          }],
          ["not told", () => {
            hub.convert(id, files)
            const dataset = hub.datasets.get(id)!
            dataset.conversion = { ...dataset.conversion!, headers: {} }
          }],
          ["not understood", () => {
            hub.convert(id, files)
            const dataset = hub.datasets.get(id)!
            dataset.conversion = { ...dataset.conversion!, body: { parquet_files: [] } }
          }],
          ["does not hold the files", () => {
            hub.convert(id, files)
            hub.commit(id, { ...files, "default/train/0001.parquet": parquet(["b"]) }, { ref: "refs/convert/parquet" })
          }],
          ["does not hold the files", () => {
            hub.convert(id, files)
            hub.commit(id, { "default/train/0000.parquet": parquet(["longer"]) }, { ref: "refs/convert/parquet" })
          }],
          ["has none (HTTP 404, ResponseNotFound)", () => {
            hub.datasets.get(id)!.conversion = null
          }]
        ]
        for (const [problem, prepare] of problems) {
          prepare()
          const reason = yield* reasonOf(open(hub))
          assert.deepInclude(reason, { _tag: "InvalidSource", problem: "failed" }, problem)
          assert.include(reason.message, problem)
          assert.include(reason.message, "not in a format")
        }
      })
    ))

  it.effect("reads a whole split beside one that is cut short, and parts of a split in their order", () =>
    withHub((hub) =>
      Effect.gen(function*() {
        hub.commit(id, { "jokes.py": "import datasets" })
        hub.convert(id, {
          "big/partial-train/0000.parquet": parquet(["x"]),
          ...Object.fromEntries(
            [0, 1, 2, 10].map((n) => [`é b/train-part${n}/0000.parquet`, parquet([`${n}`])])
          )
        }, { partial: true })
        assert.deepStrictEqual(yield* cells(hub, { config: "é b" }), ["0", "1", "2", "10"])
        assert.include((yield* reasonOf(open(hub, { config: "big" }))).message, "only the first part")
        const config = yield* reasonOf(open(hub))
        assert.deepInclude(config, { _tag: "InvalidOption", path: "config" })
        assert.include(config.message, "\"big\", \"é b\"")
        assert.deepInclude(yield* reasonOf(open(hub, { config: "é b", split: "x" })), { path: "split" })
      })
    ))

  it.effect("reads the branch itself where it is asked for", () =>
    withHub((hub) =>
      Effect.gen(function*() {
        hub.commit(id, arrow)
        const revision = "refs/convert/parquet"
        const sha = hub.convert(id, {
          "en/train/0000.parquet": parquet(["a"]),
          "en/partial-test/0000.parquet": parquet(["t"]),
          "de/train/0000.parquet": parquet(["d"])
        })
        const opened = yield* open(hub, { revision, config: "en" })
        assert.include(opened.identity, sha)
        assert.deepStrictEqual(yield* rowsOf(opened).pipe(Effect.map((rows) => rows.length)), 1)
        assert.include((yield* reasonOf(open(hub, { revision, config: "en", split: "test" }))).message, "first part")
        assert.include((yield* reasonOf(open(hub, { revision }))).message, "\"en\", \"de\"")
        assert.include((yield* reasonOf(open(hub, { revision, config: "de", split: "x" }))).message, "\"train\"")
        assert.isEmpty(ofPart(hub, "server"))
      })
    ))
})

describe("prepare from Source.huggingFace", () => {
  it.effect("records the commit in the manifest, and finds the run again only at that commit", () =>
    withHub((hub) =>
      Effect.gen(function*() {
        const values = Array.from({ length: 20 }, (_, i) => `topic ${i}`)
        const sha = hub.commit(id, { "train.parquet": parquet(values) })
        const { store } = yield* folder
        const start = () =>
          processOf(store, new ScriptedJobs())(prepare({
            name: "jokes",
            source: huggingFace(id, { ...addresses(hub), token: hub.token }),
            model,
            prompt: Prompt.make("A joke about {topic}."),
            limits: { minRecords: 3, maxRecords: 10 }
          }))
        const run = yield* start()
        assert.strictEqual(run.manifest.records, 20)
        const manifest = Buffer.from((yield* store.get(`${run.id}/run.json`))!).toString()
        assert.include(manifest, sha)
        assert.include(manifest, `hf://datasets/${id}@${sha}/train.parquet`)
        const { objects } = yield* store.list("")
        for (const { key } of objects) {
          assert.notInclude(Buffer.from((yield* store.get(key))!).toString("latin1"), hub.token)
        }
        assert.strictEqual((yield* start()).id, run.id)
        hub.commit(id, { "train.parquet": parquet(values), "README.md": "# New" })
        assert.notStrictEqual((yield* start()).id, run.id)
      })
    ))
})
