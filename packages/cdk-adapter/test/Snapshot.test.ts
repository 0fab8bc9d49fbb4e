import { describe, expect, it } from "@effect/vitest"
import { App } from "aws-cdk-lib"
import { Template } from "aws-cdk-lib/assertions"
import { PipelineStack } from "../src/index.ts"
import { type Json, resolve } from "./rig/Synth.ts"

/** Hashes of code change with every change of the functions, and ids of logical names with none that matters. */
const masked = (text: string) =>
  text.replace(/\b[0-9a-f]{64}\b/g, "<hash>").replace(/(?<=[A-Za-z])[0-9A-F]{8}\b/g, "")

/** JSON in a string, as what it is. */
const opened = (value: Json): Json => {
  if (typeof value === "string" && value.startsWith("{")) {
    try {
      return opened(JSON.parse(value))
    } catch {
      return value
    }
  }
  if (Array.isArray(value)) return value.map(opened)
  if (value === null || typeof value !== "object") return value
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, opened(one)]))
}

const lines = (value: Json, depth = 0): string => {
  const pad = "  ".repeat(depth)
  if (Array.isArray(value)) {
    return value.map((one) =>
      one !== null && typeof one === "object" ? `${pad}-\n${lines(one, depth + 1)}` : `${pad}- ${one}\n`
    ).join("")
  }
  if (value === null || typeof value !== "object") return `${pad}${value}\n`
  return Object.entries(value).map(([key, one]) =>
    one !== null && typeof one === "object" ? `${pad}${key}:\n${lines(one, depth + 1)}` : `${pad}${key}: ${one}\n`
  ).join("")
}

describe("the ready app", () => {
  it("deploys what is reviewed here", async () => {
    const template = Template.fromStack(new PipelineStack(new App({ analyticsReporting: false }), "BedrockBatch"))
    const { Outputs, Resources } = template.toJSON()
    await expect(masked(lines(opened(resolve({ Resources, Outputs }))))).toMatchFileSnapshot("snapshots/template.txt")
  })
})
