import { type InstanceRecord, isStackError, type NodeEntry, type Registry, type Session } from "@smartstack/core";
import { splitChroot } from "../config.ts";
import type { RegistryDeps } from "../driver.ts";
import { link } from "../link.ts";
import { closedError, mirror } from "../mirror.ts";
import { rejecter } from "../rejecter.ts";
import { loseOnce, openSession, sessionLost } from "../session.ts";
import type { ZooKeeperConfig } from "../zookeeper.ts";
import { claim } from "./claim.ts";
import type { ZooKeeper } from "./client.ts";
import { connections, connector } from "./ensemble.ts";
import { zooKeeperHolder } from "./holder.ts";
import { zooKeeperSource } from "./source.ts";

/** The driver for ZooKeeper. Watching and announcing have a session each. */
export function zooKeeperRegistry(config: ZooKeeperConfig, deps: RegistryDeps): Registry {
  const { clock, events } = deps;
  const prefix = `${splitChroot(config.hosts).chroot}${config.prefix}`;
  const state = link(clock, "zookeeper", `${config.hosts.join(",")}${config.prefix}`);
  const connect = connector(config, deps, state);
  const reject = rejecter(events);
  const copies = mirror(zooKeeperSource(connect, prefix, state.proved, reject), state, reject, deps);
  const announced = new Set<string>();
  const held = connections(connect);

  const announceOn = async (
    zk: ZooKeeper,
    owner: NodeEntry,
    restore: readonly InstanceRecord[],
    signal: AbortSignal,
  ): Promise<Session> => {
    const copy = await copies.join(signal);
    const announcedBefore = announced.has(owner.boot);
    const written = await state.writing(claim(zk, { prefix, owner, restore, copy, announcedBefore }));
    announced.add(owner.boot);
    const lost = new AbortController();
    const stop = (): void => zk.drop(closedError());
    const lose = (): void => {
      // What ends by our own hand is not lost.
      if (isStackError(zk.closed.reason) && zk.closed.reason.code === "CLOSED") return;
      loseOnce(lost, sessionLost("the connection that holds our session ended", zk.closed.reason));
    };
    zk.closed.addEventListener("abort", lose, { once: true });
    const forget = (): void => held.forget(owner.node);
    const holder = zooKeeperHolder({ zk, prefix, owner, clock, stop, forget });
    const session = openSession({ owner, copy, holder, written, lost, link: state, clock });
    if (zk.closed.aborted) lose();
    return session;
  };

  return {
    type: "zookeeper",
    async announce(owner, restore, signal) {
      let zk: ZooKeeper | undefined;
      try {
        zk = await held.take(owner.node, signal);
        return await announceOn(zk, owner, restore, signal);
      } catch (error) {
        // Not ended: entries that moved to this session must live until the next attempt resumes it.
        zk?.drop(closedError());
        state.down(error);
        throw error;
      }
    },
    watch: (service, signal) => copies.watch(service, signal),
    services: (signal) => copies.services(signal),
    status: () => state.status(),
    async close() {
      held.close();
      await copies.close();
    },
  };
}
