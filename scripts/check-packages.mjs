// Packs the packages as they would be published, installs them into an empty project outside the workspace, type-checks
// and runs the README's examples there: `npm run build && node scripts/check-packages.mjs`.
//
// The README's local examples run on the emulator in process. The one for AWS runs as it stands against the packed
// emulator over HTTP and a local S3, which the AWS SDK is sent to by its own environment variables.
import { PutObjectCommand } from "@aws-sdk/client-s3"
import assert from "node:assert/strict"
import { execFileSync, spawn, spawnSync } from "node:child_process"
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { startS3Server } from "../packages/sdk/test/rig/S3Server.ts"
import { blocksOf } from "./lib/blocks.mjs"

const packages = ["processors", "sdk", "emulator", "cdk-adapter"]
const project = mkdtempSync(join(tmpdir(), "bedrock-batch-packed-"))
const root = JSON.parse(readFileSync("package.json", "utf8"))

let passed = 0
const step = async (name, run) => {
  try {
    await run()
  } catch (error) {
    console.error(`${name}: ${error instanceof Error ? error.stack : error}`)
    console.log(`packages: ${passed} passed, 1 failed`)
    process.exit(1)
  }
  passed++
  console.log(`${name}: passed`)
}
process.on("exit", () => rmSync(project, { recursive: true, force: true }))

/** Runs a command to its end and gives what it printed; what it said is in the error if it fails. */
const run = (command, args, options = {}) => {
  const { error, status, stderr, stdout } = spawnSync(command, args, { cwd: project, encoding: "utf8", timeout: 600_000, ...options })
  assert.equal(status, 0, `${command} ${args.join(" ")} failed: ${error?.message ?? ""}\n${stdout}\n${stderr}`)
  return stdout
}

const tarballs = []
await step("pack", () => {
  const args = ["pack", "--json", "--pack-destination", project, ...packages.flatMap((name) => ["-w", `packages/${name}`])]
  const packed = JSON.parse(execFileSync("npm", args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }))
  for (const { filename, files, name } of Object.values(packed)) {
    const paths = files.map(({ path }) => path)
    for (const wanted of ["LICENSE", "README.md", "package.json", "dist/index.js", "dist/index.d.ts", "src/index.ts"]) {
      assert.ok(paths.includes(wanted), `${name} lacks ${wanted}`)
    }
    const known = /^(LICENSE|README\.md|package\.json|dist\/input\.schema\.json|(dist|src)\/.+\.(m?js|ts|map))$/
    const strange = paths.filter((path) => !known.test(path))
    assert.deepEqual(strange, [], `${name} holds files that are none of a package`)
    tarballs.push(join(project, filename.replace("@", "").replace("/", "-")))
  }
  assert.equal(tarballs.length, packages.length)
})

await step("install", () => {
  const tools = ["effect", "typescript", "@types/node"].map((name) => `${name}@${root.devDependencies[name]}`)
  writeFileSync(join(project, "package.json"), JSON.stringify({ name: "packed", private: true, type: "module" }))
  run("npm", ["install", "--prefer-offline", "--no-audit", "--no-fund", ...tarballs, ...tools])
})

const examples = new Map(blocksOf(readFileSync("README.md", "utf8")).map(({ code }, index) => [`readme-${index + 1}.ts`, code]))
const rows = Array.from({ length: 250 }, (_, i) => `${i},"topic ${i}, of many"\n`)
const topics = `id,topic\n${rows.join("")}`

await step("type-check", () => {
  for (const [name, code] of examples) writeFileSync(join(project, name), code)
  // Not our repository's options: those of any strict project.
  for (const [module, moduleResolution] of [["NodeNext", "NodeNext"], ["ESNext", "Bundler"]]) {
    writeFileSync(
      join(project, "tsconfig.json"),
      JSON.stringify({
        compilerOptions: {
          target: "ES2023",
          lib: ["ES2023"],
          module,
          moduleResolution,
          types: ["node"],
          strict: true,
          noEmit: true,
          skipLibCheck: true
        },
        include: ["*.ts"]
      })
    )
    run(process.execPath, ["node_modules/typescript/bin/tsc"])
  }
})

await step("exports", () => {
  const list = "for (const name of process.argv.slice(1)) await import(name)"
  const open = [
    "processors",
    "processors/Converse",
    "sdk",
    "sdk/promise",
    "sdk/store/S3",
    "emulator",
    "emulator/Server",
    "cdk-adapter"
  ]
  run(process.execPath, ["--input-type=module", "-e", list, ...open.map((name) => `@bedrock-batch/${name}`)])
  for (const name of ["sdk/internal/Layout", "sdk/source/internal/CsvParser", "processors/internal/Template"]) {
    const { status } = spawnSync(process.execPath, ["--input-type=module", "-e", list, `@bedrock-batch/${name}`], { cwd: project })
    assert.notEqual(status, 0, `@bedrock-batch/${name} can be imported`)
  }
})

await step("synthesis", () => {
  const code = `import { PipelineStack } from "@bedrock-batch/cdk-adapter"
    import { App } from "aws-cdk-lib"
    import { Template } from "aws-cdk-lib/assertions"
    const template = Template.fromStack(new PipelineStack(new App(), "Packed"))
    console.log(Object.keys(template.findResources("AWS::Lambda::Function")).length, "functions")`
  assert.match(run(process.execPath, ["--input-type=module", "-e", code]), /^7 functions$/m)
})

/** The AWS SDK's own variables and no other: who runs this may have an account. */
const environment = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("AWS_")))

const runExample = async (name) => {
  const folder = join(project, `run-${name}`)
  mkdirSync(folder)
  writeFileSync(join(folder, "topics.csv"), topics)
  const code = examples.get(name)
  if (!code.includes("Aws.layer")) return run(process.execPath, [join("..", name)], { cwd: folder, env: environment })

  const bucket = /bucket: "([^"]+)"/.exec(code)?.[1]
  const s3 = await startS3Server({ buckets: [bucket] })
  const client = s3.client()
  await client.send(new PutObjectCommand({ Bucket: bucket, Key: "topics.csv", Body: topics }))
  client.destroy()
  const env = {
    ...environment,
    AWS_REGION: s3.region,
    AWS_ACCESS_KEY_ID: s3.credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: s3.credentials.secretAccessKey,
    AWS_ENDPOINT_URL_S3: s3.endpoint
  }
  const emulator = spawn(join(project, "node_modules/.bin/bedrock-batch-emulator"), ["--port", "0"], {
    env,
    stdio: ["ignore", "pipe", "inherit"]
  })
  try {
    for await (const line of createInterface(emulator.stdout)) {
      const url = /AWS_ENDPOINT_URL_BEDROCK=([^,\s]+)/.exec(line)?.[1]
      if (url === undefined) continue
      // The S3 server is in this process: the example must not be waited for without yielding.
      return await new Promise((done, failed) => {
        const child = spawn(process.execPath, [join("..", name)], {
          cwd: folder,
          env: { ...env, AWS_ENDPOINT_URL_BEDROCK: url, AWS_ENDPOINT_URL_BEDROCK_RUNTIME: url },
          timeout: 120_000,
          stdio: ["ignore", "pipe", "inherit"]
        })
        let printed = ""
        child.stdout.on("data", (piece) => (printed += piece))
        child.on("close", (status) => (status === 0 ? done(printed) : failed(new Error(`it ended with ${status}: ${printed}`))))
      })
    }
    throw new Error("the emulator did not start")
  } finally {
    emulator.kill("SIGTERM")
    await s3.close()
  }
}

// What is only described is not run.
for (const name of [...examples.keys()].filter((name) => /\bawait\b/.test(examples.get(name)))) {
  await step(name, async () => assert.match(await runExample(name), /succeeded: 250/))
}
console.log(`packages: ${passed} passed, 0 failed`)
