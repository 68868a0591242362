import { readdirSync } from "node:fs";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc");

/** What this process holds in its heap and in buffers, bytes, with nothing in it that only waits to be collected. */
export function usedBytes() {
  // A buffer's memory is given back by the collection after the one that found its object dead.
  collectGarbage();
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** The same, with what is resident and how many files are open. */
export function processUsage() {
  const used = usedBytes();
  // Without the descriptor that reads the folder.
  const descriptors = readdirSync("/proc/self/fd").length - 1;
  return { residentBytes: process.memoryUsage.rss(), usedBytes: used, descriptors };
}
