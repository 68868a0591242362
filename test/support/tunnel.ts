import { createServer } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";

export interface Tunnel {
  /** For HTTPS_PROXY. */
  readonly url: string;
  close(): Promise<void>;
}

/**
 * An HTTP CONNECT proxy to the given hosts. A test engine's network has no way out of this machine; an image build that
 * runs `npm ci` gets one to the npm registry by this.
 */
export async function startTunnel(address: string, hosts: readonly string[]): Promise<Tunnel> {
  const sockets = new Set<Socket>();
  const server = createServer((_request, response) => response.writeHead(405).end());
  server.on("connect", (request, client: Socket) => {
    const target = URL.canParse(`tcp://${request.url}`) ? new URL(`tcp://${request.url}`) : undefined;
    if (target === undefined || !hosts.includes(target.hostname)) {
      client.end("HTTP/1.1 403 Forbidden\r\n\r\n");
      return;
    }
    const server = connect(Number(target.port || 443), target.hostname, () => {
      client.write("HTTP/1.1 200 OK\r\n\r\n");
      server.pipe(client).pipe(server);
    });
    for (const [socket, other] of [[client, server] as const, [server, client] as const]) {
      sockets.add(socket);
      socket.on("error", () => other.destroy());
      socket.on("close", () => {
        sockets.delete(socket);
        other.destroy();
      });
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, address, resolve);
  });
  return {
    url: `http://${address}:${(server.address() as AddressInfo).port}`,
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
