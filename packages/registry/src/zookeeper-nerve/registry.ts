import type { Registry } from "@smartstack/core";
import type { RegistryDeps } from "../driver.ts";
import { link } from "../link.ts";
import { closedError, mirror, type Source } from "../mirror.ts";
import { rejecter } from "../rejecter.ts";
import type { ZooKeeper } from "../zookeeper/client.ts";
import { connections, connector } from "../zookeeper/ensemble.ts";
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
  const reject = rejecter(events);
  const follow = following(
    connect,
    (zk, touched) => nerveTree(zk, layout, config.decode, touched, reject),
    state.proved,
  );
  let watches = false;
  const source: Source = (sink, signal) => {
    watches = true;
    return follow(sink, signal);
  };
  // Who only announces watches its own nodes, and nothing else; of what others wrote its session proves nothing.
  const proved = (zxid: number): void => {
    if (!watches) state.proved(zxid);
  };
  const copies = mirror(source, state, reject, deps);
  const held = connections(connect);
  const made = new Map<string, Made>();

  return {
    type: config.type,
    async announce(owner, restore, signal) {
      let zk: ZooKeeper | undefined;
      try {
        zk = await held.take(owner.node, signal);
        const own = made.get(owner.node) ?? { own: new Map(), asked: new Map() };
        made.set(owner.node, own);
        const forget = (): void => held.forget(owner.node);
        const rest = { config, layout, link: state, proved, reject, deps, forget };
        return await nerveSession({ zk, made: own, owner, restore, ...rest });
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
      held.close();
      await copies.close();
    },
  };
}

/** A path that says no service's name has none to list. */
async function* nameless(signal: AbortSignal): AsyncGenerator<readonly string[], void, undefined> {
  yield [];
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
}
