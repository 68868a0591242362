import { eventBus } from "@smartstack/core";
import { fakeClock, seededRandom } from "@smartstack/core/testing";
import { expect, test } from "vitest";
import { dockerConfig } from "./config.ts";
import type { ContainerFacts, InspectJson } from "./containers.ts";
import type { DockerApi } from "./docker-api.ts";
import { watchContainers } from "./watch-containers.ts";

const OWN = "0123456789ab".padEnd(64, "0");

test("nerve's own container is attached to another network: known with the next comparison", async () => {
  const clock = fakeClock();
  const networks: Record<string, { NetworkID: string }> = { bridge: { NetworkID: "n1" } };
  const api: DockerApi = {
    target: "double",
    info: async () => ({ id: "e", name: "engine" }),
    ping: async () => undefined,
    list: async () => [],
    inspect: async (): Promise<InspectJson> => ({ Id: OWN, NetworkSettings: { Networks: { ...networks } } }),
    events: async () => ({ closed: new Promise<never>(() => undefined) }),
  };
  const seen: (ContainerFacts | undefined)[] = [];
  const watch = watchContainers({
    config: dockerConfig.parse({}),
    reconcileMs: () => 1_000,
    openApi: async () => api,
    ownHints: [OWN.slice(0, 12)],
    clock,
    random: seededRandom(1),
    events: eventBus(),
    onEngine: (_, own) => seen.push(own),
    onChange: () => undefined,
    onListed: () => undefined,
  });
  await clock.advance(500);
  expect(seen.at(-1)?.networks.map(({ id }) => id)).toEqual(["n1"]);
  networks.shop = { NetworkID: "n2" };
  await clock.advance(1_000);
  expect(seen.at(-1)?.networks.map(({ id }) => id)).toEqual(["n1", "n2"]);
  watch.stop();
});
