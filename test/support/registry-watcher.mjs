// A synapse's part of a registry as a process of its own, so that what it uses is its own: follows services, and tells
// over IPC, when asked, what it sees and what it needed for that. It runs the built packages: plain Node cannot load
// TypeScript here. `registry-watcher.mjs {"config", "services", "expects"}`; without services it follows all there are,
// and with `expects`, a number of instances, it tells how long they took, and keeps when each change after that came.
import { applyBatch, eventBus, keepAlive, NO_ENTRIES, systemClock, systemRandom } from "@smartstack/core";
import { openRegistry } from "@smartstack/registry";
import { processUsage } from "./memory.mjs";

const { config, services, expects } = JSON.parse(process.argv[2]);
const atFirst = processUsage();
const startedMs = performance.now();
const registry = await openRegistry(config, { clock: systemClock, random: systemRandom, events: eventBus() });
const keep = { clock: systemClock, random: systemRandom, signal: new AbortController().signal };
const seen = new Map();
let [batches, resets] = [0, 0];
let instances = 0;
let loadedMs;
/** By the key of an instance: when its last change came, on CLOCK_MONOTONIC. */
let arrivals = new Map();

for (const service of services ?? []) follow(service);
if (services === undefined)
  run(async (signal, healthy) => {
    for await (const names of registry.services(signal)) {
      healthy();
      for (const name of names) if (!seen.has(name)) follow(name);
    }
  });

function follow(service) {
  seen.set(service, undefined);
  run(async (signal, healthy) => {
    for await (const batch of registry.watch(service, signal)) {
      healthy();
      batches++;
      if (batch[0]?.type === "reset") resets++;
      const before = seen.get(service) ?? NO_ENTRIES;
      const after = applyBatch(before, batch);
      seen.set(service, after);
      instances += after.instances.size - before.instances.size;
      if (expects !== undefined) measure(service, batch);
    }
  });
}

function run(watch) {
  keepAlive(watch, keep).catch((error) => {
    process.stderr.write(`${error.message}\n`);
    process.exit(1);
  });
}

function measure(service, batch) {
  if (loadedMs === undefined) {
    if (instances >= expects) loadedMs = performance.now() - startedMs;
    return;
  }
  const atNs = String(process.hrtime.bigint());
  for (const update of batch) arrivals.set(`${service}/${update.entry?.id ?? update.id}`, atNs);
}

/** By path; each service's share names the node entries that its watch has told of, too. */
function documents() {
  return [...seen].map(([service, state]) => {
    const instances = [...(state?.instances ?? [])].map(([id, instance]) => [`${service}/${id}`, instance]);
    return [service, [...instances, ...[...(state?.nodes ?? [])].map(([id, node]) => [`.nodes/${id}`, node])]];
  });
}

process.on("message", ({ wants }) => {
  process.send({
    ...{ atFirst, usage: processUsage(), batches, resets, instances, loadedMs, arrivals: [...arrivals] },
    ...(wants === "documents" ? { documents: documents() } : {}),
  });
  arrivals = new Map();
});
// Whoever started it is gone.
process.on("disconnect", () => process.exit(0));
