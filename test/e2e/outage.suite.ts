import { until } from "@smartstack/core/testing";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type LoadRecord, startLoad } from "../support/load.ts";
import { watchPauses } from "../support/pauses.ts";
import { freePort } from "../support/ports.ts";
import { sharedEngine } from "../support/shared-engine.ts";
import { type Fleet, type Replica, startFleet } from "./support/fleet.ts";
import { type Chain, type Server, startChain } from "./support/registries.ts";
import { SLOW_MS, unexcused } from "./support/verdict.ts";

/** Longer than the lease, so that the registry forgets; `npm run soak` asks for a minute. */
const OUTAGE_MS = Number(process.env.OUTAGE_MS ?? 8_000);
/** Three failed probes of a backend that is gone, one a second, and the time each may take. */
const PROBES_MS = 5_000;

interface Outage {
  readonly name: string;
  begin(server: Server): Promise<void>;
  end(server: Server): Promise<void>;
}

const OUTAGES: readonly Outage[] = [
  { name: "killed", begin: (server) => server.kill("SIGKILL"), end: (server) => server.restart() },
  { name: "frozen", begin: async (server) => server.freeze(), end: async (server) => server.thaw() },
];

/** What the field's list of scenarios calls it. */
const IDS = { etcd: "F4", zookeeper: "G5" };

/** Takes a registry away under load. */
export function outageSuite(
  registry: "etcd" | "zookeeper",
  read: (endpoint: string) => Promise<readonly string[]>,
): void {
  describe(`with ${registry} away`, () => {
    let chain: Chain;
    let fleet: Fleet;
    let port: number;

    beforeAll(async () => {
      const engine = await sharedEngine();
      port = await freePort();
      chain = await startChain({ engine, registry });
      fleet = await startFleet(engine, {
        labels: { "smartstack.service": "web", "smartstack.mode": "http", "smartstack.listen": String(port) },
        publish: ["80"],
        expose: [80],
      });
      for (let count = 0; count < 3; count++) await fleet.start();
    });

    afterAll(async () => {
      await fleet?.close();
      await chain?.close();
    });

    for (const outage of OUTAGES) {
      it(`${IDS[registry]} ${outage.name} for ${OUTAGE_MS / 1_000} s: no request fails, who died leaves, who came appears`, async () => {
        const server = chain.server as Server;
        const pauses = watchPauses();
        const load = startLoad({ port, keepAliveClients: 8, newPerSecond: 20, pauseMs: 50 });
        const everyone = (): boolean => fleet.living().every((replica) => answered(load.records(), replica));
        await until(everyone, { what: "every replica answers before the outage", timeoutMs: 15_000 });

        const beganMs = Date.now();
        await outage.begin(server);
        await until(() => Date.now() - beganMs > 1_000, { what: "the outage has begun" });
        const died = fleet.living()[0] as Replica;
        await fleet.end(died, "kill");
        const came = await fleet.start();
        await until(() => Date.now() - beganMs > OUTAGE_MS, {
          what: "the outage has lasted",
          timeoutMs: OUTAGE_MS + 5_000,
        });
        await outage.end(server);
        await until(() => answered(load.records(), came), {
          what: `${came.id} answers after the outage`,
          timeoutMs: 30_000,
        });
        const truth = async (): Promise<boolean> => {
          const keys = await read(server.endpoint);
          return keys.some((key) => key.includes(came.id)) && !keys.some((key) => key.includes(died.id));
        };
        await until(truth, { what: `${came.id} is in the registry, ${died.id} is not`, timeoutMs: 15_000 });
        const records = await load.stop();
        // What this machine did not run for is nobody's time.
        const pauseMs = pauses.stop();
        console.info(
          `${registry} ${outage.name}: ${records.length} requests, away ${Math.round(Date.now() - beganMs)} ms in all`,
        );
        expect(unexcused(records, fleet, SLOW_MS + pauseMs)).toEqual([]);
        const late = records.filter(
          (record) => record.servedBy === died.id && record.startMs > (died.endedMs ?? 0) + PROBES_MS + pauseMs,
        );
        expect(late).toEqual([]);
      });
    }
  });
}

function answered(records: readonly LoadRecord[], replica: Replica): boolean {
  return records.some((record) => record.servedBy === replica.id && record.startMs >= (replica.startedMs ?? 0));
}
