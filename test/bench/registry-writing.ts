import type { InstanceRecord, Session } from "@smartstack/core";
import { eventBus, systemClock, systemRandom } from "@smartstack/core";
import { openRegistry, type RegistryConfig } from "@smartstack/registry";

/** What nerve has under way at once. */
const WRITES_MAX = 16;
const NEVER = new AbortController().signal;

/** Documents of the size that nerve's have. */
export function recordsOf(services: number, instances: number): InstanceRecord[] {
  return Array.from({ length: services }, (_, service) => service).flatMap((service) =>
    Array.from({ length: instances }, (_, index) => recordOf(service, service * instances + index)),
  );
}

export function recordOf(service: number, index: number): InstanceRecord {
  const container = index.toString(16).padStart(12, "0");
  const id = `${container}-8080`;
  return {
    ...{ service: `service-${service}`, id },
    instance: {
      ...{ host: `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`, port: 8_080, name: "bench", weight: 1, id },
      ...{ labels: { version: "1.2.3", team: "bench" }, mode: "http", container, image: "bench:latest", state: "up" },
      ...{ listen: 20_000 + service, since: 1_790_000_000_000 },
    },
  };
}

/** A session that writes them as a nerve writes what starts while it runs; milliseconds. Nothing is left. */
export async function putOneByOne(config: RegistryConfig, records: readonly InstanceRecord[]): Promise<number> {
  const { session, close } = await announceAll(config, []);
  const left = [...records];
  const startedMs = performance.now();
  const worker = async (): Promise<void> => {
    for (let record = left.pop(); record !== undefined; record = left.pop()) await session.put(record);
  };
  await Promise.all(Array.from({ length: WRITES_MAX }, worker));
  const putMs = performance.now() - startedMs;
  await close();
  return putMs;
}

/** A session that begins with them. */
export async function announceAll(
  config: RegistryConfig,
  records: readonly InstanceRecord[],
): Promise<{ readonly announceMs: number; readonly session: Session; readonly close: () => Promise<void> }> {
  const registry = await openRegistry(config, { clock: systemClock, random: systemRandom, events: eventBus() });
  const owner = { node: "bench", boot: String(performance.now()), since: Date.now(), host: "bench" };
  const startedMs = performance.now();
  const session = await registry.announce(owner, records, NEVER);
  const announceMs = performance.now() - startedMs;
  const close = async (): Promise<void> => {
    await session.close("withdraw");
    await registry.close();
  };
  return { announceMs, session, close };
}
