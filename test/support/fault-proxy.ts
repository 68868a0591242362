import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** A TCP proxy on loopback whose link can be cut or made to stall. */
export interface FaultProxy {
  /** host:port to dial instead of the server's. */
  readonly endpoint: string;
  /** Connections taken so far. */
  taken(): number;
  /** Connections open now. */
  open(): number;
  /** Bytes that came so far. */
  carried(): { readonly byClients: number; readonly byServer: number };
  /** Breaks every connection, and each new one at once. */
  cut(): void;
  /** Carries nothing more, breaks nothing, takes new connections: as a firewall that drops packets. */
  stall(): void;
  /** The same for one of the connections that are open, by the order in which they came. */
  stallOnly(index: number): void;
  /** On each connection there is, carries the server's next `bytes` bytes and breaks it then, in the middle of whatever it said. */
  cutAfter(bytes: number): void;
  /** Says this to every client, as if the server had. */
  inject(bytes: Buffer): void;
  /** Carries again; what was stalled goes on where it stood. */
  heal(): void;
  close(): Promise<void>;
}

export interface FaultProxyOptions {
  /** host:port to listen at; a free port of 127.0.0.1 unless given. */
  readonly at?: string;
  /**
   * A proxy cannot refuse a connection, as a server that is not there does: it takes it and breaks it. For clients to whom
   * that is not the same, this may wait, for a while, until the target is there.
   */
  readonly listens?: () => Promise<unknown>;
}

/** Starts a proxy to `target` (host:port). */
export async function startFaultProxy(target: string, options: FaultProxyOptions = {}): Promise<FaultProxy> {
  const { at = "127.0.0.1:0", listens } = options;
  const ownHost = at.slice(0, at.lastIndexOf(":"));
  const colon = target.lastIndexOf(":");
  const [host, port] = [target.slice(0, colon), Number(target.slice(colon + 1))];
  const pairs = new Set<readonly [Socket, Socket]>();
  let state: "whole" | "cut" | "stalled" = "whole";
  let taken = 0;
  const ended = { byClients: 0, byServer: 0 };

  const join = (client: Socket): void => {
    const upstream = connect(port, host);
    const pair = [client, upstream] as const;
    pairs.add(pair);
    for (const [from, to] of [pair, [upstream, client] as const]) {
      from.on("error", () => to.destroy());
      from.on("close", () => {
        to.destroy();
        if (!pairs.delete(pair)) return;
        ended.byClients += client.bytesRead;
        ended.byServer += upstream.bytesRead;
      });
      from.pipe(to);
    }
    if (state === "stalled") hold(pair);
  };
  const server = createServer({ pauseOnConnect: true }, (client) => {
    taken++;
    if (state === "cut") {
      client.resetAndDestroy();
      return;
    }
    if (listens === undefined) {
      join(client);
      return;
    }
    client.on("error", () => client.destroy());
    void listens().finally(() => join(client));
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(Number(at.slice(at.lastIndexOf(":") + 1)), ownHost, resolve);
  });

  return {
    endpoint: `${ownHost}:${(server.address() as AddressInfo).port}`,
    taken: () => taken,
    open: () => pairs.size,
    carried() {
      const sum = { ...ended };
      for (const [client, upstream] of pairs) {
        sum.byClients += client.bytesRead;
        sum.byServer += upstream.bytesRead;
      }
      return sum;
    },
    cut() {
      state = "cut";
      for (const pair of pairs) for (const socket of pair) socket.resetAndDestroy();
    },
    cutAfter(bytes) {
      for (const [client, upstream] of pairs) {
        let left = bytes;
        upstream.unpipe(client);
        upstream.on("data", (chunk: Buffer) => {
          if (left < 0) return;
          const last = chunk.length >= left;
          client.write(chunk.subarray(0, left), () => last && client.resetAndDestroy());
          left = last ? -1 : left - chunk.length;
        });
        upstream.resume();
      }
    },
    inject(bytes) {
      for (const [client] of pairs) client.write(bytes);
    },
    stall() {
      state = "stalled";
      for (const pair of pairs) hold(pair);
    },
    stallOnly(index) {
      const pair = [...pairs][index];
      if (pair === undefined) throw new Error(`no connection ${index} among ${pairs.size}`);
      hold(pair);
    },
    heal() {
      state = "whole";
      for (const [client, upstream] of pairs) {
        client.pipe(upstream);
        upstream.pipe(client);
      }
    },
    async close() {
      for (const pair of pairs) for (const socket of pair) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function hold(pair: readonly [Socket, Socket]): void {
  for (const socket of pair) {
    socket.unpipe();
    socket.pause();
  }
}
