// The data plane of one process with made-up services, the first of which is asked; its weights change as often as told.
//   node changing-proxy.mjs PORT BACKEND_PORT BACKENDS SERVICES APPLIES_A_SECOND WORKERS
import { eventBus, systemClock, systemRandom } from "@smartstack/core";
import { createProxy, createWorkers, DEFAULT_CHECK, DEFAULT_TIMEOUTS } from "@smartstack/proxy";

const [port, backendPort, backends, services, rate, workers] = process.argv.slice(2).map(Number);
const LOOK_EVERY_MS = 5;

const deps = { clock: systemClock, random: systemRandom, events: eventBus() };
const proxy = workers > 1 ? createWorkers({ ...deps, workers, retireMs: 60_000 }) : createProxy(deps);
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
    balance: "round_robin",
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
