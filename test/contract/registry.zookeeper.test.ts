import { registryContract } from "./registry.suite.ts";
import { zooKeeperHarness } from "./registry-zookeeper-harness.ts";

const asItIs = (path: string): string => path;

registryContract("zookeeper", () =>
  zooKeeperHarness({
    config: (ensemble, prefix) => ({ type: "zookeeper", ...ensemble, prefix }),
    pathOf: asItIs,
    entryOf: asItIs,
  }),
);
