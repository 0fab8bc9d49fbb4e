/**
 * Finds the files of a split of a dataset: its own, where they have a format that is read here, else those that the hub
 * has converted.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import type { BatchError } from "../../BatchError.ts"
import { invalidSource } from "./Failures.ts"
import { configsOf, defaultConfig, type HubConfig } from "./HubConfigs.ts"
import { branchSplit, convertedRevision, convertedSplit, unknownName } from "./HubConverted.ts"
import { type HubEntry, hubFile, hubFileAndHead } from "./HubFile.ts"
import { type Hub, method } from "./HubHttp.ts"
import { areaOf, chooseFormat, filesOf, type HubFormat, splitsOf } from "./HubSplits.ts"
import { commitOf, listFolder, type Listed } from "./HubTree.ts"
import type { SourceFile } from "./SourceFile.ts"

/**
 * The files of a split.
 *
 * @internal
 */
export interface HubSplit {
  /** The commit that the revision means. */
  readonly sha: string
  /** The commit of the converted files, where they are read. */
  readonly converted: string | null
  readonly config: string
  readonly format: HubFormat
  /** Of CSV, where the README gives it. */
  readonly delimiter: string | null
  readonly files: ReadonlyArray<SourceFile>
}

interface Wanted {
  readonly config: string | undefined
  readonly split: string
  /** Whether the caller says how CSV is read, so that the README need not be understood. */
  readonly ownCsv: boolean
}

const maximumCardBytes = 16 * 1024 * 1024

const text = Effect.fnUntraced(function*(hub: Hub, sha: string, entry: HubEntry | undefined) {
  if (entry === undefined) return null
  const file = hubFile(hub, sha, entry)
  if (entry.size <= maximumCardBytes) return new TextDecoder().decode(yield* file.range(0, entry.size))
  return yield* invalidSource(method, "failed", `a description of ${entry.size} bytes is not read`, file)
})

/** Why the files of a dataset are not read, and the config that is meant, where that is known. */
class Unread {
  readonly why: string
  readonly config: string | undefined

  constructor(why: string, config: string | undefined = undefined) {
    this.why = why
    this.config = config
  }
}

const asked = (hub: Hub, wanted: Wanted, config: HubConfig, splits: ReadonlyMap<string, unknown>) =>
  unknownName("split", `${hub.dataset} (config ${JSON.stringify(config.name)})`, wanted.split, [...splits.keys()])

/** A dataset at a commit, of which each folder is listed once. */
class Tree {
  private readonly hub: Hub
  private readonly sha: string
  private readonly root: Listed
  private whole: Listed | null = null

  constructor(hub: Hub, sha: string, root: Listed) {
    this.hub = hub
    this.sha = sha
    this.root = root
  }

  in(folder: string, recursive: boolean): Effect.Effect<ReadonlyArray<HubEntry>, BatchError> {
    if (this.whole !== null) return Effect.succeed(this.whole.files)
    if (folder === "" && !(recursive && this.root.hasFolders)) return Effect.succeed(this.root.files)
    return Effect.map(listFolder(this.hub, this.sha, folder, recursive), (listed) => {
      if (folder === "") this.whole = listed
      return listed.files
    })
  }
}

/** The files of patterns, from the folders in which they can be. */
const patternFiles = Effect.fnUntraced(function*(
  tree: Tree,
  uri: string,
  folder: string,
  patterns: ReadonlyArray<string>
) {
  const areas = new Map<string, boolean>()
  for (const pattern of patterns) {
    const area = areaOf(folder, pattern)
    areas.set(area.folder, area.recursive || areas.get(area.folder) === true)
  }
  const entries = new Map<string, HubEntry>()
  for (const [area, recursive] of areas) {
    for (const entry of yield* tree.in(area, recursive)) entries.set(entry.path, entry)
  }
  const { absent, files } = filesOf([...entries.keys()], folder, patterns)
  if (absent !== null) {
    const message = `the dataset's README names ${JSON.stringify(absent)}, which is not there`
    return yield* invalidSource(method, "not-found", message, { uri })
  }
  return files.map((path) => entries.get(path)!)
})

/** The files of a split whose config is known, before it is known whether their format is read. */
const splitFiles = Effect.fnUntraced(function*(hub: Hub, uri: string, tree: Tree, config: HubConfig, wanted: Wanted) {
  if (config.patterns !== null) {
    const patterns = config.patterns.get(wanted.split)
    if (patterns === undefined) return yield* asked(hub, wanted, config, config.patterns)
    return yield* patternFiles(tree, uri, config.folder, patterns)
  }
  const entries = new Map((yield* tree.in(config.folder, true)).map((entry) => [entry.path, entry]))
  const splits = splitsOf([...entries.keys()], config.folder)
  const paths = splits.get(wanted.split)
  if (paths === undefined && splits.size > 0) return yield* asked(hub, wanted, config, splits)
  return (paths ?? []).map((path) => entries.get(path)!)
})

const wholeDataset: HubConfig = {
  name: "default",
  isDefault: true,
  folder: "",
  patterns: null,
  delimiter: null,
  unread: []
}

/** The config that is meant, or why the card does not tell it. */
const configOf = Effect.fnUntraced(function*(hub: Hub, sha: string, root: Listed, wanted: Wanted) {
  const own = (path: string) => root.files.find((entry) => entry.path === path)
  const readme = yield* text(hub, sha, own("README.md"))
  const configs = configsOf(readme, yield* text(hub, sha, own(".huggingface.yaml")))
  const script = `${hub.dataset.slice(hub.dataset.indexOf("/") + 1)}.py`
  if (configs === null && own(script) !== undefined) return new Unread(`its rows are made by a script, ${script}`)
  if (configs !== null && "problem" in configs) return new Unread(configs.problem)
  const known = configs ?? [wholeDataset]
  const config = wanted.config === undefined
    ? defaultConfig(known)
    : known.find(({ name }) => name === wanted.config) ?? null
  return config ?? (yield* unknownName("config", hub.dataset, wanted.config, known.map(({ name }) => name)))
})

/** How many of the first bytes of a JSON file are looked at. */
const headBytes = 64 * 1024

/** Whether a JSON file with these first bytes may be one of lines, each an object; a long first line may be. */
const startsWithLine = (head: Uint8Array): boolean => {
  const start = new TextDecoder().decode(head).trimStart()
  const end = start.search(/[\r\n]/)
  if (start === "") return true
  if (!start.startsWith("{")) return false
  try {
    return end === -1 || typeof JSON.parse(start.slice(0, end)) === "object"
  } catch {
    return false
  }
}

/** Why a config's files are not read, though their format is. */
const obstacleOf = (
  config: HubConfig,
  { files, format }: NonNullable<ReturnType<typeof chooseFormat>>,
  ownCsv: boolean
): string | null => {
  const names = format === "csv" && ownCsv ? [] : config.unread
  if (names.length > 0) {
    return `the dataset's README sets ${names.map((name) => `\`${name}\``).join(", ")}, which is not understood here`
  }
  const tabs = format === "csv" ? files.filter(isTabbed).length : 0
  return tabs > 0 && tabs < files.length ? "some of the dataset's files are CSV and some are TSV" : null
}

const isTabbed = (path: string): boolean => /\.tsv(?:\.[^./]+)?$/i.test(path)

const unreadFormat = "the dataset's files are not in a format that is read here (Parquet, CSV, TSV, JSON lines)"

/** The files of the dataset itself, or why they are not read and of which config they are. */
const ownSplit = Effect.fnUntraced(function*(hub: Hub, sha: string, wanted: Wanted) {
  const uri = `hf://datasets/${hub.dataset}@${sha}`
  const root = yield* listFolder(hub, sha, "", false)
  const config = yield* configOf(hub, sha, root, wanted)
  if (config instanceof Unread) return config
  const { name } = config
  const entries = yield* splitFiles(hub, uri, new Tree(hub, sha, root), config, wanted)
  const chosen = chooseFormat(entries.map(({ path }) => path))
  if (chosen === null) return new Unread(unreadFormat, name === wholeDataset.name ? undefined : name)
  const obstacle = obstacleOf(config, chosen, wanted.ownCsv)
  if (obstacle !== null) return new Unread(obstacle, name)

  const byPath = new Map(entries.map((entry) => [entry.path, entry]))
  const files = chosen.files.map((path) => hubFile(hub, sha, byPath.get(path)!))
  const json = chosen.files.findIndex((path) => /\.json$/i.test(path))
  if (json !== -1) {
    const looked = yield* hubFileAndHead(hub, sha, byPath.get(chosen.files[json]!)!, headBytes)
    if (!startsWithLine(looked.head)) {
      return new Unread("the dataset's JSON files are not of lines, each an object", name)
    }
    files[json] = looked.file
  }
  const split: HubSplit = {
    sha,
    converted: null,
    config: name,
    format: chosen.format,
    delimiter: config.delimiter,
    files
  }
  return split
})

/**
 * The files of a split at the commit that a revision means now.
 *
 * @internal
 */
export const hubSplit = Effect.fnUntraced(function*(hub: Hub, revision: string, wanted: Wanted) {
  const sha = yield* commitOf(hub, revision)
  const own = revision === convertedRevision ? null : yield* ownSplit(hub, sha, wanted)
  if (own !== null && !(own instanceof Unread)) return own
  const found = own === null
    ? yield* branchSplit(hub, sha, wanted)
    : yield* convertedSplit(hub, sha, { ...wanted, config: wanted.config ?? own.config }, own.why)
  const split: HubSplit = {
    sha,
    converted: found.revision,
    config: found.config,
    format: "parquet",
    delimiter: null,
    files: found.files
  }
  return split
})
