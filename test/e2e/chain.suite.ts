import { seededRandom, until } from "@smartstack/core/testing";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startLoad } from "../support/load.ts";
import { watchPauses } from "../support/pauses.ts";
import { freePort } from "../support/ports.ts";
import { sharedEngine } from "../support/shared-engine.ts";
import { ENDINGS, type Ending, type Fleet, startFleet } from "./support/fleet.ts";
import { type Chain, type RegistryName, startChain } from "./support/registries.ts";
import { absences, latencies, median, SLOW_MS, unexcused } from "./support/verdict.ts";

const KILLS = 20;
const REPLICAS_MIN = 2;
const REPLICAS_MAX = 4;

/** Kills and starts replicas under load, over one kind of registry: nobody who asks may notice. */
export function chainSuite(registry: RegistryName): void {
  describe(`a labelled container becomes a localhost port over ${registry}`, () => {
    let chain: Chain;
    let fleet: Fleet;
    let port: number;

    beforeAll(async () => {
      const engine = await sharedEngine();
      port = await freePort();
      chain = await startChain({ engine, registry });
      fleet = await startFleet(engine, {
        labels: { "smartstack.service": "web", "smartstack.mode": "http", "smartstack.listen": String(port) },
        expose: [80],
        publish: ["80"],
      });
    });

    afterAll(async () => {
      await fleet?.close();
      await chain?.close();
    });

    it(`${KILLS} kills and starts at random times cost no request`, async () => {
      const random = seededRandom(Number(process.env.SEED ?? Date.now() % 100_000));
      await fleet.start();
      await fleet.start();
      await until(async () => (await chain.synapse.ready("web")).status === 200, { what: "web is ready" });
      const pauses = watchPauses();
      const load = startLoad({ port, keepAliveClients: 16, newPerSecond: 50, pauseMs: 30 });
      for (let kills = 0; kills < KILLS; ) {
        const living = fleet.living();
        const served = new Set(
          load
            .records()
            .slice(-200)
            .map((record) => record.servedBy),
        );
        const routed = living.filter((replica) => served.has(replica.id));
        // What is killed must leave somebody who can answer.
        if (routed.length > REPLICAS_MIN || (living.length >= REPLICAS_MAX && routed.length > 1)) {
          const victim = routed[Math.floor(random() * routed.length)];
          const how = ENDINGS[Math.floor(random() * ENDINGS.length)] as Ending;
          if (victim !== undefined) await fleet.end(victim, how);
          kills++;
        } else if (living.length < REPLICAS_MAX) {
          await fleet.start();
        }
        await new Promise((resolve) => setTimeout(resolve, random() * 300));
      }
      // The last ones to come must have been seen, too.
      await until(
        () => fleet.living().every((replica) => load.records().some((record) => record.servedBy === replica.id)),
        {
          what: "every living replica answers",
        },
      );
      const records = await load.stop();
      // What this machine did not run for is nobody's time.
      const pauseMs = pauses.stop();
      const { addMs, removeMs } = latencies(records, fleet);
      const text = (values: readonly number[]): string =>
        `${Math.round(median(values))}/${Math.round(Math.max(...values))}`;
      console.info(
        `${registry}: ${records.length} requests, add ${text(addMs)} ms, remove ${text(removeMs)} ms (median/max), longest pause of this process ${Math.round(pauseMs)} ms`,
      );
      expect(unexcused(records, fleet, SLOW_MS + pauseMs)).toEqual([]);
      expect(absences(records, fleet, 1_000 + pauseMs)).toEqual([]);
      expect(Math.max(...addMs)).toBeLessThanOrEqual(2_000 + pauseMs);
      expect(Math.max(...removeMs)).toBeLessThanOrEqual(1_000 + pauseMs);
    });
  });
}
