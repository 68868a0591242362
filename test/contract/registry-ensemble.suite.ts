import type { Registry } from "@smartstack/core";
import { afterAll, describe, expect, it } from "vitest";
import type { Ensemble, Member } from "../support/ensemble.ts";
import { type Churn, churn } from "./registry-churn.ts";

// Three servers under a writer and four watchers. FAULTS=full takes the lengths of real outages.

export const FULL = process.env.FAULTS === "full";
export const TTL_MS = 10_000;
export const BACK_MS_MAX = TTL_MS + 1_000;
export const CASE_MS_MAX = 180_000;

const FROZEN_MS = FULL ? 20_000 : 5_000;
const CUT_OFF_MS = FULL ? 20_000 : 5_000;
const DOWN_MS = FULL ? 60_000 : 5_000;

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/**
 * @param open a driver object of its own, which begins with another server for each index.
 * @param cutsOff which member is cut off; one of the others is frozen.
 */
export function ensembleSuite(
  name: string,
  running: () => Ensemble,
  open: (prefix: string, index: number) => Promise<Registry>,
  cutsOff: "leader" | "follower" = "leader",
): void {
  const freezes = cutsOff === "leader" ? "follower" : "leader";
  const member = async (which: "leader" | "follower"): Promise<Member> => {
    const leader = await running().leader();
    return which === "leader" ? leader : (running().members.find((one) => one !== leader) ?? leader);
  };
  describe(`${name}, under a writer and four watchers`, () => {
    let busy: Churn | undefined;

    afterAll(async () => {
      await busy?.stop();
    });

    function tell(what: string, backMs: number): void {
      const { blindMs, writeLessMs } = busy?.longest() ?? { blindMs: 0, writeLessMs: 0 };
      const [back, blind, writeLess] = [backMs, blindMs, writeLessMs].map((ms) => `${Math.round(ms)} ms`);
      console.log(
        `${name}, ${what}: all current ${back} after; longest so far: blind ${blind}, without a write ${writeLess}`,
      );
    }

    it("serves them all", async () => {
      busy = await churn((index) => open("/churn", index));
      tell("no fault", await busy.caughtUp(BACK_MS_MAX));
    });

    it(
      "its leader is killed",
      async () => {
        const leader = await running().leader();
        await leader.server.kill();
        tell("leader killed", await current());
        await leader.server.start();
        tell("leader started again", await current());
      },
      CASE_MS_MAX,
    );

    it(
      `a member is frozen, a ${freezes}`,
      async () => {
        const frozen = await member(freezes);
        frozen.server.freeze();
        try {
          await pause(FROZEN_MS);
          tell(`a ${freezes} frozen`, await current());
        } finally {
          frozen.server.thaw();
        }
        tell("thawed", await current());
      },
      CASE_MS_MAX,
    );

    it(
      `a member is cut off, a ${cutsOff}`,
      async () => {
        const alone = await member(cutsOff);
        alone.cutOff();
        try {
          await pause(CUT_OFF_MS);
          tell(`a ${cutsOff} cut off`, await current());
        } finally {
          alone.heal();
        }
        tell("healed", await current());
      },
      CASE_MS_MAX,
    );

    it(
      "all of it is down",
      async () => {
        await Promise.all(running().members.map(({ server }) => server.kill()));
        await pause(DOWN_MS);
        await Promise.all(running().members.map(({ server }) => server.start()));
        tell("all down and up again", await current());
      },
      CASE_MS_MAX,
    );

    it(
      "nothing was lost, nothing is stale, and no watcher went deaf",
      async () => {
        const { blindMs, writeLessMs } = busy?.longest() ?? expect.fail();
        const result = await busy?.stop();
        busy = undefined;
        const times = `longest blindness ${Math.round(blindMs)} ms, longest without a write ${Math.round(writeLessMs)} ms`;
        console.log(`${times}; ${JSON.stringify(result)}`);
        expect(result?.writes, "one at least for each time that all were current").toBeGreaterThanOrEqual(8);
        expect(result?.losses, "no fault here lasts longer than a session, but the ensemble's own").toBeLessThanOrEqual(
          1,
        );
        expect(blindMs, "what was written stays unseen no longer than a dead entry stays").toBeLessThan(BACK_MS_MAX);
      },
      CASE_MS_MAX,
    );

    /** Servers answer again at once, or within an election; clients are back a backoff later. */
    async function current(): Promise<number> {
      return (await busy?.caughtUp(BACK_MS_MAX)) ?? expect.fail("no churn");
    }
  });
}
