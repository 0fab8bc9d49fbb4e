// Lists the models that the account sees in a Region, and whether batch inference takes them, or shows one in full:
// `npm run models -- [--region R] [--all] [--access] [--json] [--endpoint URL] [ID]`.
import { spawnSync } from "node:child_process"
import { parseArgs } from "node:util"

const usage = `Usage: npm run models -- [options] [model]

Lists the models that the account sees in a Region, and whether batch inference takes them. With a model id, an
inference profile or an ARN it shows that model in full.

  --region <name>    default: the environment's (AWS_REGION, or the profile's)
  --all              also the models that batch inference does not take
  --access           asks of each model whether the account may use it: one call a model
  --json             everything, as JSON
  --endpoint <url>   another endpoint than the Region's own, say of the emulator
  --help

Permissions: bedrock:ListFoundationModels, bedrock:ListInferenceProfiles and bedrock:GetFoundationModelAvailability.
What is not permitted is shown as unknown.
`

const fail = (message) => {
  console.error(message)
  process.exit(1)
}

const options = {
  region: { type: "string" },
  all: { type: "boolean", default: false },
  access: { type: "boolean", default: false },
  json: { type: "boolean", default: false },
  endpoint: { type: "string" },
  help: { type: "boolean", default: false }
}

const read = () => {
  try {
    const { positionals, values } = parseArgs({ options, strict: true, allowPositionals: true })
    if (positionals.length > 1) throw new RangeError("one model at a time, or none")
    const url = values.endpoint
    if (url !== undefined && !/^https?:$/.test(URL.parse(url)?.protocol ?? "")) {
      throw new RangeError(`--endpoint must be a URL such as http://127.0.0.1:9290, not ${url}`)
    }
    if (values.region !== undefined && !/^[a-z0-9-]{1,63}$/.test(values.region)) {
      throw new RangeError(`--region must be a name such as us-east-1, not ${values.region}`)
    }
    return { ...values, name: positionals[0] }
  } catch (error) {
    return fail(`${error.message}\n\n${usage}`)
  }
}

/** The sdk, which is built first if it is not. */
const load = async () => {
  const names = ["@bedrock-batch/sdk", "@bedrock-batch/processors", "effect"]
  const modules = () => Promise.all(names.map((name) => import(name)))
  try {
    return await modules()
  } catch (error) {
    if (error.code !== "ERR_MODULE_NOT_FOUND") throw error
    const build = spawnSync("turbo", ["run", "build", "--output-logs=errors-only"], {
      stdio: ["ignore", 2, 2],
      env: { ...process.env, TURBO_TELEMETRY_DISABLED: "1", DO_NOT_TRACK: "1" }
    })
    if (build.status !== 0) fail("The packages are not built, and cannot be: run npm run build")
    return modules()
  }
}

const credentials = "There are no AWS credentials. Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, " +
  "or sign in (aws sso login). For the emulator any will do: AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local."

const explain = (error) => {
  const reason = error?.reason
  if (reason === undefined) return error instanceof Error ? error.stack : String(error)
  if (reason._tag === "Refused" && reason.code === "CredentialsProviderError") return credentials
  const hint = reason._tag === "Refused" && /Token|Signature|Credential/i.test(reason.code)
    ? " The AWS credentials are not valid, or have expired."
    : reason._tag === "Unavailable"
    ? " Bedrock is not to be reached: look at --region and --endpoint."
    : ""
  return `${reason.message}${reason._tag === "Refused" ? ` (${reason.code})` : ""}.${hint}`
}

const yesNo = (value, yes = "yes", no = "no") => value === null ? "unknown" : value ? yes : no

const table = (head, rows) => {
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column].length)))
  const line = (row) => row.map((cell, column) => cell.padEnd(widths[column])).join("  ").trimEnd()
  return [head, ...rows].map(line).join("\n")
}

const lifecycle = ({ endOfLife, isLegacy }) =>
  yesNo(isLegacy, endOfLife === null ? "legacy" : `legacy (end of life ${endOfLife})`, "active")

const gapLines = (gaps) =>
  gaps.map(({ action, message }) => `Not permitted: ${action}. What it tells is unknown. (${message})`)

const listText = ({ gaps, models, region }, source, { access, all }) => {
  const shown = all ? models : models.filter(({ batch }) => batch !== "no")
  const head = ["MODEL", "BATCH", "NAME IT", "FAMILY", "LISTED", "LIFECYCLE", ...(access ? ["ACCESS"] : [])]
  const rows = [...shown].sort((a, b) => (a.batch === b.batch ? 0 : a.batch === "yes" ? -1 : 1)).map((model) => [
    model.id,
    model.batch,
    model.needsProfile === null
      ? "unknown"
      : model.needsProfile
      ? model.names[0] ?? "by an inference profile"
      : "as it is",
    model.family ?? (model.processor === null ? "unknown" : `unknown (${model.processor})`),
    yesNo(model.isListed),
    lifecycle(model),
    ...(access ? [model.access?.verdict ?? "not asked"] : [])
  ])
  const hidden = models.length - shown.length
  return [
    table(head, rows),
    "",
    `${rows.length} models in ${region}. Batch support by the list of ${source.asOf} (${source.page}).`,
    ...(hidden === 0 ? [] : [`${hidden} models that batch inference does not take are left out: --all shows them.`]),
    ...gapLines(gaps)
  ].join("\n")
}

const modelText = (model, source) => {
  const { access, catalogue } = model
  const parts = access?.parts ?? null
  const title = [model.provider, model.name].filter((part) => part !== null).join(", ")
  const lines = [
    ["Model", title === "" ? model.id : `${model.id} (${title})`],
    ["Region", model.region],
    ["Batch", model.batch + (model.why === null ? ` (by the list of ${source.asOf})` : `: ${model.why}`)],
    ["Name it", model.names.length === 0 ? "unknown" : model.names.join(", or ")],
    ["Profile needed", yesNo(model.needsProfile)],
    ["Family", model.family ?? "unknown"],
    ["Processor", model.processor ?? "none built in"],
    ["Inputs", catalogue?.inputs.join(", ") ?? model.inputs?.join(", ").toLowerCase() ?? "unknown"],
    ["Outputs", catalogue?.output ?? model.outputs?.join(", ").toLowerCase() ?? "unknown"],
    ["Longest answer", catalogue?.maxOutputTokens == null ? "unknown" : `${catalogue.maxOutputTokens} tokens`],
    ["JSON Schema", yesNo(catalogue?.structuredOutput ?? null)],
    ["Listed here", yesNo(model.isListed)],
    ["Lifecycle", lifecycle(model)],
    [
      "Access",
      `${access?.verdict ?? "unknown"}${
        parts === null ? "" : ` (agreement ${parts.agreement}, authorization ${parts.authorization}, ` +
          `entitlement ${parts.entitlement}, Region ${parts.region})`
      }`
    ],
    ["Profiles", model.profiles === null ? "unknown" : model.profiles.map(({ id }) => id).join(", ") || "none"],
    ["Regions, bare id", catalogue?.regions.join(", ") || (catalogue === null ? "unknown" : "none")],
    ["Regions, profile", catalogue?.profileRegions.join(", ") || (catalogue === null ? "unknown" : "none")]
  ]
  const width = Math.max(...lines.map(([label]) => label.length))
  return [
    ...lines.map(([label, text]) => `${label.padEnd(width)}  ${text}`),
    ...model.advice.map(({ message }) => `Note: ${message}`),
    ...gapLines(model.gaps)
  ].join("\n")
}

const given = read()
if (given.help) {
  process.stdout.write(usage)
  process.exit(0)
}
const [sdk, { Catalogue }, { Effect, Exit, Cause }] = await load()
const asking = given.name === undefined ? sdk.models({ access: given.access }) : sdk.model(given.name)
const layer = sdk.ModelsApi.layer({ region: given.region, endpoint: given.endpoint })
const exit = await Effect.runPromiseExit(Effect.provide(asking, layer))
if (Exit.isFailure(exit)) fail(explain(Cause.squash(exit.cause)))
const { source } = Catalogue
console.log(
  given.json
    ? JSON.stringify({ ...exit.value, source }, null, 2)
    : given.name === undefined
    ? listText(exit.value, source, given)
    : modelText(exit.value, source)
)
