import { until } from "@smartstack/core/testing";
import { startStack } from "../e2e/support/stack.ts";
import { watchEngine } from "../scenarios/support/engine-events.ts";
import { PREFIX, registryConfig, type SharedRegistry, startRegistry } from "../scenarios/support/stage.ts";
import { NODE_IMAGE } from "./container.ts";
import type { Engine } from "./docker.ts";
import { startDockerProxy } from "./docker-proxy.ts";
import { engineCall, inParallel } from "./engine-api.ts";
import { type Tally, tallyEtcd, tallyZooKeeper } from "./tally.ts";
import { type Usage, usageOf } from "./usage.ts";

const SERVICE = "burst";
const AT_ONCE = 20;
const MS_MAX = 600_000;

export interface BurstOptions {
  readonly engine: Engine;
  /** Where the containers get their addresses. */
  readonly network: string;
  readonly registry: SharedRegistry;
  readonly containers: number;
}

/** What one half of a burst cost, the starts or the removals. */
export interface BurstHalf {
  /** How long the engine took, in ms. */
  readonly engineMs: number;
  /** From the engine's last start or die to the last entry's coming or going, in ms. */
  readonly lagMs: number;
  /** Of the container that was inspected most often, and of all. */
  readonly inspectsMax: number;
  readonly inspects: number;
  readonly puts: number;
  readonly deletes: number;
  readonly cpuMs: number;
}

export interface BurstReport {
  readonly started: BurstHalf;
  readonly removed: BurstHalf;
  /** Containers whose entry is missing or has another address than they, and entries of nobody's. */
  readonly wrong: readonly string[];
  readonly usage: Usage;
}

/** Starts containers as fast as the engine can, and then removes them, before a nerve of its own. */
export async function playBurst({ engine, network, registry, containers }: BurstOptions): Promise<BurstReport> {
  const closers: (() => unknown)[] = [];
  try {
    const server = await startRegistry(registry);
    closers.push(() => server.stop());
    const tally = await (registry === "etcd" ? tallyEtcd : tallyZooKeeper)(server.endpoint, PREFIX, SERVICE);
    closers.push(() => tally.close());
    const engineEvents = watchEngine(engine);
    closers.push(() => engineEvents.close());
    const proxy = await startDockerProxy({ socket: engine.socket });
    closers.push(() => proxy.close());
    const nerve = await startStack("nerve", {
      registry: { ...registryConfig(registry, server.endpoint), ttl: "10s" },
      docker: { host: proxy.host, node: SERVICE, address: "container", network, filter: { label: SERVICE } },
      reconcile: "1h",
    });
    closers.push(() => nerve.stop());
    await until(async () => (await nerve.ready()).status === 200, { what: "nerve is ready", timeoutMs: 15_000 });

    const ids = await inParallel([...Array(containers).keys()], AT_ONCE, () => create(engine, network));
    closers.push(() => inParallel(ids, AT_ONCE, (id) => engine.remove(id)));
    const half = (action: string, count: number, work: (id: string) => Promise<unknown>): Promise<BurstHalf> =>
      playHalf({ ids, action, count, work, tally, events: engineEvents.events, pid: nerve.child.pid, proxy });
    const started = await half("start", containers, (id) =>
      engineCall(engine.socket, "POST", `/containers/${id}/start`),
    );
    const wrong = await wrongEntries(engine, ids, tally);
    const removal = (id: string): Promise<unknown> =>
      engineCall(engine.socket, "DELETE", `/containers/${id}?force=true&v=true`);
    const removed = await half("die", 0, removal);
    return { started, removed, wrong, usage: usageOf(nerve.child.pid) };
  } finally {
    for (const close of closers.reverse()) await close();
  }
}

async function create(engine: Engine, network: string): Promise<string> {
  const created = await engineCall(engine.socket, "POST", "/containers/create", {
    Image: NODE_IMAGE,
    Cmd: ["busybox", "httpd", "-f", "-p", "80"],
    Labels: { [SERVICE]: "1", "smartstack.service": SERVICE, "smartstack.port": "80" },
    HostConfig: { NetworkMode: network, Memory: 16 * 2 ** 20 },
  });
  return (created as { readonly Id: string }).Id;
}

interface Half {
  readonly ids: readonly string[];
  /** The engine's event that is the last sign of each. */
  readonly action: string;
  /** How many entries there are at the end. */
  readonly count: number;
  readonly work: (id: string) => Promise<unknown>;
  readonly tally: Tally;
  readonly events: ReturnType<typeof watchEngine>["events"];
  readonly pid: number;
  readonly proxy: { readonly requests: readonly string[] };
}

async function playHalf({ ids, action, count, work, tally, events, pid, proxy }: Half): Promise<BurstHalf> {
  const before = { ...(await tally.writes()), cpuMs: usageOf(pid).cpuMs, requests: proxy.requests.length };
  const beganMs = Date.now();
  await inParallel(ids, AT_ONCE, work);
  const wanted = new Set(ids);
  const signs = (): typeof events => events.filter((event) => event.action === action && wanted.has(event.container));
  await until(() => signs().length >= ids.length, { what: `${ids.length} times ${action}`, timeoutMs: MS_MAX });
  const lastMs = Math.max(...signs().map(({ atMs }) => atMs));
  await until(() => tally.present().count === count, { what: `${count} entries`, timeoutMs: MS_MAX, everyMs: 10 });
  const { atMs } = tally.present();
  // What is written too much would come now.
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  const inspects = inspectsOf(proxy.requests.slice(before.requests));
  const { puts, deletes } = await tally.writes();
  return {
    engineMs: lastMs - beganMs,
    lagMs: atMs - lastMs,
    inspectsMax: Math.max(0, ...inspects.values()),
    inspects: [...inspects.values()].reduce((sum, each) => sum + each, 0),
    puts: puts - before.puts,
    deletes: deletes - before.deletes,
    cpuMs: usageOf(pid).cpuMs - before.cpuMs,
  };
}

/** By container. */
function inspectsOf(requests: readonly string[]): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  for (const request of requests) {
    const id = /^GET (?:\/v[\d.]+)?\/containers\/([0-9a-f]{64})\/json/.exec(request)?.[1];
    if (id !== undefined) found.set(id, (found.get(id) ?? 0) + 1);
  }
  return found;
}

interface Listed {
  readonly Id: string;
  readonly NetworkSettings: { readonly Networks: Readonly<Record<string, { readonly IPAddress: string }>> };
}

async function wrongEntries(engine: Engine, ids: readonly string[], tally: Tally): Promise<string[]> {
  const listed = (await engineCall(engine.socket, "GET", "/containers/json")) as readonly Listed[];
  const mine = listed.filter(({ Id }) => ids.includes(Id));
  const real = mine.map(({ Id, NetworkSettings }) => {
    const [network] = Object.values(NetworkSettings.Networks);
    return `${Id.slice(0, 12)} ${network?.IPAddress}`;
  });
  const said = (await tally.documents()).map(({ container, host }) => `${container} ${host}`);
  return [...said.filter((one) => !real.includes(one)), ...real.filter((one) => !said.includes(one))];
}
