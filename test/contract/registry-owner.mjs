// A nerve's part of a registry as a process of its own, to be killed with -9: announces, says so, and waits.
// It runs the built packages: plain Node cannot load TypeScript here.
import { eventBus, systemClock, systemRandom } from "@smartstack/core";
import { openRegistry } from "@smartstack/registry";

const { config, node, service, count } = JSON.parse(process.argv[2]);
const registry = await openRegistry(config, { clock: systemClock, random: systemRandom, events: eventBus() });
const restore = Array.from({ length: count }, (_, index) => {
  const id = `${node}-${index}`;
  return { service, id, instance: { host: "127.0.0.1", port: 20_000 + index, name: id } };
});
const owner = { node, boot: String(process.pid), since: Date.now(), host: "test" };
await registry.announce(owner, restore, new AbortController().signal);
process.stdout.write("announced\n");
