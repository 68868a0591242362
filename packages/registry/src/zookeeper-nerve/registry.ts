import type { Registry } from "@smartstack/core";
import type { RegistryDeps } from "../driver.ts";
import { link } from "../link.ts";
import { closedError, mirror } from "../mirror.ts";
import { rejecter } from "../rejecter.ts";
import type { ZooKeeper } from "../zookeeper/client.ts";
import type { Resume } from "../zookeeper/connection.ts";
import { connector, resumeOrBegin } from "../zookeeper/ensemble.ts";
import { following } from "../zookeeper/follow.ts";
import type { ZooKeeperNerveConfig } from "../zookeeper-nerve.ts";
import { layoutOf } from "./layout.ts";
import type { Made } from "./own-nodes.ts";
import { nerveSession } from "./session.ts";
import { nerveTree } from "./tree.ts";

/** The driver for nerve's own layout. There are no node entries in it: nobody is fenced, and a missing entry is out. */
export function zooKeeperNerveRegistry(config: ZooKeeperNerveConfig, deps: RegistryDeps): Registry {
  const { clock, events } = deps;
  const state = link(clock, config.type, `${config.hosts.join(",")}${config.path}`);
  const layout = layoutOf(config);
  const connect = connector(config, deps, state);
  const source = following(connect, (zk, touched) => nerveTree(zk, layout, config.decode, touched), state.proved);
  const copies = mirror(source, state, rejecter(events), deps);
  const sessions = new Map<string, Resume>();
  const made = new Map<string, Made>();
  const open = new Set<() => void>();

  return {
    type: config.type,
    async announce(owner, restore, signal) {
      let zk: ZooKeeper | undefined;
      try {
        zk = await resumeOrBegin(connect, sessions, owner.node, signal);
        sessions.set(owner.node, zk.resume);
        const own = made.get(owner.node) ?? { own: new Map(), asked: new Map() };
        made.set(owner.node, own);
        const ended = (): void => {
          open.delete(ended);
          zk?.drop(closedError());
        };
        open.add(ended);
        const forget = (): boolean => sessions.delete(owner.node);
        return await nerveSession({ zk, made: own, owner, restore, config, layout, link: state, deps, ended, forget });
      } catch (error) {
        // Not ended: what was made on this session must live until the next attempt resumes it.
        zk?.drop(closedError());
        state.down(error);
        throw error;
      }
    },
    watch: (service, signal) => copies.watch(layout.keyOf(service), signal),
    services: (signal) => (layout.root === undefined ? nameless(signal) : copies.services(signal)),
    status: () => state.status(),
    async close() {
      for (const stop of [...open]) stop();
      await copies.close();
    },
  };
}

/** A path that says no service's name has none to list. */
async function* nameless(signal: AbortSignal): AsyncGenerator<readonly string[], void, undefined> {
  yield [];
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
}
