import { defineConfig } from "vitest/config";
import { findTestData } from "./scripts/setup.mjs";

findTestData();

export default defineConfig({
  resolve: { conditions: ["layerwise-source"] },
  ssr: { resolve: { conditions: ["layerwise-source"] } },
  test: {
    include: ["packages/*/src/**/*.test.ts", "tests/**/*.test.ts"],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    pool: "forks",
  },
});
