// `npm run bench:registry [-- --registry etcd|zookeeper|both --changes 200 --json FILE]`: 5,000 instances of one service, and
// 1,000 services of 10, on a real server: what one nerve needs to write them, a watching process and a synapse to load
// them, how soon a change is seen, and what it costs. Beside other load the figures mean nothing.
import { runBench } from "./vitest.mjs";

await runBench("registry", { registry: "both", changes: "200", json: "" });
