// A synapse's part of a registry as a process of its own, so that what it uses is its own: follows services, and tells
// over IPC, when asked, what it sees and what it needed for that. It runs the built packages: plain Node cannot load
// TypeScript here. `registry-watcher.mjs {"config", "services"}`; without services it follows all there are.
import { applyBatch, eventBus, keepAlive, NO_ENTRIES, systemClock, systemRandom } from "@smartstack/core";
import { openRegistry } from "@smartstack/registry";
import { processUsage } from "./memory.mjs";

const { config, services } = JSON.parse(process.argv[2]);
const registry = await openRegistry(config, { clock: systemClock, random: systemRandom, events: eventBus() });
const keep = { clock: systemClock, random: systemRandom, signal: new AbortController().signal };
const seen = new Map();
let [batches, resets] = [0, 0];
/** From the writes' beginnings, which they carry, to their batches. */
let latenciesMs = [];

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
      seen.set(service, applyBatch(seen.get(service) ?? NO_ENTRIES, batch));
      for (const update of batch) measure(update);
    }
  });
}

function run(watch) {
  keepAlive(watch, keep).catch((error) => {
    process.stderr.write(`${error.message}\n`);
    process.exit(1);
  });
}

function measure(update) {
  const sentNs = update.type === "put" && update.entry.kind === "instance" && update.entry.instance.labels?.["sent-ns"];
  if (sentNs) latenciesMs.push(Number(process.hrtime.bigint() - BigInt(sentNs)) / 1e6);
}

/** By path; each service's share names the node entries that its watch has told of, too. */
function documents() {
  return [...seen].map(([service, state]) => {
    const instances = [...(state?.instances ?? [])].map(([id, instance]) => [`${service}/${id}`, instance]);
    return [service, [...instances, ...[...(state?.nodes ?? [])].map(([id, node]) => [`.nodes/${id}`, node])]];
  });
}

process.on("message", ({ wants }) => {
  const instances = [...seen.values()].reduce((sum, state) => sum + (state?.instances.size ?? 0), 0);
  process.send({
    ...{ usage: processUsage(), batches, resets, instances, latenciesMs },
    ...(wants === "documents" ? { documents: documents() } : {}),
  });
  latenciesMs = [];
});
// Whoever started it is gone.
process.on("disconnect", () => process.exit(0));
