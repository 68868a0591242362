import { setTimeout as pause } from "node:timers/promises";
import { eventBus, type Registry, systemClock, systemRandom } from "@smartstack/core";
import { until } from "@smartstack/core/testing";
import { openRegistry } from "@smartstack/registry";
import { describe, it } from "vitest";
import { etcdKeepalives, etcdRevision, startEtcd } from "../support/etcd.ts";
import { timed } from "../support/pauses.ts";
import { freePort } from "../support/ports.ts";
import { NEVER, owner, record, records } from "./registry-case.ts";
import { announcer, follow } from "./registry-follower.ts";
import { backends, synapseOver } from "./registry-synapse.ts";

// What takes its time: beside each other, each with an etcd of its own.

const TTL_MS = 3_000;
const STEADY_MS = Number(process.env.SMARTSTACK_STEADY_SECONDS ?? 10) * 1_000;
const LATE_MS = Number(process.env.SMARTSTACK_LATE_SECONDS ?? 8) * 1_000;

function open(endpoint: string, prefix: string): Promise<Registry> {
  const deps = { clock: systemClock, random: systemRandom, events: eventBus() };
  return openRegistry({ type: "etcd", hosts: [endpoint], prefix, ttl: TTL_MS }, deps);
}

describe.concurrent("etcd, with patience", () => {
  it(
    `F7 both sides begin ${LATE_MS / 1_000} s before their etcd, and need no restart once it is there`,
    async ({ expect, onTestFinished }) => {
      const port = await freePort();
      const endpoint = `127.0.0.1:${port}`;
      const registries = await Promise.all([open(endpoint, "/f7"), open(endpoint, "/f7")]);
      onTestFinished(() => Promise.all(registries.map((registry) => registry.close())).then(() => undefined));
      const { applied, stop } = await synapseOver(registries[0]);
      onTestFinished(stop);
      const nerve = announcer(registries[1], owner("node-a", "b1"), () => records("web", 2));
      onTestFinished(() => nerve.stop("keep"));
      await pause(LATE_MS);
      expect(nerve.sessions).toHaveLength(0);
      const late = await startEtcd({ port });
      onTestFinished(() => late.stop());
      const there = (): boolean => backends(applied) === "web-0,web-1";
      expect(await timed(() => until(there, { what: "announced and applied" }))).toBeLessThan(5_000);
    },
    LATE_MS + 60_000,
  );

  it(
    `F11 nothing is written in a steady state (${STEADY_MS / 1_000} s), and a lease is renewed 3 times in a short ttl`,
    async ({ expect, onTestFinished }) => {
      const server = await startEtcd();
      onTestFinished(() => server.stop());
      const { endpoint } = server;
      const all = Array.from({ length: 20 }, (_, index) => record(`service-${index}`, `i${index}`, 8_000 + index));
      const [announcing, watching] = await Promise.all([open(endpoint, "/f11"), open(endpoint, "/f11")]);
      onTestFinished(() => Promise.all([announcing.close(), watching.close()]).then(() => undefined));
      const session = await announcing.announce(owner("node-a", "b1"), all, NEVER);
      const followers = all.map(({ service }) => follow(watching, service));
      onTestFinished(() => Promise.all(followers.map((follower) => follower.stop())).then(() => undefined));
      await until(() => followers.every((follower) => follower.names().length === 1), { what: "all watched" });
      // Around all that is counted: what is late to be counted was in this time as well.
      const beganMs = performance.now();
      const before = { revision: await etcdRevision(endpoint), renewals: await etcdKeepalives(endpoint) };
      while (performance.now() - beganMs < STEADY_MS) {
        for (const one of all) await session.put(one);
        await pause(500);
      }
      expect(await etcdRevision(endpoint)).toBe(before.revision);
      const renewals = (await etcdKeepalives(endpoint)) - before.renewals;
      const ttls = (performance.now() - beganMs) / TTL_MS;
      const perTtl = renewals / ttls;
      console.log(`F11: ${Math.round(ttls * TTL_MS)} ms, ${perTtl.toFixed(2)} renewals in a ttl, nothing written`);
      expect(perTtl).toBeLessThan(3.7);
      expect(session.lost.aborted || followers.some((follower) => follower.resets() > 1), "nothing broke").toBe(false);
    },
    STEADY_MS + 60_000,
  );
});
