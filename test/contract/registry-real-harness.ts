import { fileURLToPath } from "node:url";
import { type EventBus, eventBus, type Registry, systemClock, systemRandom } from "@smartstack/core";
import { openRegistry, type RegistryConfig } from "@smartstack/registry";
import { startChild, untilReady } from "../support/children.ts";
import type { TestServer } from "../support/etcd.ts";
import type { RegistryBench, ServerControl } from "./registry-harness.ts";

const OWNER = fileURLToPath(new URL("./registry-owner.mjs", import.meta.url));
const SURVIVOR = fileURLToPath(new URL("./registry-survivor.mjs", import.meta.url));

/** What all drivers that are opened by configuration have in common. */
export function openers(config: RegistryConfig): Pick<RegistryBench, "open" | "owner" | "survivor" | "events"> {
  const events: EventBus = eventBus();
  return {
    events,
    open(ttl): Promise<Registry> {
      const deps = { clock: systemClock, random: systemRandom, events };
      return openRegistry(ttl === undefined || config.type === "memory" ? config : { ...config, ttl }, deps);
    },
    async owner(node, service, count) {
      const child = startChild(process.execPath, [OWNER, JSON.stringify({ config, node, service, count })]);
      await untilReady(child, "an owner process", () => child.output().includes("announced"));
      return { kill: () => void (child.running() && child.process.kill("SIGKILL")) };
    },
    async survivor(node, stray) {
      const what = JSON.stringify({ config, node, stray: stray === "stray" });
      const child = startChild(process.execPath, [SURVIVOR, what]);
      await untilReady(child, "a survivor", () => child.output().includes("begun"));
      return child;
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
