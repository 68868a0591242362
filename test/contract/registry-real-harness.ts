import { fileURLToPath } from "node:url";
import { type EventBus, eventBus, type Registry, systemClock, systemRandom } from "@smartstack/core";
import { openRegistry, type RegistryConfig } from "@smartstack/registry";
import { startChild, untilReady } from "../support/children.ts";
import type { TestServer } from "../support/etcd.ts";
import type { RegistryBench, ServerControl } from "./registry-harness.ts";

const OWNER = fileURLToPath(new URL("./registry-owner.mjs", import.meta.url));

/** What all drivers that are opened by configuration have in common. */
export function openers(config: RegistryConfig): Pick<RegistryBench, "open" | "owner" | "events"> {
  const events: EventBus = eventBus();
  return {
    events,
    open: (): Promise<Registry> => openRegistry(config, { clock: systemClock, random: systemRandom, events }),
    async owner(node, service, count) {
      const child = startChild(process.execPath, [OWNER, JSON.stringify({ config, node, service, count })]);
      await untilReady(child, "an owner process", () => child.output().includes("announced"));
      return { kill: () => void (child.running() && child.process.kill("SIGKILL")) };
    },
  };
}

export function controlOf(server: TestServer): ServerControl {
  return {
    kill: () => server.kill(),
    start: () => server.start(),
    freeze: async () => server.freeze(),
    thaw: async () => server.thaw(),
  };
}
