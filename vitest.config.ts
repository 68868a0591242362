import { defineConfig } from "vitest/config";

// Workspace packages resolve to their TypeScript sources, so that tests never run a stale build. "import" must not be
// among the conditions: Node would apply it to require() too, and etcd3's 64-bit lease ids would lose their last digits.
const resolve = { conditions: ["source", "node"] };
const ssr = { resolve: { conditions: ["source", "node"] } };

export default defineConfig({
  test: {
    projects: [
      {
        resolve,
        ssr,
        test: {
          name: "unit",
          include: ["packages/*/src/**/*.test.ts", "test/*.test.ts"],
          testTimeout: 10_000,
        },
      },
      {
        resolve,
        ssr,
        test: {
          name: "contract",
          globalSetup: "test/support/shared-engine.setup.ts",
          include: ["test/contract/**/*.test.ts"],
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        resolve,
        ssr,
        test: {
          name: "scenarios",
          globalSetup: "test/support/shared-engine.setup.ts",
          include: ["test/scenarios/**/*.test.ts"],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          // The scenarios of a file run beside each other already, and some take fixed ports of the engine's host.
          fileParallelism: false,
        },
      },
      {
        resolve,
        ssr,
        test: {
          name: "e2e",
          globalSetup: "test/support/shared-engine.setup.ts",
          include: ["test/e2e/**/*.test.ts"],
          testTimeout: 180_000,
          hookTimeout: 180_000,
          // One real engine, two cores: parallel end-to-end files would measure each other.
          fileParallelism: false,
        },
      },
      {
        resolve,
        ssr,
        test: {
          name: "bench",
          include: ["test/bench/**/*.test.ts"],
          testTimeout: 3_600_000,
          hookTimeout: 180_000,
          fileParallelism: false,
        },
      },
      {
        resolve,
        ssr,
        test: {
          name: "soak",
          globalSetup: "test/support/shared-engine.setup.ts",
          include: ["test/soak/**/*.test.ts"],
          testTimeout: 3_600_000,
          hookTimeout: 180_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
