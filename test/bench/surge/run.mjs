// `npm run bench:surge`: ten times as many requests as backends with a limit can serve. What they had at once, what was
// served of what they could have served, how long the others waited for their 503, and how soon all is well again.
//   --seconds 30   how long the surge lasts
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { ensureBuilt, ensureInstalled } from "../../../deploy/ensure.mjs";
import { benchFolder, needPrograms, pause, responseOf, startPinned } from "../measure.mjs";
import { openLoad } from "../open-load.mjs";
import { CONTENDERS } from "./contenders.mjs";

const LOAD_CORE = 0;
const PROXY_CORE = 1;
const COUNT = 5;
const LIMIT = 4;
const SERVICE_MS = 50;
const QUEUE_MS = 1_000;
/** Requests a second. */
const CAPACITY = (COUNT * LIMIT * 1_000) / SERVICE_MS;
const FIRST_PORT = 18_480;
const PORT = FIRST_PORT + 20;
const BACKENDS = fileURLToPath(new URL("backends.mjs", import.meta.url));
const RECOVERY_MS = 5_000;
/** Of a request in calm, milliseconds: what is slower still feels the surge. */
const CALM_MS = 2 * SERVICE_MS;

const { values: options } = parseArgs({ options: { seconds: { type: "string", default: "30" } } });
const folder = benchFolder();

try {
  needPrograms({ haproxy: "/usr/sbin/haproxy" });
  await ensureInstalled();
  await ensureBuilt();
  const limits = `${COUNT} backends, ${LIMIT} requests each at once, ${CAPACITY} a second in all`;
  process.stdout.write(`${limits}; ${10 * CAPACITY} a second come for ${options.seconds} s\n`);
  for (const [name, start] of Object.entries(CONTENDERS)) process.stdout.write(lineOf(name, await measure(start)));
  process.exit(0);
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exit(2);
}

function lineOf(name, { most, count, served, refused, slowestMs, other, recoveryMs }) {
  const part = ((served / (CAPACITY * Number(options.seconds))) * 100).toFixed(1);
  return (
    `  ${name.padEnd(12)} at once ≤ ${most}   served ${served} of ${count}: ${part} % of capacity   ` +
    `503 ${refused}, the slowest after ${slowestMs.toFixed(0)} ms   other ${other}   well again after ${recoveryMs.toFixed(0)} ms\n`
  );
}

async function measure(start) {
  const backendPorts = Array.from({ length: COUNT }, (_, index) => FIRST_PORT + index);
  const args = [BACKENDS, FIRST_PORT, COUNT, SERVICE_MS].map(String);
  const backends = await startPinned(LOAD_CORE, process.execPath, args, FIRST_PORT + COUNT);
  const setup = { folder, core: PROXY_CORE, port: PORT, backendPorts, limit: LIMIT, queueMs: QUEUE_MS };
  const proxy = await start(setup);
  const load = await openLoad(`http://127.0.0.1:${PORT}/`, CAPACITY / 2);
  const peak = async () => Number((await responseOf(`http://127.0.0.1:${FIRST_PORT + COUNT}/`, {})).body);
  try {
    // Compiled, and connected to its backends.
    await pause(2_000);
    await peak();
    load.setRate(10 * CAPACITY);
    const { answers, count } = await load.during(Number(options.seconds) * 1_000);
    const most = await peak();
    load.setRate(CAPACITY / 2);
    const overMs = performance.now();
    const after = await load.during(RECOVERY_MS);
    const late = after.answers.filter(({ status, ms, waits }) => ms > CALM_MS || (status !== 200 && waits !== true));
    const refused = answers.filter(({ status }) => status === 503);
    return {
      most,
      count,
      served: answers.filter(({ status }) => status === 200).length,
      refused: refused.length,
      slowestMs: Math.max(0, ...refused.map(({ ms }) => ms)),
      other: answers.filter(({ status, waits }) => status !== 200 && status !== 503 && waits !== true).length,
      recoveryMs: Math.max(0, ...late.map(({ endMs = overMs + RECOVERY_MS, ms }) => endMs - ms - overMs)),
    };
  } finally {
    await load.stop();
    await proxy.stop();
    await backends.stop();
  }
}
