// A nerve and a synapse over one registry as a process of its own, which has to outlive whatever its server does: plain
// Node ends at the first rejection or "error" event that nobody takes. TERM closes the registry, and ends with 0.
// It runs the built packages: plain Node cannot load TypeScript here.
import { systemClock as clock, eventBus, keepAlive, systemRandom as random } from "@smartstack/core";
import { openRegistry } from "@smartstack/registry";

const WRITE_EVERY_MS = 100;

const { config, node, stray } = JSON.parse(process.argv[2]);
const registry = await openRegistry(config, { clock, random, events: eventBus() });
const stop = new AbortController();
const owner = { node, boot: String(process.pid), since: Date.now(), host: "test" };
let port = 0;

const id = "survivor";
const record = () => ({ service: "web", id, instance: { host: "127.0.0.1", port: 1 + port++, name: id } });
const onTransition = ({ state }) => process.stdout.write(`${state}\n`);
const forever = (run) => keepAlive(run, { clock, random, signal: stop.signal, onTransition });
const running = [
  forever(async (signal) => {
    const session = await registry.announce(owner, [record()], signal);
    const ended = AbortSignal.any([signal, session.lost]);
    while (!ended.aborted) {
      await session.put(record());
      await new Promise((resolve) => setTimeout(resolve, WRITE_EVERY_MS));
    }
    throw session.lost.reason;
  }),
  forever(async (signal) => {
    for await (const _ of registry.watch("web", signal));
  }),
  forever(async (signal) => {
    for await (const _ of registry.services(signal));
  }),
];
if (stray === true)
  void (async () => {
    for await (const _ of registry.watch("web", stop.signal));
  })();
process.once("SIGTERM", async () => {
  const beganMs = performance.now();
  stop.abort();
  await registry.close();
  process.stdout.write(`closed within ${Math.round(performance.now() - beganMs)} ms\n`);
  await Promise.allSettled(running);
  process.exit();
});
process.stdout.write("begun\n");
