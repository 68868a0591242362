// `npm run bench:burst [-- --containers 300 --registry etcd|zookeeper|both]`: containers started, and then removed, as
// fast as a real engine can; how far nerve is behind, and what it costs. Beside other load the figures mean nothing.
import { runBench } from "./vitest.mjs";

await runBench("burst", { containers: "300", registry: "both" });
