import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { messages } from "../../packages/registry/src/zookeeper/messages.ts";

/** A relay before a ZooKeeper server that counts what its clients ask. */
export interface ZooKeeperMeter {
  /** host:port to dial instead of the server's. */
  readonly endpoint: string;
  /** Since the last call: the most requests that one connection had without an answer, all requests, and connections taken. */
  take(): { readonly busiest: number; readonly requests: number; readonly connections: number };
  /** Breaks every connection, and each new one at once. */
  cut(): void;
  heal(): void;
  close(): Promise<void>;
}

/** The xid of what the server says without having been asked: the events of watches. */
const EVENT_XID = -1;

/** Starts a relay to `target` (host:port). */
export async function startZooKeeperMeter(target: string): Promise<ZooKeeperMeter> {
  const colon = target.lastIndexOf(":");
  const sockets = new Set<Socket>();
  let [busiest, requests, connections] = [0, 0, 0];
  let broken = false;

  const relay = (client: Socket): void => {
    const server = connect(Number(target.slice(colon + 1)), target.slice(0, colon));
    let unanswered = 0;
    const asked = messages(() => {
      requests++;
      busiest = Math.max(busiest, ++unanswered);
    });
    // The first answer is the session's and has no xid; it answers the first request all the same.
    let first = true;
    const answered = messages((message) => {
      if (first || message.readInt32BE(4) !== EVENT_XID) unanswered--;
      first = false;
    });
    for (const [from, to, count] of [[client, server, asked] as const, [server, client, answered] as const]) {
      sockets.add(from);
      from.on("data", count);
      from.pipe(to);
      from.on("error", () => to.destroy());
      from.on("close", () => {
        sockets.delete(from);
        to.destroy();
      });
    }
  };
  const listener = createServer((client) => {
    connections++;
    if (broken) client.resetAndDestroy();
    else relay(client);
  });
  await new Promise<void>((resolve, reject) => {
    listener.once("error", reject);
    listener.listen(0, "127.0.0.1", resolve);
  });
  const cut = (): void => {
    broken = true;
    for (const socket of sockets) socket.destroy();
  };
  return {
    endpoint: `127.0.0.1:${(listener.address() as AddressInfo).port}`,
    take() {
      const taken = { busiest, requests, connections };
      [busiest, requests, connections] = [0, 0, 0];
      return taken;
    },
    cut,
    heal() {
      broken = false;
    },
    async close() {
      cut();
      await new Promise((resolve) => listener.close(resolve));
    },
  };
}
