// A nerve's part of a registry that never rests, as a process of its own, to be killed with -9 in the middle of a write.
// It runs the built packages: plain Node cannot load TypeScript here.
import { eventBus, systemClock, systemRandom } from "@smartstack/core";
import { openRegistry } from "@smartstack/registry";

const { config, node, boot, service } = JSON.parse(process.argv[2]);
const registry = await openRegistry(config, { clock: systemClock, random: systemRandom, events: eventBus() });
const owner = { node, boot, since: Date.now(), host: "test" };
const session = await registry.announce(owner, [], new AbortController().signal);
process.stdout.write("announced\n");
const labels = { padding: "x".repeat(8_000) };
for (let count = 1; ; count++)
  await session.put({
    service,
    id: `${node}-${count % 5}`,
    instance: { host: "127.0.0.1", port: 1 + (count % 60_000), labels },
  });
