import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // By default Vitest leaves one core free, which is half of two.
    maxWorkers: 2,
    // Loading and running the CDK takes seconds.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    reporters: ["default", ["json", { outputFile: "test-results.json" }]]
  }
})
