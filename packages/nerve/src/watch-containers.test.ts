import { eventBus } from "@smartstack/core";
import { fakeClock, seededRandom } from "@smartstack/core/testing";
import { expect, test } from "vitest";
import type { ContainerFacts, InspectJson } from "./containers.ts";
import type { DockerApi } from "./docker-api.ts";
import { dockerConfig } from "./docker-config.ts";
import { watchContainers } from "./watch-containers.ts";

const WEB = "c".repeat(64);
const OWN = "0123456789ab".padEnd(64, "0");

/** An engine that has nothing to tell, except as `overrides` say. */
function watching(overrides: Partial<DockerApi>, reconcileMs: number) {
  const clock = fakeClock();
  const api: DockerApi = {
    target: "double",
    info: async () => ({ id: "e", name: "engine" }),
    ping: async () => undefined,
    list: async () => [],
    inspect: async () => undefined,
    events: async () => ({ closed: new Promise<never>(() => undefined) }),
    ...overrides,
  };
  const seen: (ContainerFacts | undefined)[] = [];
  const watch = watchContainers({
    config: { ...dockerConfig.parse({}), host: "unix:///no/such/docker.sock" },
    reconcileMs: () => reconcileMs,
    openApi: async () => api,
    ownHints: () => [OWN.slice(0, 12)],
    clock,
    random: seededRandom(1),
    events: eventBus(),
    onEngine: (_, own) => seen.push(own),
    onChange: () => undefined,
    onListed: () => undefined,
  });
  return { clock, seen, watch };
}

test("nerve's own container is attached to another network: known with the next comparison", async () => {
  const networks: Record<string, { NetworkID: string }> = { bridge: { NetworkID: "n1" } };
  const inspect = async (): Promise<InspectJson> => ({ Id: OWN, NetworkSettings: { Networks: { ...networks } } });
  const { clock, seen, watch } = watching({ inspect }, 1_000);
  await clock.advance(500);
  expect(seen.at(-1)?.networks.map(({ id }) => id)).toEqual(["n1"]);
  networks.shop = { NetworkID: "n2" };
  await clock.advance(1_000);
  expect(seen.at(-1)?.networks.map(({ id }) => id)).toEqual(["n1", "n2"]);
  watch.stop();
});

test("a container that could not be inspected is asked for again every 2 s, and then no more", async () => {
  let asked = 0;
  let lists = 0;
  const { clock, watch } = watching(
    {
      async list() {
        lists += 1;
        return [{ Id: WEB, Names: ["/web"], State: "running", Labels: {} }];
      },
      async inspect(id) {
        if (id !== WEB) return undefined;
        asked += 1;
        if (asked < 3) throw new Error("answered 500");
        return { Id: WEB, Name: "/web", State: { Status: "running", Running: true, StartedAt: "1" } };
      },
    },
    30_000,
  );
  await clock.advance(1_900);
  expect([asked, watch.containers().get(WEB)?.problem]).toEqual([1, expect.stringMatching(/500/)]);
  await clock.advance(200);
  expect([asked, watch.containers().get(WEB)?.problem]).toEqual([2, expect.stringMatching(/500/)]);
  await clock.advance(2_000);
  expect([asked, watch.containers().get(WEB)?.problem]).toEqual([3, undefined]);
  await clock.advance(25_000);
  expect([asked, lists]).toEqual([3, 3]);
  watch.stop();
});
