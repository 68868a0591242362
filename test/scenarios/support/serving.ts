import { request } from "node:http";
import { until } from "@smartstack/core/testing";
import { type Fleet, type Replica, startFleet } from "../../e2e/support/fleet.ts";
import type { StackProcess } from "../../e2e/support/stack.ts";
import { unexcused } from "../../e2e/support/verdict.ts";
import { type Load, startLoad } from "../../support/load.ts";
import { freePort } from "../../support/ports.ts";
import type { Scene, SceneContainer } from "./scene.ts";

const PATIENCE_MS = 5_000;

/** Two replicas of a scenario's service, behind a synapse that routes to both. */
export interface Serving {
  readonly port: number;
  readonly fleet: Fleet;
  readonly synapse: StackProcess;
  readonly replicas: readonly [Replica, Replica];
  /** The replicas that synapse sends new requests to, sorted. */
  usable(): Promise<readonly string[]>;
  /** How many requests of a replica are in progress. */
  active(replica: Replica): Promise<number | undefined>;
}

export async function serving(scene: Scene, given: SceneContainer = {}): Promise<Serving> {
  const port = await freePort();
  const labels = { "smartstack.mode": "http", "smartstack.listen": String(port), ...given.labels };
  const fleet = await startFleet(scene.engine, scene.options({ ...given, labels }));
  scene.closes(() => fleet.close());
  const synapse = await scene.synapse();
  const replicas = [await fleet.start(), await fleet.start()] as const;
  const backends = async () => (await synapse.services()).find(({ name }) => name === scene.service)?.backends ?? [];
  const usable: Serving["usable"] = async () =>
    (await backends()).flatMap((backend) => (backend.usable && backend.container) || []).sort();
  await until(async () => (await usable()).length === 2, { what: "both are routed" });
  return {
    port,
    fleet,
    synapse,
    replicas,
    usable,
    active: async ({ id }) => (await backends()).find(({ container }) => container === id)?.counters.active,
  };
}

/** Clients on both kinds of connections. */
export function load(port: number): Load {
  return startLoad({ port, keepAliveClients: 10, newPerSecond: 25, pauseMs: 40 });
}

/** Waits until clients have asked for a while since a moment, on both kinds of connections. */
export async function asked(running: Load, sinceMs: number): Promise<void> {
  const enough = (keepAlive: boolean): boolean =>
    running.records().filter((record) => record.keepAlive === keepAlive && record.startMs > sinceMs).length >= 20;
  await until(() => enough(true) && enough(false), { what: "clients go on asking" });
}

/** Ends the load, and says which of its requests failed; being slow is no failure where other scenarios run beside it. */
export async function failures(running: Load, fleet: Fleet): Promise<readonly string[]> {
  return unexcused(await running.stop(), fleet, PATIENCE_MS);
}

/** The replicas that answered what was sent after a moment. */
export function servedAfter(running: Load, atMs: number): Set<string | undefined> {
  const later = running.records().filter(({ startMs }) => startMs > atMs);
  return new Set(later.map(({ servedBy }) => servedBy));
}

/** A request that a replica is busy with until its client has sent all of it. */
export interface HeldRequest {
  /** Sends the rest; the status of the answer. */
  finish(): Promise<number>;
}

export function holdRequest(port: number): HeldRequest {
  const outgoing = request({ port, method: "POST", agent: false, headers: { "content-length": 2 } });
  const status = new Promise<number>((resolve, reject) => {
    outgoing.on("error", reject);
    outgoing.on("response", (response) => {
      response.resume();
      response.on("end", () => resolve(response.statusCode ?? 0));
    });
  });
  // Seen by who finishes it.
  status.catch(() => undefined);
  outgoing.write("a");
  return {
    finish() {
      outgoing.end("b");
      return status;
    },
  };
}
