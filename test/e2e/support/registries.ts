import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Engine } from "../../support/docker.ts";
import { startEtcd } from "../../support/etcd.ts";
import { startZooKeeper } from "../../support/zookeeper.ts";
import { type StackProcess, startStack } from "./stack.ts";

export type RegistryName = "memory" | "file" | "etcd" | "zookeeper";

/** Outages are short in the test command; the lease must be shorter still, so that an outage outlives it. */
export const TTL = "3s";

/** A registry server that can be hurt. memory and file have none. */
export interface Server {
  readonly endpoint: string;
  kill(signal?: NodeJS.Signals): Promise<void>;
  freeze(): void;
  thaw(): void;
  restart(): Promise<void>;
}

/** The whole product running over one kind of registry. */
export interface Chain {
  readonly nerve: StackProcess;
  readonly synapse: StackProcess;
  readonly server?: Server;
  readonly processes: StackProcess[];
  close(): Promise<void>;
}

export interface ChainOptions {
  readonly engine: Engine;
  readonly registry: RegistryName;
  readonly nerve?: Readonly<Record<string, unknown>>;
  readonly synapse?: Readonly<Record<string, unknown>>;
}

/** Starts the registry's server, then nerve and synapse as users do: one process for memory, two for the others. */
export async function startChain(options: ChainOptions): Promise<Chain> {
  const { engine, registry: name } = options;
  const folder = mkdtempSync(path.join(tmpdir(), "smartstack-registry-"));
  const backing = await startBacking(name, folder);
  const docker = {
    host: engine.host,
    // Over a shared registry the published ports are announced, on the host only the containers' own addresses.
    ...(name === "etcd" || name === "zookeeper" ? { advertise: engine.hostAddress } : {}),
  };
  const nerve = { ...options.nerve };
  const synapse = { discover: "*", shutdown_grace: "2s", ...options.synapse };
  const processes: StackProcess[] = [];
  if (name === "memory") {
    processes.push(await startStack("up", { registry: backing.config, docker, nerve, synapse }));
  } else {
    processes.push(await startStack("nerve", { registry: backing.config, docker, ...nerve }));
    processes.push(await startStack("synapse", { registry: backing.config, ...synapse }));
  }
  return {
    get nerve() {
      return processes[0] as StackProcess;
    },
    get synapse() {
      return processes[processes.length - 1] as StackProcess;
    },
    ...(backing.server === undefined ? {} : { server: backing.server }),
    processes,
    async close() {
      for (const process of [...processes].reverse()) await process.stop();
      await backing.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

interface Backing {
  readonly config: Readonly<Record<string, unknown>>;
  readonly server?: Server;
  close(): Promise<void>;
}

async function startBacking(name: RegistryName, folder: string): Promise<Backing> {
  const nothing = async (): Promise<void> => undefined;
  if (name === "memory") return { config: { type: "memory" }, close: nothing };
  if (name === "file") return { config: { type: "file", prefix: folder, ttl: TTL }, close: nothing };
  const server = name === "etcd" ? await startEtcd() : await startZooKeeper();
  return {
    config: { type: name, hosts: [server.endpoint], prefix: "/smartstack/services", ttl: TTL },
    server,
    close: () => server.stop(),
  };
}
