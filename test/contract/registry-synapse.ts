import { eventBus, type Registry, systemClock, systemRandom } from "@smartstack/core";
import type { Snapshot } from "@smartstack/proxy";
import { createSynapse, synapseConfig } from "@smartstack/synapse";

export interface SynapseOver {
  /** What its proxy was told to apply, oldest first. */
  readonly applied: readonly Snapshot[];
  stop(): Promise<void>;
}

/** A synapse over the registry whose proxy only keeps what it was told to apply. */
export async function synapseOver(registry: Registry): Promise<SynapseOver> {
  const applied: Snapshot[] = [];
  const proxy = {
    apply: (snapshot: Snapshot) => void applied.push(snapshot),
    settled: () => Promise.resolve(),
    status: () => [],
    setLocalState: () => false,
    close: () => Promise.resolve(),
  };
  const synapse = createSynapse(synapseConfig.parse({ services: { web: { proxy: { listen: "127.0.0.1:3000" } } } }), {
    registryFor: async () => registry,
    proxy,
    clock: systemClock,
    random: systemRandom,
    events: eventBus(),
    defaultDiscover: "off",
  });
  await synapse.start();
  return { applied, stop: () => synapse.stop({ graceMs: 0 }) };
}

/** The keys of the backends that were applied last. */
export function backends(applied: readonly Snapshot[]): string {
  return (applied.at(-1)?.services[0]?.backends ?? [])
    .map(({ key }) => key)
    .sort()
    .join();
}
