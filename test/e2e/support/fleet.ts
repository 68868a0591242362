import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { until } from "@smartstack/core/testing";
import { type Child, startChild } from "../../support/children.ts";
import type { ContainerOptions } from "../../support/container.ts";
import type { Engine } from "../../support/docker.ts";

/** How a replica is ended. */
export type Ending = "kill" | "stop" | "rm";

export const ENDINGS: readonly Ending[] = ["kill", "stop", "rm"];

/** One container of the service under test. Times are the engine's own, milliseconds since the epoch. */
export interface Replica {
  /** The first 12 hex digits: what the test web server answers with. */
  readonly id: string;
  readonly container: string;
  startedMs?: number;
  /** When the engine first said that it was ending. */
  endedMs?: number;
}

/** The replicas of one service, with the times of their events as the engine gave them. */
export interface Fleet {
  start(): Promise<Replica>;
  end(replica: Replica, how: Ending): Promise<void>;
  /** Started and not told to end. */
  living(): readonly Replica[];
  all(): readonly Replica[];
  /** What this replica wrote to its log: one line per request it received. Outlives the container. */
  log(replica: Replica): string;
  close(): Promise<void>;
}

/** Containers of the test web server, each with its log in a folder of this machine so that `rm -f` does not take it away. */
export async function startFleet(engine: Engine, options: ContainerOptions): Promise<Fleet> {
  const logs = mkdtempSync(path.join(tmpdir(), "smartstack-fleet-"));
  const replicas = new Map<string, Replica>();
  const living = new Set<Replica>();
  const times = new Map<string, { startedMs?: number; endedMs?: number }>();
  const events = followEvents(engine, (container, action, atMs) => {
    const entry = times.get(container) ?? {};
    if (action === "start") entry.startedMs ??= atMs;
    if (action === "kill" || action === "die") entry.endedMs ??= atMs;
    times.set(container, entry);
    const replica = replicas.get(container);
    if (replica !== undefined) Object.assign(replica, entry);
  });
  return {
    async start() {
      const container = await engine.run({
        ...options,
        extra: [...(options.extra ?? []), "--volume", `${logs}:/logs`],
        command: ["sh", "-c", 'exec node /srv/backend.mjs >"/logs/$(hostname)"'],
      });
      const replica: Replica = { id: container.slice(0, 12), container };
      replicas.set(container, replica);
      Object.assign(replica, times.get(container));
      living.add(replica);
      await until(() => replica.startedMs !== undefined, { what: `the start event of ${replica.id}` });
      return replica;
    },
    async end(replica, how) {
      living.delete(replica);
      if (how === "rm") await engine.remove(replica.container);
      else if (how === "stop") await engine.docker("stop", "--time", "5", replica.container);
      else await engine.docker("kill", replica.container);
      await until(() => replica.endedMs !== undefined, { what: `the end event of ${replica.id}` });
    },
    living: () => [...living],
    all: () => [...replicas.values()],
    log(replica) {
      const file = path.join(logs, replica.id);
      return existsSync(file) ? readFileSync(file, "utf8") : "";
    },
    async close() {
      await engine.remove(...[...replicas.keys()]);
      await events.stop();
      rmSync(logs, { recursive: true, force: true });
    },
  };
}

function followEvents(engine: Engine, notice: (container: string, action: string, atMs: number) => void): Child {
  const child = startChild("/usr/bin/docker", [
    "-H",
    engine.host,
    "events",
    "--filter",
    "type=container",
    "--format",
    "{{json .}}",
    // It is told what comes before it is heard.
    ...["--since", String(Date.now() / 1_000)],
  ]);
  let rest = "";
  child.process.stdout?.on("data", (chunk: Buffer) => {
    const lines = (rest + chunk.toString("utf8")).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const event = JSON.parse(line) as { Action: string; Actor: { ID: string }; timeNano: number };
      notice(event.Actor.ID, event.Action, event.timeNano / 1e6);
    }
  });
  return child;
}
