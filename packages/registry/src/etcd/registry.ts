import {
  encodeNodeEntry,
  type InstanceRecord,
  isStackError,
  type NodeEntry,
  type Registry,
  type Session,
  StackError,
} from "@smartstack/core";
import { CompareResult, CompareTarget, type ICompare, type IRequestOp } from "etcd3";
import { type Changes, type Held, nodePath } from "../contents.ts";
import { type RegistryDeps, transactionsOf } from "../driver.ts";
import type { EtcdConfig } from "../etcd.ts";
import { LAYOUTS } from "../layouts/index.ts";
import { translating } from "../layouts/translate.ts";
import { link } from "../link.ts";
import { type Copy, mirror, type Source } from "../mirror.ts";
import { rejecter } from "../rejecter.ts";
import { assertNotTakenOver, loseOnce, openSession, sessionLost } from "../session.ts";
import { takeOver, unclaimed } from "../take-over.ts";
import type { EtcdClient } from "./client.ts";
import { etcdHolder } from "./holder.ts";
import { keyOf, list } from "./keys.ts";
import { holdLease, keepLease, type Lease, renewOnce } from "./lease.ts";
import { servers } from "./servers.ts";
import { etcdSource } from "./source.ts";

/** The driver for etcd. */
export function etcdRegistry(config: EtcdConfig, deps: RegistryDeps): Registry {
  const { clock, events } = deps;
  const { prefix, hosts } = config;
  const state = link(clock, "etcd", `${hosts.join(",")}${prefix}`);
  const cluster = servers(config, deps);
  const onProof = (revision: string): void => state.proved(Number(revision));
  const source = etcdSource({ servers: cluster, prefix, clock, onProof });
  const layout = config.layout && LAYOUTS[config.layout];
  const read: Source = layout ? (sink, signal) => source(translating(layout, sink), signal) : source;
  const copies = mirror(read, state, rejecter(events), deps);
  const announced = new Set<string>();
  const leases = new Map<string, Lease>();
  const open = new Set<() => void>();

  const announceOn = async (
    client: EtcdClient,
    owner: NodeEntry,
    restore: readonly InstanceRecord[],
    copy: Copy,
  ): Promise<Session> => {
    const lease = await holdLease(client, leases.get(owner.node), config.ttl, clock);
    leases.set(owner.node, lease);
    const announcedBefore = announced.has(owner.boot);
    const claimed = claim(client, {
      ...{ prefix, owner, lease, announcedBefore },
      restore: unclaimed(restore, owner, copy),
    });
    const written = await state.writing(claimed);
    announced.add(owner.boot);
    const lost = new AbortController();
    const stopRenewing = await keepLease(client, lease, clock, (error) => {
      cluster.blame(client);
      loseOnce(lost, error);
    });
    const stop = (): void => {
      open.delete(stop);
      stopRenewing();
      client.close();
    };
    open.add(stop);
    const forget = (): boolean => leases.delete(owner.node);
    const renew = async (): Promise<void> => {
      if (!(await renewOnce(client, lease, clock))) throw sessionLost(`lease ${lease.id} is gone`);
    };
    const holder = etcdHolder({ client, prefix, owner, lease, renew, stop, forget });
    try {
      const session = openSession({ owner, copy, holder, written, lost, link: state, clock });
      state.up({ session: `lease ${BigInt(lease.id).toString(16)}`, ttlMs: lease.ttlMs });
      return session;
    } catch (error) {
      // The copy ended meanwhile, by close() perhaps: nothing may go on renewing.
      stop();
      throw error;
    }
  };

  return {
    type: "etcd",
    async announce(owner, restore, signal) {
      if (config.layout !== undefined) throw readOnly(config.layout);
      let client: EtcdClient | undefined;
      try {
        const copy = await copies.join(signal);
        client = await cluster.connect();
        return await announceOn(client, owner, restore, copy);
      } catch (error) {
        if (client !== undefined && isStackError(error) && error.code === "REGISTRY_UNREACHABLE") cluster.blame(client);
        client?.close();
        state.down(error);
        throw error;
      }
    },
    watch: (service, signal) => copies.watch(service, signal),
    services: (signal) => copies.services(signal),
    status: () => state.status(),
    async close() {
      for (const stop of [...open]) stop();
      await copies.close();
    },
  };
}

function readOnly(layout: string): StackError {
  const message = `the layout of ${layout} is read only; announce to a registry without registry.layout`;
  return new StackError("REGISTRY_FAILED", message, { side: "config", retry: "never" });
}

interface Claim {
  readonly prefix: string;
  readonly owner: NodeEntry;
  readonly restore: readonly InstanceRecord[];
  readonly lease: Lease;
  readonly announcedBefore: boolean;
}

/**
 * Writes everything of this node under its boot and lease, the node entry last, each transaction on the condition that
 * the node entry is still the one found at the beginning. Returns what was written.
 */
async function claim(client: EtcdClient, { prefix, owner, restore, lease, announcedBefore }: Claim): Promise<Changes> {
  const key = keyOf(prefix, nodePath(owner.node));
  const [found] = (await client.range({ key })).kvs;
  const foundText = found?.value.toString();
  assertNotTakenOver(owner, announcedBefore, foundText);
  const { entries } = await list(client, prefix);
  const writes = takeOver(owner, restore, entries, lease.id);
  const text = encodeNodeEntry(owner);
  const put = (path: string, value: string): IRequestOp => ({
    request_put: { key: keyOf(prefix, path), value: Buffer.from(value), lease: lease.id },
  });
  const operations = transactionsOf(writes).map((part) => part.map((write) => put(write.path, write.text)));
  if (foundText !== text || found?.lease !== lease.id) {
    const last = operations.pop() ?? [];
    operations.push([...last, put(nodePath(owner.node), text)]);
  }
  const unchanged: ICompare =
    found === undefined
      ? { key, target: CompareTarget.Version, result: CompareResult.Equal, version: 0 }
      : { key, target: CompareTarget.Mod, result: CompareResult.Equal, mod_revision: found.mod_revision };
  for (const success of operations) {
    const { succeeded } = await client.txn({ compare: [unchanged], success });
    if (!succeeded)
      throw new StackError("REGISTRY_FAILED", `the node entry of ${owner.node} changed while it was taken over`, {
        side: "registry",
        retry: "after-backoff",
      });
  }
  // What an earlier run left hangs on our lease now; its own lease would only linger.
  if (found !== undefined && found.lease !== "0" && found.lease !== lease.id) await client.revoke(found.lease);
  return new Map<string, Held>(writes.map((write) => [write.path, { text: write.text, hold: lease.id }]));
}
