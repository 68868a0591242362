// The data plane of one process with made-up services, the first of which is asked; its weights change as often as told.
//   node changing-proxy.mjs PORT BACKEND_PORT BACKENDS SERVICES APPLIES_A_SECOND BALANCE
import { eventBus, systemClock, systemRandom } from "@smartstack/core";
import { createProxy, DEFAULT_CHECK, DEFAULT_TIMEOUTS } from "@smartstack/proxy";

const [port, backendPort, backends, services, rate] = process.argv.slice(2, 7).map(Number);
const balance = process.argv[7];
const LOOK_EVERY_MS = 5;

const proxy = createProxy({ clock: systemClock, random: systemRandom, events: eventBus() });
const snapshot = { revision: 1, services: Array.from({ length: services }, (_, n) => serviceOf(n)) };
proxy.apply(snapshot);
await proxy.settled();

const startedMs = performance.now();
let applied = 0;
// What a busy process did not come to is made up for: the rate holds whatever the load.
setInterval(() => {
  const due = ((performance.now() - startedMs) / 1_000) * rate;
  while (applied < due) applyNext();
}, LOOK_EVERY_MS);

function applyNext() {
  applied++;
  // Every other change is one of the service that is asked.
  const at = applied % 2 === 0 ? 0 : (applied * 7) % services;
  const spec = snapshot.services[at];
  const changed = applied % spec.backends.length;
  const weight = 1 + (applied % 5);
  const next = spec.backends.map((backend, n) => (n === changed ? { ...backend, weight } : backend));
  snapshot.services = snapshot.services.with(at, { ...spec, backends: next });
  proxy.apply({ revision: ++snapshot.revision, services: snapshot.services });
}

function serviceOf(number) {
  return {
    name: `service-${number}`,
    mode: "http",
    listen: number === 0 ? [{ host: "127.0.0.1", port }] : [],
    balance,
    check: DEFAULT_CHECK,
    timeouts: DEFAULT_TIMEOUTS,
    host: "keep",
    stale: false,
    backends: Array.from({ length: number === 0 ? backends : 3 }, (_, n) => ({
      key: `instance-${n}`,
      host: "127.0.0.1",
      port: backendPort,
      weight: 1,
      state: "up",
      suspect: false,
    })),
  };
}
