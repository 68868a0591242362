import { eventBus, type Registry, systemClock } from "@smartstack/core";
import { openRegistry } from "@smartstack/registry";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openZooKeeper } from "../../packages/registry/src/zookeeper/client.ts";
import { TICK_MS, zookeeperOwners } from "../support/zookeeper.ts";
import { type Ensemble, startEnsemble } from "../support/zookeeper-ensemble.ts";
import { NEVER, owner, records } from "./registry-case.ts";
import { type Churn, churn } from "./registry-churn.ts";
import { announcer } from "./registry-follower.ts";

// Three servers under a writer and four watchers. FAULTS=full takes the times that issues and operators speak of.

const FULL = process.env.FAULTS === "full";
const FROZEN_MS = FULL ? 20_000 : 5_000;
const CUT_OFF_MS = FULL ? 20_000 : 5_000;
const DOWN_MS = FULL ? 60_000 : 5_000;
const TTL_MS = 10_000;
const BACK_MS_MAX = TTL_MS + 1_000;
const CASE_MS_MAX = 180_000;

let ensemble: Ensemble;
let running: Churn | undefined;

beforeAll(async () => {
  ensemble = await startEnsemble();
});

afterAll(async () => {
  await running?.stop();
  await ensemble?.stop();
});

function open(prefix: string, index = 0): Promise<Registry> {
  // Each begins with another server.
  const deps = { clock: systemClock, random: () => (index % 3) / 3, events: eventBus() };
  return openRegistry({ type: "zookeeper", hosts: [...ensemble.endpoints], prefix, ttl: TTL_MS }, deps);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function tell(what: string, backMs: number): void {
  const { blindMs, writeLessMs } = running?.longest() ?? { blindMs: 0, writeLessMs: 0 };
  const [back, blind, writeLess] = [backMs, blindMs, writeLessMs].map((ms) => `${Math.round(ms)} ms`);
  console.log(`${what}: all current ${back} after; longest so far: blind ${blind}, without a write ${writeLess}`);
}

describe("an ensemble of three, under a writer and four watchers", () => {
  it("serves them all", async () => {
    running = await churn((index) => open("/churn", index));
    tell("no fault", await running.caughtUp(BACK_MS_MAX));
  });

  it(
    "its leader is killed",
    async () => {
      const leader = await ensemble.leader();
      await leader.server.kill();
      tell("leader killed", await current());
      await leader.server.start();
      tell("leader started again", await current());
    },
    CASE_MS_MAX,
  );

  it(
    "a member is frozen",
    async () => {
      const leader = await ensemble.leader();
      const member = ensemble.members.find((one) => one !== leader) ?? leader;
      member.server.freeze();
      await pause(FROZEN_MS);
      tell("a follower frozen", await current());
      member.server.thaw();
      tell("thawed", await current());
    },
    CASE_MS_MAX,
  );

  it(
    "a member is cut off, the leader",
    async () => {
      const leader = await ensemble.leader();
      leader.cutOff();
      await pause(CUT_OFF_MS);
      tell("the leader cut off", await current());
      leader.heal();
      tell("healed", await current());
    },
    CASE_MS_MAX,
  );

  it(
    "all of it is down",
    async () => {
      await Promise.all(ensemble.members.map(({ server }) => server.kill()));
      await pause(DOWN_MS);
      await Promise.all(ensemble.members.map(({ server }) => server.start()));
      tell("all down and up again", await current());
    },
    CASE_MS_MAX,
  );

  it(
    "nothing was lost, nothing is stale, and no watcher went deaf",
    async () => {
      const { blindMs, writeLessMs } = running?.longest() ?? expect.fail();
      const result = await running?.stop();
      running = undefined;
      const times = `longest blindness ${Math.round(blindMs)} ms, longest without a write ${Math.round(writeLessMs)} ms`;
      console.log(`${times}; ${JSON.stringify(result)}`);
      expect(result?.writes).toBeGreaterThan(20);
      expect(result?.losses, "no fault here lasts longer than a session, but the ensemble's own").toBeLessThanOrEqual(
        1,
      );
      expect(blindMs, "what was written stays unseen no longer than a dead entry stays").toBeLessThan(BACK_MS_MAX);
    },
    CASE_MS_MAX,
  );

  /** Servers answer again at once, or within an election; clients are back a backoff later. */
  async function current(): Promise<number> {
    return (await running?.caughtUp(BACK_MS_MAX)) ?? expect.fail("no churn");
  }
});

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
