/**
 * Which files of a dataset are of which split, and in which format they are, by the rules of the `datasets` library.
 *
 * @internal
 */
import * as Key from "../../store/Key.ts"

type Ranges = ReadonlyArray<readonly [number, number]>

type Letter = "*" | "?" | number | { readonly negated: boolean; readonly ranges: Ranges }

/** A segment of a pattern: `*`, `?`, sets such as `[0-9]` and `[!a]`, and letters that stand for themselves. */
const lettersOf = (segment: string): ReadonlyArray<Letter> => {
  const letters: Array<Letter> = []
  for (let i = 0; i < segment.length;) {
    const set = /^\[(!?)(\]?[^\]]*)\]/u.exec(segment.slice(i))
    if (set !== null) {
      letters.push({ negated: set[1] === "!", ranges: rangesOf(set[2]!) })
      i += set[0].length
    } else {
      const code = segment.codePointAt(i)!
      const letter = String.fromCodePoint(code)
      if (letter === "?") letters.push("?")
      else if (letter !== "*") letters.push(code)
      else if (letters.at(-1) !== "*") letters.push("*")
      i += letter.length
    }
  }
  return letters
}

/** The code points of a set; a range that ends before it starts holds none. */
const rangesOf = (set: string): Ranges => {
  const codes = Array.from(set, (letter) => letter.codePointAt(0)!)
  const ranges: Array<readonly [number, number]> = []
  for (let i = 0; i < codes.length; i++) {
    const isRange = codes[i + 1] === 0x2d && codes[i + 2] !== undefined
    ranges.push([codes[i]!, codes[isRange ? i + 2 : i]!])
    if (isRange) i += 2
  }
  return ranges
}

const fits = (letter: Letter | undefined, code: number): boolean => {
  if (letter === undefined || letter === "*") return false
  if (letter === "?") return true
  if (typeof letter === "number") return letter === code
  return letter.ranges.some(([from, to]) => from <= code && code <= to) !== letter.negated
}

/** Whether letters match a name. Only the last star is ever taken back, so that the time is bounded. */
const matches = (letters: ReadonlyArray<Letter>, name: ReadonlyArray<number>): boolean => {
  let [i, star, from] = [0, -1, 0]
  for (let j = 0; j < name.length;) {
    if (letters[i] === "*") {
      star = i++
      from = j
    } else if (fits(letters[i], name[j]!)) {
      i++
      j++
    } else if (star !== -1) {
      i = star + 1
      j = ++from
    } else {
      return false
    }
  }
  while (letters[i] === "*") i++
  return i === letters.length
}

/** Whether a path matches a pattern; a segment `**` stands for any number of segments, at the end for at least one. */
const matcherOf = (pattern: string): (path: string) => boolean => {
  const segments = pattern.split("/").filter((segment, i, all) => segment !== "**" || all[i + 1] !== "**")
    .map((segment) => segment === "**" ? null : lettersOf(segment))
  return (path) => {
    const names = path.split("/").map((name) => Array.from(name, (letter) => letter.codePointAt(0)!))
    // reached[j]: the segments of the pattern so far match the first j names.
    let reached = [true, ...names.map(() => false)]
    for (const [i, letters] of segments.entries()) {
      const next = reached.map(() => false)
      for (const [j, isReached] of reached.entries()) {
        if (letters === null) {
          if (i < segments.length - 1) next[j] = isReached || (j > 0 && next[j - 1] === true)
          else if (isReached && j < names.length) next[names.length] = true
        } else if (isReached && j < names.length && matches(letters, names[j]!)) {
          next[j + 1] = true
        }
      }
      reached = next
    }
    return reached[names.length] === true
  }
}

const hasMagic = (text: string): boolean => /[*?[]/.test(text)

const hidden = (path: string): number => path.split("/").filter((part) => /^\.(?!\.*$)/.test(part)).length

const special = (path: string): number => path.split("/").slice(0, -1).filter((part) => part.startsWith("__")).length

const ignored = new Set([
  "README.md",
  "config.json",
  "dataset_info.json",
  "dataset_infos.json",
  "dummy_data.zip",
  "dataset_dict.json"
])

const nameOf = (path: string): string => path.slice(path.lastIndexOf("/") + 1)

/** A pattern below a folder, without segments that say nothing. */
const within = (folder: string, pattern: string): string =>
  [...folder.split("/"), ...pattern.split("/")].filter((part) => part !== "" && part !== ".").join("/")

const matching = (paths: ReadonlyArray<string>, pattern: string): ReadonlyArray<string> => {
  const isMatch = matcherOf(pattern)
  const [hiddenParts, specialParts] = [hidden(pattern), special(pattern)]
  return paths.filter((path) =>
    isMatch(path) && hidden(path) === hiddenParts && special(path) === specialParts &&
    (!ignored.has(nameOf(path)) || nameOf(path) === nameOf(pattern))
  )
}

/**
 * A folder whose files a pattern can match, and whether those in folders below it are meant too.
 *
 * @internal
 */
export interface Area {
  readonly folder: string
  readonly recursive: boolean
}

/**
 * The area of a pattern that is relative to a folder.
 *
 * @internal
 */
export const areaOf = (folder: string, pattern: string): Area => {
  const segments = within(folder, pattern).split("/")
  const first = segments.findIndex(hasMagic)
  const fixed = first === -1 ? segments.length - 1 : Math.min(first, segments.length - 1)
  return {
    folder: segments.slice(0, fixed).join("/"),
    recursive: segments.length - fixed > 1 || segments.at(-1) === "**"
  }
}

/**
 * The files of patterns, each once: in the order of the patterns, and for one pattern in the order of their names. A
 * pattern without wildcards names a file that must be there; `absent` is the first that is not.
 *
 * @internal
 */
export const filesOf = (
  paths: ReadonlyArray<string>,
  folder: string,
  patterns: ReadonlyArray<string>
): { readonly files: ReadonlyArray<string>; readonly absent: string | null } => {
  const files = new Set<string>()
  let absent: string | null = null
  for (const pattern of patterns) {
    const whole = within(folder, pattern)
    const found = matching(paths, whole).toSorted(Key.compare)
    if (found.length === 0 && !hasMagic(whole)) absent ??= whole
    for (const path of found) files.add(path)
  }
  return { files: [...files], absent }
}

const separators = "[-._ 0-9]"

const keywords = {
  train: ["train", "training"],
  validation: ["validation", "valid", "dev", "val"],
  test: ["test", "testing", "eval", "evaluation"]
}

const patternSets: ReadonlyArray<(word: string) => ReadonlyArray<string>> = [
  (word) => [
    `**/${word}/**`,
    `**/${word}${separators}*/**`,
    `**/*${separators}${word}/**`,
    `**/*${separators}${word}${separators}*/**`
  ],
  (word) => [`**/${word}${separators}*`, `**/*${separators}${word}${separators}*`]
]

const sharded = "-[0-9][0-9][0-9][0-9][0-9]-of-[0-9][0-9][0-9][0-9][0-9]*.*"

/**
 * The splits that the names of the data files below a folder tell, and the files of each: shards
 * (`data/train-00000-of-00002.parquet`), else folders, else files that are named after splits; where none is, all files
 * are of the split `train`.
 *
 * @internal
 */
export const splitsOf = (
  paths: ReadonlyArray<string>,
  folder: string
): ReadonlyMap<string, ReadonlyArray<string>> => {
  const data = paths.filter((path) => formatOf(path) !== null)
  const shards = matching(data, within(folder, `data/*${sharded}`))
  if (shards.length > 0) {
    const names = shards.map((path) => /^(.+)-\d{5}-of-\d{5}/su.exec(nameOf(path))?.[1] ?? "train")
    const others = [...new Set(names)].filter((name) => !Object.hasOwn(keywords, name)).sort(Key.compare)
    const splits = [...Object.keys(keywords).filter((name) => names.includes(name)), ...others]
    return new Map(splits.map((split) => {
      const own = shards.filter((_, i) => names[i] === split)
      return [split, own.toSorted(Key.compare)]
    }))
  }
  for (const patterns of patternSets) {
    const splits = Object.entries(keywords).map(([split, words]) =>
      [split, filesOf(data, folder, words.flatMap(patterns)).files] as const
    ).filter(([, files]) => files.length > 0)
    if (splits.length > 0) return new Map(splits)
  }
  const { files } = filesOf(data, folder, ["**"])
  return files.length === 0 ? new Map() : new Map([["train", files]])
}

/**
 * A format that is read here; TSV counts as CSV.
 *
 * @internal
 */
export type HubFormat = "parquet" | "csv" | "jsonl"

const formats: { readonly [extension: string]: HubFormat } = {
  parquet: "parquet",
  csv: "csv",
  tsv: "csv",
  jsonl: "jsonl",
  ndjson: "jsonl",
  json: "jsonl"
}

/** In what order formats are preferred that have equally many files. */
const preference: ReadonlyArray<HubFormat | "other"> = ["parquet", "csv", "jsonl", "other"]

/** Extensions of data that the `datasets` library reads and this does not. */
const others = new Set(
  ("geoparquet gpq arrow txt conll conllu tar xml hdf5 h5 eval lance tsfile zip pdf " +
    "jpg jpeg jpe jfif png apng gif bmp dib webp tif tiff ico jp2 j2k j2c jpf jpx ppm pgm pbm pnm pcx psd tga dds " +
    "avif wav wave flac mp3 ogg oga opus aif aiff aifc au snd m4a aac wma caf w64 rf64 " +
    "mp4 m4v mov avi mkv webm mpg mpeg wmv flv 3gp glb gltf obj ply stl nii").split(" ")
)

const compressions = new Set(["gz", "zst"])

/** The format of a file by its name: null for what is no data. */
const formatOf = (path: string): HubFormat | "other" | null => {
  const suffixes = nameOf(path).toLowerCase().split(".").slice(1)
  const isCompressed = compressions.has(suffixes.at(-1) ?? "")
  const suffix = suffixes.at(isCompressed ? -2 : -1) ?? ""
  const format = Object.hasOwn(formats, suffix) ? formats[suffix]! : null
  if (format !== null && !(isCompressed && format === "parquet")) return format
  return suffixes.some((suffix) => Object.hasOwn(formats, suffix) || others.has(suffix)) ? "other" : null
}

/**
 * The format of a split, and those of its files that have it: the format that most of the files have. Null where that
 * is none that is read here. Plain texts do not count, nor do the tables that describe media beside them.
 *
 * @internal
 */
export const chooseFormat = (
  files: ReadonlyArray<string>
): { readonly format: HubFormat; readonly files: ReadonlyArray<string> } | null => {
  const byFormat = new Map<HubFormat | "other", Array<string>>()
  for (const path of files) {
    const format = formatOf(path)
    if (format === null || /\.txt$/i.test(path)) continue
    const same = byFormat.get(format)
    if (same === undefined) byFormat.set(format, [path])
    else same.push(path)
  }
  const hasMedia = byFormat.has("other")
  const counted = (paths: ReadonlyArray<string>) =>
    hasMedia ? paths.filter((path) => !/^metadata\.(?:csv|jsonl|parquet)$/.test(nameOf(path))).length : paths.length
  const [best] = [...byFormat].sort(([a, x], [b, y]) =>
    counted(y) - counted(x) || preference.indexOf(a) - preference.indexOf(b)
  )
  return best === undefined || best[0] === "other" ? null : { format: best[0], files: best[1] }
}
