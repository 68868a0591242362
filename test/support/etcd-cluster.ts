import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Ensemble, Member } from "./ensemble.ts";
import { etcdctl, startServer, type TestServer } from "./etcd.ts";
import { type FaultProxy, startFaultProxy } from "./fault-proxy.ts";
import { freePort, freePorts } from "./ports.ts";

/**
 * Starts a cluster of etcd. Its members must agree on each one's address, and yet each link between two of them must be
 * one that can be cut: so each member finds the others' names in a hosts file of its own (which takes root), where they
 * lead to its own proxies.
 */
export async function startEtcdCluster(size = 3): Promise<Ensemble> {
  const dir = await mkdtemp(join(tmpdir(), "smartstack-etcd-cluster-"));
  const ids = Array.from({ length: size }, (_, index) => index + 1);
  const [clientPorts, peerPorts] = [await freePorts(size), await freePorts(size)];
  const advertisedPort = await freePort();
  const links: { readonly between: readonly number[]; readonly proxy: FaultProxy }[] = [];
  const clients: FaultProxy[] = [];
  const started: Promise<TestServer>[] = [];
  const stop = async (): Promise<void> => {
    for (const one of await Promise.allSettled(started)) if (one.status === "fulfilled") await one.value.stop();
    await Promise.all([...clients, ...links.map(({ proxy }) => proxy)].map((proxy) => proxy.close()));
    await rm(dir, { recursive: true, force: true });
  };
  try {
    for (const id of ids) {
      const endpoint = `127.0.0.1:${clientPorts[id - 1]}`;
      clients.push(await startFaultProxy(endpoint));
      const hosts = ["127.0.0.1 localhost", `127.0.0.1 ${nameOf(id)}`];
      for (const other of ids.filter((one) => one !== id)) {
        const address = `127.0.${10 + id}.${other}`;
        const proxy = await startFaultProxy(`127.0.0.1:${peerPorts[other - 1]}`, {
          at: `${address}:${advertisedPort}`,
        });
        links.push({ between: [id, other], proxy });
        hosts.push(`${address} ${nameOf(other)}`);
      }
      const home = join(dir, nameOf(id));
      await mkdir(home);
      await writeFile(join(home, "hosts"), `${hosts.join("\n")}\n`);
      const urls = ids.map((one) => `${nameOf(one)}=http://${nameOf(one)}:${advertisedPort}`);
      started.push(startMember(home, nameOf(id), endpoint, peerPorts[id - 1] ?? 0, urls));
    }
    const members = (await Promise.all(started)).map((server, index): Member => {
      const toMembers = links.filter(({ between }) => between.includes(index + 1)).map(({ proxy }) => proxy);
      const all = [...toMembers, ...clients.slice(index, index + 1)];
      return {
        name: nameOf(index + 1),
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

function nameOf(id: number): string {
  return `member${id}.test`;
}

function startMember(
  home: string,
  name: string,
  endpoint: string,
  peerPort: number,
  urls: readonly string[],
): Promise<TestServer> {
  const advertised = urls.find((url) => url.startsWith(`${name}=`))?.slice(name.length + 1) ?? "";
  const etcd = [
    "etcd",
    `--name=${name}`,
    `--data-dir=${join(home, "data")}`,
    `--listen-client-urls=http://${endpoint}`,
    `--advertise-client-urls=http://${endpoint}`,
    `--listen-peer-urls=http://127.0.0.1:${peerPort}`,
    `--initial-advertise-peer-urls=${advertised}`,
    `--initial-cluster=${urls.join(",")}`,
    "--log-level=error",
  ];
  const withHosts = 'mount --bind "$0" /etc/hosts && exec "$@"';
  return startServer("etcd", endpoint, home, async () => ({
    command: "unshare",
    args: ["--mount", "sh", "-c", withHosts, join(home, "hosts"), ...etcd],
    ready: () =>
      etcdctl(endpoint, ["endpoint", "health"]).then(
        () => true,
        () => false,
      ),
  }));
}

async function leaderOf(members: readonly Member[]): Promise<Member> {
  for (const member of members) {
    const text = await etcdctl(member.server.endpoint, ["endpoint", "status", "-w", "json"]).catch(() => "[]");
    // Ids of 64 bits: compared as text.
    const [, self] = /"member_id":(\d+)/.exec(text) ?? [];
    const [, leader] = /"leader":(\d+)/.exec(text) ?? [];
    if (self !== undefined && self === leader) return member;
  }
  throw new Error("no member leads");
}
