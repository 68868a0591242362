// `npm run bench:steady [-- --minutes 10 --containers 50]`: containers with HEALTHCHECKs every 5 s, five of them every
// second, and nothing that changes: what nerve costs then, and how soon it sees one that becomes unhealthy.
import { runBench } from "./vitest.mjs";

await runBench("steady", { minutes: "10", containers: "50" });
