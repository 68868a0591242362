import {
  type InstanceRecord,
  isStackError,
  type NodeEntry,
  type Registry,
  type Session,
  StackError,
} from "@smartstack/core";
import type { RegistryDeps } from "../driver.ts";
import type { EtcdConfig } from "../etcd.ts";
import { LAYOUTS } from "../layouts/index.ts";
import { translating } from "../layouts/translate.ts";
import { link } from "../link.ts";
import { type Copy, mirror, type Source } from "../mirror.ts";
import { rejecter } from "../rejecter.ts";
import { loseOnce, openSession, sessionLost } from "../session.ts";
import { claim } from "./claim.ts";
import type { EtcdClient } from "./client.ts";
import { etcdHolder } from "./holder.ts";
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
    const written = await state.writing(claim(client, { prefix, owner, restore, copy, lease, announcedBefore }));
    announced.add(owner.boot);
    const lost = new AbortController();
    const keeping = await keepLease(client, lease, clock, (error) => {
      cluster.blame(client);
      loseOnce(lost, error);
    });
    const stop = (): void => {
      open.delete(stop);
      keeping.stop();
      client.close();
    };
    open.add(stop);
    const forget = (): boolean => leases.delete(owner.node);
    const renew = async (): Promise<void> => {
      if (!(await renewOnce(client, lease, clock))) throw sessionLost(`lease ${lease.id} is gone`);
    };
    const doubt = keeping.renew;
    const holder = etcdHolder({ client, prefix, owner, lease, renew, doubt, stop, forget });
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
