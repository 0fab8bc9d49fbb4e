import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    include: ["e2e/**/*.test.ts"],
    testTimeout: 120_000,
    hookTimeout: 60_000,
    // Mostly waiting, so two at a time on two cores.
    maxWorkers: 2,
    reporters: ["default", ["json", { outputFile: "test-results.json" }]]
  }
})
