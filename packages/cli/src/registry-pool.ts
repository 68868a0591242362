import type { Registry } from "@smartstack/core";
import { openRegistry, type RegistryConfig, type RegistryDeps } from "@smartstack/registry";

/** The registries of one process: those with the same configuration are one object, so that memory is shared. */
export interface RegistryPool {
  get(config: RegistryConfig): Promise<Registry>;
  /** Those that have been opened. */
  opened(): readonly Registry[];
  close(): Promise<void>;
}

export function registryPool(deps: RegistryDeps): RegistryPool {
  const opening = new Map<string, Promise<Registry>>();
  const opened: Registry[] = [];
  return {
    get(config) {
      const key = JSON.stringify(config);
      const known = opening.get(key);
      if (known !== undefined) return known;
      const registry = openRegistry(config, deps).then((ready) => {
        opened.push(ready);
        return ready;
      });
      opening.set(key, registry);
      // A driver that could not be loaded may be asked for again.
      registry.catch(() => opening.delete(key));
      return registry;
    },
    opened: () => opened,
    async close() {
      await Promise.all(opened.map((registry) => registry.close()));
    },
  };
}
