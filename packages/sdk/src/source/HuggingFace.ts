/**
 * Datasets of the Hugging Face Hub as sources.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import type { CsvOptions } from "./Csv.ts"
import { openCsv } from "./internal/CsvSource.ts"
import { declaredFields } from "./internal/DeclaredColumns.ts"
import { invalidOption } from "./internal/Failures.ts"
import type { HubSplit } from "./internal/HubFiles.ts"
import { type Hub, method } from "./internal/HubHttp.ts"
import { openJsonl } from "./internal/JsonlSource.ts"
import { selectionProblem } from "./internal/Selected.ts"
import * as Recipe from "./internal/Recipe.ts"
import { sourceOf } from "./internal/SourceOf.ts"
import type { Selection } from "./Selection.ts"
import type { OpenSource, Source, UntypedRow } from "./Source.ts"

/**
 * Which rows of a dataset are read, and from where.
 *
 * @since 0.1.0
 * @category models
 */
export interface HuggingFaceOptions<out Name extends string = string> extends Selection<Name> {
  /** Default: `train`. */
  readonly split?: string | undefined
  /** The config (subset) of the dataset. Default: its only one, or its default one. */
  readonly config?: string | undefined
  /** A branch, a tag or a commit. What it means when the source is opened is pinned. Default: `main`. */
  readonly revision?: string | undefined
  /**
   * A token (`hf_...`) that may read the dataset; it is sent to the hub and to its datasets server alone (where no
   * `datasetsServerUrl` is given, only from the default hub), and never recorded. Default: the environment's `HF_TOKEN`
   * or `HUGGING_FACE_HUB_TOKEN`; none is needed for a public dataset.
   */
  readonly token?: string | undefined
  /** The address of the hub. Default: the environment's `HF_ENDPOINT`, else `https://huggingface.co`. */
  readonly hubUrl?: string | undefined
  /** Who lists the files that the hub has converted to Parquet. Default: `https://datasets-server.huggingface.co`. */
  readonly datasetsServerUrl?: string | undefined
  /** How the files are read where they are CSV, whatever the dataset's README says of it. */
  readonly csv?: Omit<CsvOptions, keyof Selection> | undefined
  readonly columns?: undefined
}

/**
 * Which rows of a dataset are read whose type is known.
 *
 * @since 0.1.0
 * @category models
 */
export interface TypedHuggingFaceOptions<Row extends object> extends Omit<HuggingFaceOptions, "columns" | "select"> {
  /** A `Schema.Struct` of the columns to take, as `Source.parquet`, `Source.csv` or `Source.jsonl` reads them. */
  readonly columns: Schema.ConstraintDecoder<Row>
  readonly select?: undefined
}

type AnyOptions = Omit<HuggingFaceOptions, "columns"> & { readonly columns?: Schema.Constraint | undefined }

const invalid = (path: string, message: string) => Effect.fail(invalidOption(method, path, message))

const segment = /^(?!.*(?:--|\.\.))[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?$/

const isId = (id: unknown): id is string =>
  typeof id === "string" && id.split("/").length <= 2 && id.split("/").every((part) => segment.test(part))

/** As git takes them, so that none leads out of its place in a URL. */
const isRevision = (revision: unknown): revision is string =>
  typeof revision === "string" && /^(?!.*(?:\.\.|\/\/))[^\s~^:?*[\\\x00-\x20\x7f\p{Surrogate}]+$/u.test(revision) &&
  !/(?:^|\/)\.|^\/|\/$/.test(revision)

const fromEnvironment = (...names: ReadonlyArray<string>): Effect.Effect<string | undefined> =>
  Effect.sync(() => names.map((name) => process.env[name]?.trim()).find((value) => value !== undefined && value !== ""))

/** The address of a server, without a slash at its end. */
const checkAddress = Effect.fnUntraced(function*(path: string, address: unknown) {
  const url = typeof address === "string" ? URL.parse(address) : null
  if (url === null || !/^https?:$/.test(url.protocol)) return yield* invalid(path, "give a URL with https://")
  if (url.username + url.password + url.search + url.hash !== "") {
    return yield* invalid(path, "give a URL without user name, query and fragment")
  }
  return url.href.replace(/\/+$/, "")
})

const defaultHubUrl = "https://huggingface.co"

const hubOf = Effect.fnUntraced(function*(dataset: unknown, options: AnyOptions) {
  if (!isId(dataset)) {
    return yield* invalid("id", "give the name of a dataset as its page shows it, such as \"owner/name\"")
  }
  const token = options.token ?? (yield* fromEnvironment("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")) ?? null
  if (token !== null && (typeof token !== "string" || !/^hf_[\x21-\x7e]+$/.test(token))) {
    const from = options.token === undefined ? " (it is taken from HF_TOKEN or HUGGING_FACE_HUB_TOKEN)" : ""
    return yield* invalid("token", `a token of the hub starts with hf_${from}`)
  }
  const { datasetsServerUrl } = options
  const hubUrl = yield* checkAddress(
    "hubUrl",
    options.hubUrl ?? (yield* fromEnvironment("HF_ENDPOINT")) ?? defaultHubUrl
  )
  const hub: Hub = {
    dataset,
    hubUrl,
    serverUrl: yield* checkAddress("datasetsServerUrl", datasetsServerUrl ?? "https://datasets-server.huggingface.co"),
    // The token of another hub is none of Hugging Face's business.
    ownServer: datasetsServerUrl !== undefined || hubUrl === defaultHubUrl,
    token
  }
  return hub
})

const checkOptions = Effect.fnUntraced(function*(options: AnyOptions) {
  if (typeof options !== "object" || options === null) return yield* invalid("options", "give an object")
  const { config, csv, revision = "main", split = "train" } = options
  if (typeof split !== "string" || split === "") return yield* invalid("split", "give the name of a split")
  if (config !== undefined && (typeof config !== "string" || config === "")) {
    return yield* invalid("config", "give the name of a config")
  }
  if (!isRevision(revision)) return yield* invalid("revision", "give a branch, a tag or a commit")
  if (csv !== undefined && (typeof csv !== "object" || csv === null)) return yield* invalid("csv", "give an object")
  const problem = selectionProblem(method, options)
  if (problem !== null) return yield* problem
  const declared = options.columns === undefined ? undefined : yield* declaredFields(method, options.columns)
  return { config, revision, split, names: declared?.map(({ name }) => name) }
})

/** Opens the files as their format is read; `names` are those of the declared columns. */
const openFiles = (found: HubSplit, options: AnyOptions, names: ReadonlyArray<string> | undefined) => {
  const { columns, csv, limit, select } = options
  const taken = { select, limit, columns }
  switch (found.format) {
    case "parquet":
      return Effect.flatMap(
        Effect.promise(() => import("./internal/ParquetSource.ts")),
        ({ openParquet }) => openParquet(method, found.files, taken)
      )
    case "csv": {
      const delimiter = csv?.delimiter ?? found.delimiter ?? undefined
      return openCsv(method, found.files, { ...csv, ...taken, delimiter, select: select ?? names })
    }
    case "jsonl":
      return openJsonl(method, found.files, { ...taken, select: select ?? names })
  }
}

const open = Effect.fn("Source.huggingFace")(function*(id: string, options: AnyOptions) {
  const { names, ...wanted } = yield* checkOptions(options)
  const hub = yield* hubOf(id, options)
  const { hubSplit } = yield* Effect.promise(() => import("./internal/HubFiles.ts"))
  const found = yield* hubSplit(hub, wanted.revision, { ...wanted, ownCsv: options.csv !== undefined })
  const opened = yield* openFiles(found, options, names)
  const { config, converted, sha } = found
  const dataset = { dataset: hub.dataset, revision: sha, config, split: wanted.split }
  const source: OpenSource = {
    ...opened,
    uri: opened.uri ?? `hf://datasets/${hub.dataset}@${sha}`,
    identity: JSON.stringify({ type: "huggingFace", ...dataset, rows: opened.identity }),
    description: {
      type: "huggingFace",
      ...dataset,
      asked: wanted.revision,
      ...(converted === null ? {} : { converted }),
      rows: opened.description
    }
  }
  return source
})

/**
 * Reads a split of a dataset of the Hugging Face Hub, straight from its files: nothing is written to disk, Parquet is
 * read by ranges of bytes, CSV and JSON lines (also compressed with gzip or zstd) as they come. The commit that
 * `revision` means is pinned when the source is opened: all files are read at it, and it is part of the run's
 * fingerprint and manifest.
 *
 * Which files a split has is told by the `configs` in the header of the dataset's README, else by the names of files
 * and folders, as in the `datasets` library. Where the files have another format (media, Arrow, archives, a JSON
 * array), where a script makes the rows, or where the header asks for what is not known here, the dataset's conversion
 * to Parquet is read in their place, if the hub says that it is of this commit and whole; part of a split is never read
 * in silence. `revision: "refs/convert/parquet"` reads that conversion whatever it is of.
 *
 * What the hub refuses for now (429, 5xx) and connections that fail are tried again for some time, as the hub's headers
 * ask; a reading that was cut goes on where it was. Then it fails with `Unavailable`, which is retryable. Fails with
 * `Refused` (`GatedRepo`: the dataset's terms are to be accepted; `Unauthorized`, `Forbidden`), `InvalidSource`
 * (`not-found`; `failed` where no whole split can be read, or where what a server answers does not fit what the hub
 * lists; else as of `parquet`, `csv` and `jsonl`), `InvalidColumns`, or `InvalidOption`, also for a config or a split
 * that is not there: it names those that are.
 *
 * @since 0.1.0
 * @category constructors
 * @example
 * ```ts
 * import { Source } from "@bedrock-batch/sdk"
 * import { Schema } from "effect"
 *
 * const questions = Source.huggingFace("w601sxs/simpleCoT", { select: ["source"], limit: 100 })
 *
 * const reviews = Source.huggingFace("owner/reviews", {
 *   config: "en",
 *   split: "test",
 *   revision: "v1.0",
 *   columns: Schema.Struct({ id: Schema.BigInt, text: Schema.String })
 * })
 * ```
 */
export const huggingFace: {
  <Row extends object>(id: string, options: TypedHuggingFaceOptions<Row>): Source<Row>
  <const Name extends string>(
    id: string,
    options: HuggingFaceOptions<Name> & { readonly select: ReadonlyArray<Name> }
  ): Source<{ readonly [K in Name]: unknown }>
  (id: string, options?: HuggingFaceOptions & { readonly select?: undefined }): Source<UntypedRow>
} = (id: string, options: AnyOptions = {}) => 
  sourceOf<never, never>(open(id, options), Recipe.ofDataset(id, options))
