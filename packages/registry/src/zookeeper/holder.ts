import { type Clock, type NodeEntry, StackError, sleep } from "@smartstack/core";
import { namesAnother } from "../claims.ts";
import { transactionsOf } from "../driver.ts";
import { type Holder, refused } from "../session.ts";
import { replace } from "./claim.ts";
import type { ZooKeeper } from "./client.ts";
import { parentOf, pathsOf } from "./paths.ts";
import type { Refusal, Step } from "./transaction.ts";

/** How long watchers get to see that the instances went before their node entry does. */
const WITHDRAWAL_SEEN_MS = 500;

const WRITE_ATTEMPTS_MAX = 3;

export interface ZooKeeperHolderOptions {
  readonly zk: ZooKeeper;
  readonly prefix: string;
  readonly owner: NodeEntry;
  readonly clock: Clock;
  readonly stop: () => void;
  /** The session is not to be resumed. */
  readonly forget: () => void;
}

/** Writes on the session, each time on the condition that our marker is there. */
export function zooKeeperHolder({ zk, prefix, owner, clock, stop, forget }: ZooKeeperHolderOptions): Holder {
  const paths = pathsOf(prefix, owner);

  const whileOurs = async (steps: readonly Step[]): Promise<Refusal> => {
    const refusal = await zk.commit([{ do: "check", path: paths.marker }, ...steps]);
    if (refusal?.step === 0) throw refused(owner, (await zk.read(paths.nodeEntry))?.text);
    return refusal;
  };
  const erase = async (path: string): Promise<void> => {
    const at = paths.at(path);
    const text = (await zk.read(at))?.text;
    const isOurs = text !== undefined && !namesAnother(owner, text);
    // Refused only when there is nothing to erase.
    await whileOurs(isOurs ? [{ do: "remove", path: at }] : []);
  };

  return {
    hold: zk.sessionId,
    async write(path, text) {
      const at = paths.at(path);
      for (let attempt = 0; attempt < WRITE_ATTEMPTS_MAX; attempt++) {
        const refusal = await whileOurs(replace(at, text, await zk.exists(at), zk.sessionId));
        if (refusal === undefined) return;
        // Somebody touched it between the look and the write, or the folder is not there yet.
        await zk.ensure(parentOf(at));
      }
      throw new StackError("REGISTRY_FAILED", `${at} changes under our hands`, {
        side: "registry",
        retry: "after-backoff",
      });
    },
    erase,
    async verify() {
      await whileOurs([]);
      const text = (await zk.read(paths.nodeEntry))?.text;
      if (text !== paths.nodeText) throw refused(owner, text);
    },
    async withdraw(all) {
      for (const part of transactionsOf(all.map((path) => ({ path, text: "" })))) {
        const refusal = await whileOurs(part.map(({ path }) => ({ do: "remove", path: paths.at(path) })));
        if (refusal !== undefined) for (const { path } of part) await erase(path);
      }
      await sleep(clock, WITHDRAWAL_SEEN_MS, zk.closed);
      await whileOurs([{ do: "remove", path: paths.nodeEntry }]);
      forget();
      await zk.end();
    },
    // Whatever a session asks for renews it.
    async renew() {
      await whileOurs([]);
    },
    stop,
  };
}
