/**
 * The Parquet files into which the hub converts datasets, on a branch of their own. They may be of an older commit, not
 * be ready, or stop after some gigabytes: what is not known to be whole is refused.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Key from "../../store/Key.ts"
import { invalidOption, invalidSource } from "./Failures.ts"
import { hubFile } from "./HubFile.ts"
import { get, type Hub, method, toBatchError } from "./HubHttp.ts"
import { defaultConfig } from "./HubConfigs.ts"
import { commitOf, listFolder } from "./HubTree.ts"

/**
 * The branch of the converted files.
 *
 * @internal
 */
export const convertedRevision = "refs/convert/parquet"

const Conversion = Schema.fromJsonString(Schema.Struct({
  parquet_files: Schema.Array(Schema.Struct({
    config: Schema.String,
    split: Schema.String,
    url: Schema.String,
    filename: Schema.String,
    size: Schema.Natural
  })),
  pending: Schema.Array(Schema.Json),
  failed: Schema.Array(Schema.Json),
  partial: Schema.Boolean
}))

const decodeConversion = Schema.decodeUnknownEffect(Conversion)

const names = (values: Iterable<string>): string =>
  Array.from(new Set(values), (value) => JSON.stringify(value)).join(", ")

/** The folder of a converted file, `config/split`; null for another address. */
const folderOf = (url: string): string | null => {
  const path = /\/resolve\/refs(?:%2F|\/)convert(?:%2F|\/)parquet\/([^?#]+)\/[^/?#]+(?:[?#]|$)/i.exec(url)?.[1]
  try {
    return path === undefined ? null : path.split("/").map(decodeURIComponent).join("/")
  } catch {
    return null
  }
}

/** The number of the part of a split that a folder holds; null for a folder of something else. */
const partOf = (folder: string | null, whole: string): number | null => {
  if (folder === whole) return 0
  const part = folder?.startsWith(whole) === true ? /^-part(\d+)$/.exec(folder.slice(whole.length))?.[1] : undefined
  return part === undefined ? null : Number(part)
}

/**
 * Unknown configs and splits.
 *
 * @internal
 */
export const unknownName = (
  option: "config" | "split",
  dataset: string,
  wanted: string | undefined,
  known: ReadonlyArray<string>
) =>
  invalidOption(
    method,
    option,
    wanted === undefined
      ? `${dataset} has several ${option}s and no default: name one of ${names(known)}`
      : `${dataset} has no ${option} ${JSON.stringify(wanted)}, only ${names(known)}`
  )

/**
 * The whole conversion of a split; `why` says why the dataset's own files are not read.
 *
 * @internal
 */
export const convertedSplit = Effect.fnUntraced(function*(
  hub: Hub,
  sha: string,
  wanted: { readonly config: string | undefined; readonly split: string },
  why: string
) {
  const { dataset, serverUrl } = hub
  const uri = `hf://datasets/${dataset}@${sha}`
  const incomplete = (reason: string, cause?: unknown) =>
    invalidSource(method, "failed", `${why}, and their conversion to Parquet cannot be used: ${reason}`, { uri, cause })
  const address = new URL(`${serverUrl}/parquet?dataset=${encodeURIComponent(dataset)}`)
  const answer = yield* get(hub, address, { accept: "application/json" }).pipe(
    Effect.mapError((failure) => {
      const known = toBatchError(hub, uri, `${why}, and the list of their conversion to Parquet cannot be had`, failure)
      return known.isRetryable || failure.code === "GatedRepo"
        ? known
        : incomplete(`${serverUrl} has none (HTTP ${[failure.status, failure.code ?? []].flat().join(", ")})`)
    })
  )
  const conversion = yield* decodeConversion(answer.body.toString()).pipe(
    Effect.mapError((cause) => incomplete(`the answer of ${serverUrl} is not understood`, cause))
  )
  const revision = answer.headers.get("x-revision")
  if (revision !== sha) {
    return yield* incomplete(`it is of the commit ${revision ?? "that is not told"}, not of this one`)
  }
  const { failed, parquet_files: all, partial, pending } = conversion
  if (pending.length > 0) return yield* incomplete(`${pending.length} of its parts are not ready; try again later`)
  if (failed.length > 0) return yield* incomplete(`${failed.length} of its parts failed`)
  const configs = [...new Set(all.map(({ config }) => config))]
  const config = wanted.config ?? defaultConfig(configs.map((name) => ({ name, isDefault: false })))?.name
  if (all.length === 0) return yield* incomplete("it is empty")
  if (config === undefined || !configs.includes(config)) {
    return yield* unknownName("config", dataset, wanted.config, configs)
  }
  const ofConfig = all.filter((file) => file.config === config)
  const own = ofConfig.filter((file) => file.split === wanted.split)
  if (own.length === 0) {
    return yield* unknownName("split", dataset, wanted.split, [...new Set(ofConfig.map(({ split }) => split))])
  }

  const whole = `${config}/${wanted.split}`
  const parts = own.map(({ filename, size, url }) => {
    const folder = folderOf(url)
    return { folder, part: partOf(folder, whole), path: `${folder}/${filename}`, size }
  }).sort((a, b) => (a.part ?? 0) - (b.part ?? 0) || Key.compare(a.path, b.path))
  const isCut = (url: string) => folderOf(url)?.includes("/partial-") === true
  // Where another split is cut short its folder says so, and this one is whole.
  if (own.some(({ url }) => isCut(url)) || (partial && !all.some(({ url }) => isCut(url)))) {
    return yield* incomplete(`it holds only the first part of the split ${JSON.stringify(wanted.split)}`)
  }
  if (parts.some(({ part }) => part === null)) return yield* incomplete("its files are not where they should be")

  const converted = yield* commitOf(hub, convertedRevision)
  const folders = new Set(parts.flatMap(({ folder }) => folder ?? []))
  const listed = yield* Effect.forEach(folders, (folder) => listFolder(hub, converted, folder, false))
  const entries = new Map(listed.flatMap(({ files }) => files).map((entry) => [entry.path, entry]))
  const files = parts.flatMap(({ path, size }) => {
    const entry = entries.get(path)
    return entry === undefined || entry.size !== size ? [] : [hubFile(hub, converted, entry)]
  })
  return files.length === own.length && files.length === entries.size
    ? { config, revision: converted, files }
    : yield* incomplete("its branch does not hold the files that are listed; try again later")
})

/**
 * A split of the branch of converted files, where that branch itself is asked for.
 *
 * @internal
 */
export const branchSplit = Effect.fnUntraced(function*(
  hub: Hub,
  sha: string,
  wanted: { readonly config: string | undefined; readonly split: string }
) {
  const uri = `hf://datasets/${hub.dataset}@${sha}`
  const { files } = yield* listFolder(hub, sha, "", true)
  const all = files.flatMap((entry) => {
    const [, config, partial, split, part = "0"] =
      /^(.+)\/(partial-)?([^/]+?)(?:-part(\d+))?\/[^/]+\.parquet$/s.exec(entry.path) ?? []
    return config === undefined || split === undefined
      ? []
      : [{ config, split, entry, isCut: partial !== undefined, part: Number(part) }]
  })
  const configs = [...new Set(all.map(({ config }) => config))]
  if (all.length === 0) return yield* invalidSource(method, "empty", "there are no converted files", { uri })
  const config = wanted.config ?? defaultConfig(configs.map((name) => ({ name, isDefault: false })))?.name
  const ofConfig = all.filter((file) => file.config === config)
  if (config === undefined || ofConfig.length === 0) {
    return yield* unknownName("config", hub.dataset, wanted.config, configs)
  }
  const own = ofConfig.filter(({ split }) => split === wanted.split)
  if (own.length === 0) {
    return yield* unknownName("split", hub.dataset, wanted.split, ofConfig.map(({ split }) => split))
  }
  if (own.some(({ isCut }) => isCut)) {
    const message = `the converted files hold only the first part of the split ${JSON.stringify(wanted.split)}`
    return yield* invalidSource(method, "failed", message, { uri })
  }
  return {
    config,
    revision: sha,
    files: own.sort((a, b) => a.part - b.part || Key.compare(a.entry.path, b.entry.path))
      .map(({ entry }) => hubFile(hub, sha, entry))
  }
})
