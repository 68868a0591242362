import { setFlagsFromString } from "node:v8";

// As in the smartstack command: loading makes garbage, for which the young generation need not grow.
setFlagsFromString("--semi-space-growth-factor=1");
await import("../dist/workers/main.js");
setFlagsFromString("--semi-space-growth-factor=2");
