/**
 * What the card of a dataset says about its configs: which files are of which split.
 *
 * @internal
 */
import { type Yaml, HubYamlFault, yamlKey } from "./HubYaml.ts"

/**
 * A config of a dataset.
 *
 * @internal
 */
export interface HubConfig {
  readonly name: string
  readonly isDefault: boolean
  /** The folder that the patterns are relative to; empty for the root. */
  readonly folder: string
  /** The patterns of each split's files, or null where the files' names tell the split. */
  readonly patterns: ReadonlyMap<string, ReadonlyArray<string>> | null
  /** The delimiter of CSV files, where it is given. */
  readonly delimiter: string | null
  /** Parameters that change how rows are read, in ways that are not known here. */
  readonly unread: ReadonlyArray<string>
}

/** Parameters of the loaders of the `datasets` library that decide what a row is. */
const shaping = new Set([
  "column_names",
  "columns",
  "comment",
  "dialect",
  "doublequote",
  "encoding",
  "error_bad_lines",
  "escapechar",
  "field",
  "filters",
  "header",
  "index_col",
  "lineterminator",
  "names",
  "nrows",
  "on_bad_lines",
  "prefix",
  "quotechar",
  "quoting",
  "skip_blank_lines",
  "skipfooter",
  "skipinitialspace",
  "skiprows",
  "usecols"
])

const splitName = /^[\p{L}\p{N}_]+(?:\.[\p{L}\p{N}_]+)*$/u

const isList = (value: Yaml | undefined): value is ReadonlyArray<Yaml> => Array.isArray(value)

const isMap = (value: Yaml | undefined): value is ReadonlyMap<string, Yaml> => value instanceof Map

const isText = (value: Yaml | undefined): value is string => typeof value === "string"

/** What the header says is no description of configs; the message names the config. */
class HubConfigFault {
  readonly message: string

  constructor(message: string) {
    this.message = message
  }
}

const textsOf = (value: Yaml | undefined): ReadonlyArray<string> | null => {
  if (isText(value)) return [value]
  return isList(value) && value.every(isText) ? value : null
}

const patternsOf = (name: string, value: Yaml): ReadonlyMap<string, ReadonlyArray<string>> => {
  const fault = (message: string) =>
    new HubConfigFault(`\`data_files\` of the config ${JSON.stringify(name)} ${message}`)
  const all = textsOf(value)
  if (all !== null) return new Map([["train", all]])
  if (!isList(value)) throw fault("is neither a text nor a list")
  const patterns = new Map<string, ReadonlyArray<string>>()
  for (const entry of value) {
    const split = isMap(entry) ? entry.get("split") : undefined
    const paths = isMap(entry) ? textsOf(entry.get("path")) : null
    if (!isMap(entry) || entry.size !== 2 || !isText(split) || !splitName.test(split) || paths === null) {
      throw fault("has an entry that is not a split and its path")
    }
    if (patterns.has(split)) throw fault(`has the split ${JSON.stringify(split)} twice`)
    patterns.set(split, paths)
  }
  return patterns
}

const optionalText = (name: string, config: ReadonlyMap<string, Yaml>, key: string): string | null => {
  const value = config.get(key) ?? null
  if (value === null || isText(value)) return value
  throw new HubConfigFault(`\`${key}\` of the config ${JSON.stringify(name)} is no text`)
}

const isUtf8 = (key: string, value: Yaml): boolean => key === "encoding" && isText(value) && /^utf-?8$/i.test(value)

const configOf = (value: Yaml): HubConfig => {
  const name = isMap(value) ? value.get("config_name") : undefined
  if (!isMap(value) || !isText(name)) throw new HubConfigFault("a config has no `config_name`")
  const files = value.get("data_files") ?? null
  const folder = optionalText(name, value, "data_dir") ?? ""
  const patterns = files === null ? null : patternsOf(name, files)
  for (const path of [folder, ...[...patterns?.values() ?? []].flat()]) {
    if (path.includes("://") || path.startsWith("/") || path.split("/").includes("..")) {
      throw new HubConfigFault(`the config ${JSON.stringify(name)} names files outside of the dataset`)
    }
    if (path.split("/").some((segment) => segment.includes("**") && segment !== "**")) {
      throw new HubConfigFault(`a pattern of the config ${JSON.stringify(name)} has ** beside other letters`)
    }
  }
  const isDefault = value.get("default") ?? null
  return {
    name,
    isDefault: isText(isDefault) && /^(?:true|yes|on)$/i.test(isDefault),
    folder: folder.split("/").filter((part) => part !== "" && part !== ".").join("/"),
    patterns,
    delimiter: optionalText(name, value, "sep") ?? optionalText(name, value, "delimiter"),
    unread: [...value].filter(([key, given]) => shaping.has(key) && !isUtf8(key, given)).map(([key]) => key)
  }
}

/** The header of a README: between two lines of three dashes. */
const headerOf = (card: string): string | null =>
  /^\ufeff?\s*---[ \t]*(?:\r\n|\r|\n)([\s\S]*?)(?:^|\r|\n)---[ \t]*(?:\r|\n|$)/.exec(card)?.[1] ?? null

/**
 * The configs that the README of a dataset describes, or a file `.huggingface.yaml`, which goes before it; null where
 * neither describes any. What is not understood is told as a text: nothing is known of the dataset's files then.
 *
 * @internal
 */
export const configsOf = (
  readme: string | null,
  standalone: string | null
): ReadonlyArray<HubConfig> | null | { readonly problem: string } => {
  const headers = [[".huggingface.yaml", standalone], ["README.md", readme === null ? null : headerOf(readme)]] as const
  for (const [file, header] of headers) {
    try {
      const value = header === null ? undefined : yamlKey(header, "configs")
      if (value === undefined || (value === null && file === "README.md")) continue
      if (value === null || (isList(value) && value.length === 0)) return null
      if (!isList(value)) throw new HubConfigFault("`configs` is no list")
      const configs = value.map(configOf)
      const twice = configs.find(({ name }, i) => configs.findIndex((other) => other.name === name) !== i)
      if (twice !== undefined) throw new HubConfigFault(`the config ${JSON.stringify(twice.name)} is there twice`)
      return configs
    } catch (cause) {
      if (cause instanceof HubYamlFault) {
        return { problem: `the header of ${file} is not understood (line ${cause.line}: ${cause.message})` }
      }
      if (cause instanceof HubConfigFault) {
        return { problem: `the header of ${file} is not understood (${cause.message})` }
      }
      throw cause
    }
  }
  return null
}

/**
 * The config that is meant where none is named: the only one, or the default one. Null where there is none, or more
 * than one.
 *
 * @internal
 */
export const defaultConfig = <A extends { readonly name: string; readonly isDefault: boolean }>(
  configs: ReadonlyArray<A>
): A | null => {
  const found = configs.length === 1
    ? configs
    : configs.filter(({ isDefault, name }) => isDefault || name === "default")
  return found.length === 1 ? found[0]! : null
}
