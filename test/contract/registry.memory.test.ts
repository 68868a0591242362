import { registryContract } from "./registry.suite.ts";
import { NEEDS } from "./registry-cases-disruption.ts";
import { memoryHarness } from "./registry-memory-harness.ts";

const inProcess = NEEDS.ownerProcess.map((name) => [name, "lives and dies with the process that uses it"]);

registryContract("memory", async () => memoryHarness(), { skip: Object.fromEntries(inProcess) });
