// Runs the fuzzer on a built proxy: `node --expose-gc fuzz.mjs DIST SEED MS`. Ends with one line of JSON. Plain Node, as a
// process of its own: fast, and a hang can be ended from outside.
import path from "node:path";
import { pathToFileURL } from "node:url";

const [dist, seed, ms] = process.argv.slice(2);
const load = (file) => import(pathToFileURL(path.resolve(dist, file)).href);
const { fuzzOnce } = await load("testing/stream-fuzz.js");
const { streamModel } = await load("testing/stream-model.js");
const { seededRandom } = await import("@smartstack/core/testing");

const STREAMS_A_LOOK = 1_000;
const random = seededRandom(Number(seed));
const endMs = performance.now() + Number(ms);
let streams = 0;
let finding;
let warmBytes;
while (finding === undefined && performance.now() < endMs) {
  for (let n = 0; n < STREAMS_A_LOOK && finding === undefined; n++) finding = next();
  streams += STREAMS_A_LOOK;
  // The first rounds fill caches and compile.
  if (streams === 10 * STREAMS_A_LOOK) warmBytes = usedBytes();
}
const grownBytes = warmBytes === undefined ? 0 : usedBytes() - warmBytes;
process.stdout.write(`${JSON.stringify({ streams, grownBytes, finding })}\n`);

function next() {
  try {
    return fuzzOnce(streamModel, random);
  } catch (error) {
    return { what: `thrown: ${error.stack}` };
  }
}

function usedBytes() {
  globalThis.gc();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
