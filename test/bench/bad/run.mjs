// `npm run bench:bad`: five backends, one of which becomes slow (20 times), failing (every second answer a 500), silent
// (takes requests, and never answers) or resetting. What a user's request takes then, as the 99th percentile over that of
// the same service in health, from 5 s after the change on.
//   --rate 400 --seconds 5   requests a second, and how long each of the two times is measured
//   --way slow               only this one
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { ensureBuilt, ensureInstalled } from "../../../deploy/ensure.mjs";
import { benchFolder, needPrograms, pause, responseOf, startPinned } from "../measure.mjs";
import { openLoad } from "../open-load.mjs";
import { CONTENDERS } from "./contenders.mjs";

const LOAD_CORE = 0;
const PROXY_CORE = 1;
const COUNT = 5;
const FIRST_PORT = 18_380;
const PORT = FIRST_PORT + 20;
const BACKENDS = fileURLToPath(new URL("backends.mjs", import.meta.url));
const WAYS = ["slow", "failing", "silent", "resetting"];
const SETTLE_MS = 5_000;

const { values: options } = parseArgs({
  options: {
    rate: { type: "string", default: "400" },
    seconds: { type: "string", default: "5" },
    way: { type: "string" },
  },
});
const folder = benchFolder();

try {
  needPrograms({ "nginx-light": "/usr/sbin/nginx", haproxy: "/usr/sbin/haproxy" });
  await ensureInstalled();
  await ensureBuilt();
  for (const way of WAYS.filter((each) => options.way === undefined || each === options.way)) {
    process.stdout.write(`\none of ${COUNT} backends ${way}, ${options.rate} requests a second\n`);
    for (const [name, start] of Object.entries(CONTENDERS))
      process.stdout.write(lineOf(name, await measure(start, way)));
  }
  process.exit(0);
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exit(2);
}

function lineOf(name, { healthy, first, later }) {
  const times = `p99 ${healthy.p99Ms.toFixed(1).padStart(6)} → ${later.p99Ms.toFixed(1).padStart(7)} ms`;
  const ratio = `${(later.p99Ms / healthy.p99Ms).toFixed(1).padStart(6)} ×`;
  const failed = `failed ${first.failed} of ${first.count}, then ${later.failed} of ${later.count}`;
  return `  ${name.padEnd(24)} ${times} ${ratio}   ${failed}\n`;
}

async function measure(start, way) {
  const backendPorts = Array.from({ length: COUNT }, (_, index) => FIRST_PORT + index);
  const args = [BACKENDS, String(FIRST_PORT), String(COUNT)];
  const backends = await startPinned(LOAD_CORE, process.execPath, args, FIRST_PORT + COUNT);
  const proxy = await start({ folder, core: PROXY_CORE, port: PORT, backendPorts });
  const load = await openLoad(`http://127.0.0.1:${PORT}/`, Number(options.rate));
  try {
    // Compiled, and connected to its backends.
    await pause(2_000);
    const healthy = await load.during(Number(options.seconds) * 1_000);
    await responseOf(`http://127.0.0.1:${FIRST_PORT + COUNT}/be/${way}`, {});
    const first = await load.during(SETTLE_MS);
    return { healthy, first, later: await load.during(Number(options.seconds) * 1_000) };
  } finally {
    await load.stop();
    await proxy.stop();
    await backends.stop();
  }
}
