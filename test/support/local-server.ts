import type { Server, Socket } from "node:net";
import { freePort } from "./ports.ts";

export interface LocalServer {
  readonly port: number;
  stop(): Promise<void>;
}

/** Servers of this process, made by `make`, on 127.0.0.1 and ::1 at the same port. */
export async function onBothLoopbacks(make: () => Server): Promise<LocalServer> {
  const port = await freePort();
  const sockets = new Set<Socket>();
  const servers = await Promise.all(
    ["127.0.0.1", "::1"].map(async (host) => {
      const server = make();
      server.on("connection", (socket: Socket) => {
        sockets.add(socket);
        socket.on("close", () => sockets.delete(socket));
        socket.on("error", () => undefined);
      });
      await new Promise<void>((resolve, reject) => {
        server.once("error", reject);
        server.listen(port, host, resolve);
      });
      return server;
    }),
  );
  return {
    port,
    async stop() {
      for (const socket of sockets) socket.destroy();
      await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
    },
  };
}
