import { eventBus, type Registry, systemClock } from "@smartstack/core";
import { openRegistry } from "@smartstack/registry";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openZooKeeper } from "../../packages/registry/src/zookeeper/client.ts";
import type { Ensemble } from "../support/ensemble.ts";
import { TICK_MS, zookeeperOwners } from "../support/zookeeper.ts";
import { startEnsemble } from "../support/zookeeper-ensemble.ts";
import { NEVER, owner, records } from "./registry-case.ts";
import { BACK_MS_MAX, CASE_MS_MAX, ensembleSuite, FULL, pause, TTL_MS } from "./registry-ensemble.suite.ts";
import { announcer } from "./registry-follower.ts";

let ensemble: Ensemble;

beforeAll(async () => {
  ensemble = await startEnsemble();
});

afterAll(() => ensemble?.stop());

function open(prefix: string, index = 0): Promise<Registry> {
  // Each begins with another server.
  const deps = { clock: systemClock, random: () => (index % 3) / 3, events: eventBus() };
  return openRegistry({ type: "zookeeper", hosts: [...ensemble.endpoints], prefix, ttl: TTL_MS }, deps);
}

// Not its leader: ZooKeeper's servers tell each other addresses past the proxies for their votes, and would go on electing
// one that nobody can follow.
ensembleSuite("an ensemble of three ZooKeepers", () => ensemble, open, "follower");

describe("one session", () => {
  it(
    "G4 survives the death of the server it is connected to, with nothing deregistered",
    async () => {
      const registry = await open("/g4");
      const wanted = records("web", 5);
      const nerve = announcer(registry, owner("node-a", "b1"), () => wanted);
      await expect.poll(() => nerve.sessions.length, { timeout: BACK_MS_MAX }).toBe(1);
      const [first, second] = ensemble.members;
      const witness = second?.server.endpoint ?? "";
      const before = await zookeeperOwners(witness, "/g4/web");
      await first?.server.kill();
      await expect.poll(() => nerve.sessions.length, { timeout: BACK_MS_MAX }).toBe(2);
      await first?.server.start();
      // Longer than a session that nobody resumed would have lived.
      await pause(FULL ? TTL_MS + 2 * TICK_MS : 0);
      expect(await zookeeperOwners(witness, "/g4/web")).toEqual(before);
      await nerve.stop("withdraw");
      await registry.close();
    },
    CASE_MS_MAX,
  );

  it(
    "is never shown a past by a member that lags behind",
    async () => {
      const leader = await ensemble.leader();
      const lagging = ensemble.members.find((member) => member !== leader) ?? leader;
      const current = ensemble.members.find((member) => member !== leader && member !== lagging) ?? leader;
      const at = (endpoint: string) =>
        openZooKeeper({ host: endpoint, sessionMs: TTL_MS, access: "open", clock: systemClock, signal: NEVER });
      lagging.cutOffFromMembers();
      try {
        const writer = await at(current.server.endpoint);
        await writer.commit([{ do: "create", path: "/newest", text: "" }]);
        // It still serves those who come, for as long as it takes it to miss its leader.
        const seen = await at(lagging.server.endpoint).then(
          async (reader) => (await reader.exists("/newest")) !== undefined,
          () => "no answer",
        );
        expect(seen).not.toBe(false);
        await writer.end();
      } finally {
        lagging.heal();
      }
    },
    CASE_MS_MAX,
  );
});
