import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "@smartstack/core/testing";
import type { Ensemble, Member } from "./ensemble.ts";
import { accepts, startServer, type TestServer } from "./etcd.ts";
import { type FaultProxy, startFaultProxy } from "./fault-proxy.ts";
import { freePorts } from "./ports.ts";
import { serves, TICK_MS, zooKeeperProgram } from "./zookeeper.ts";

interface Ports {
  readonly client: number;
  readonly peer: number;
  readonly election: number;
}

/** Starts an ensemble; resolves when every member serves. */
export async function startEnsemble(size = 3): Promise<Ensemble> {
  const dir = await mkdtemp(join(tmpdir(), "smartstack-ensemble-"));
  const free = await freePorts(3 * size);
  const ports = Array.from({ length: size }, (_, at): Ports => {
    const [client = 0, peer = 0, election = 0] = free.slice(3 * at, 3 * at + 3);
    return { client, peer, election };
  });
  const links: { readonly between: readonly number[]; readonly proxy: FaultProxy }[] = [];
  const clients: FaultProxy[] = [];
  const started: Promise<TestServer>[] = [];
  const stop = async (): Promise<void> => {
    for (const one of await Promise.allSettled(started)) if (one.status === "fulfilled") await one.value.stop();
    await Promise.all([...clients, ...links.map(({ proxy }) => proxy)].map((proxy) => proxy.close()));
    await rm(dir, { recursive: true, force: true });
  };
  try {
    for (const [from] of ports.entries()) {
      clients.push(await startFaultProxy(`127.0.0.1:${ports[from]?.client}`));
      const addresses: string[] = [];
      for (const [to, { peer, election }] of ports.entries()) {
        if (from === to) {
          addresses.push(`127.0.0.1:${peer}:${election}`);
          continue;
        }
        // A follower comes before its leader listens, and takes a broken connection for a leader that failed.
        const toPeer = await startFaultProxy(`127.0.0.1:${peer}`, {
          listens: () => listening(`127.0.0.1:${peer}`),
        });
        const toElection = await startFaultProxy(`127.0.0.1:${election}`);
        for (const proxy of [toPeer, toElection]) links.push({ between: [from, to], proxy });
        addresses.push(`127.0.0.1:${portOf(toPeer)}:${portOf(toElection)}`);
      }
      started.push(startMember(join(dir, String(from + 1)), from + 1, ports[from]?.client ?? 0, addresses));
    }
    const servers = await Promise.all(started);
    const members = servers.map((server, at): Member => {
      const toMembers = links.filter(({ between }) => between.includes(at)).map(({ proxy }) => proxy);
      const all = [...toMembers, ...clients.slice(at, at + 1)];
      return {
        name: `member ${at + 1}`,
        server,
        cutOff: () => all.forEach((proxy) => void proxy.stall()),
        cutOffFromMembers: () => toMembers.forEach((proxy) => void proxy.stall()),
        heal: () => all.forEach((proxy) => void proxy.heal()),
      };
    });
    return { members, endpoints: clients.map(({ endpoint }) => endpoint), leader: () => leaderOf(members), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Something accepts there, or 2 s are over. */
async function listening(endpoint: string): Promise<unknown> {
  return until(() => accepts(endpoint), { what: "", timeoutMs: 2_000 }).catch(() => undefined);
}

function portOf({ endpoint }: FaultProxy): string {
  return endpoint.slice(endpoint.lastIndexOf(":") + 1);
}

async function startMember(dir: string, id: number, port: number, addresses: readonly string[]): Promise<TestServer> {
  const endpoint = `127.0.0.1:${port}`;
  await mkdir(dir);
  await writeFile(join(dir, "myid"), String(id));
  const more = {
    initLimit: 6,
    syncLimit: 4,
    "4lw.commands.whitelist": "srvr",
    ...Object.fromEntries(addresses.map((address, at) => [`server.${at + 1}`, address])),
  };
  return startServer("zookeeper", endpoint, dir, async () => zooKeeperProgram(dir, port, more, () => serves(endpoint)));
}

async function leaderOf(members: readonly Member[]): Promise<Member> {
  for (const member of members) if (/Mode: leader/.test(await askServer(member.server.endpoint))) return member;
  throw new Error("no member leads");
}

/** What a server says of itself; "" when it says nothing within a second. */
function askServer(endpoint: string): Promise<string> {
  return new Promise((resolve) => {
    let text = "";
    const socket = connect(Number(endpoint.split(":")[1]), "127.0.0.1", () => socket.end("srvr"));
    const end = (): void => {
      socket.destroy();
      resolve(text);
    };
    socket.setTimeout(2 * TICK_MS, end);
    socket.on("data", (bytes) => {
      text += bytes.toString();
    });
    socket.on("error", end);
    socket.on("close", end);
  });
}
