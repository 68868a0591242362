import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { Transform } from "node:stream";

export interface DockerProxyOptions {
  /** The engine's own socket. */
  readonly socket: string;
  /** The engine answers as this version of its API did; default: as it does of itself. */
  readonly apiVersion?: string;
}

/** A socket proxy before a real engine, which lets GET and HEAD pass and nothing else. */
export interface DockerProxy {
  /** For `docker.host`. */
  readonly host: string;
  /** What was asked for, as `METHOD path`; the newest at the end. */
  readonly requests: readonly string[];
  /** Swallows the bytes of all event streams while it is on; their connections stay open. */
  blackHole(on: boolean): void;
  close(): Promise<void>;
}

export async function startDockerProxy({ socket, apiVersion }: DockerProxyOptions): Promise<DockerProxy> {
  const folder = mkdtempSync(path.join(tmpdir(), "docker-proxy-"));
  const socketPath = path.join(folder, "docker.sock");
  const sockets = new Set<Socket>();
  const requests: string[] = [];
  let swallowing = false;

  const handle = (incoming: IncomingMessage, response: ServerResponse): void => {
    const { method = "", url = "/" } = incoming;
    requests.push(`${method} ${decodeURIComponent(url)}`);
    if (method !== "GET" && method !== "HEAD") {
      response.writeHead(403).end("<html>Forbidden</html>");
      return;
    }
    const target = apiVersion === undefined ? url : `/v${apiVersion}${url.replace(/^\/v\d[\d.]*(?=\/)/, "")}`;
    const outgoing = request({ socketPath: socket, method, path: target, agent: false }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      response.flushHeaders();
      if (!/^(\/v[\d.]+)?\/events/.test(url)) answer.pipe(response);
      else answer.pipe(modernEvents(() => swallowing)).pipe(response);
      // A killed engine breaks off; so does the proxy.
      answer.on("close", () => (answer.complete ? undefined : response.destroy()));
    });
    outgoing.on("error", () => (response.headersSent ? response.destroy() : response.writeHead(502).end()));
    response.on("close", () => outgoing.destroy());
    outgoing.end();
  };
  const server = createServer(handle);
  server.on("connection", (client) => {
    sockets.add(client);
    client.on("close", () => sockets.delete(client));
  });
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  return {
    host: `unix://${socketPath}`,
    requests,
    blackHole(on) {
      swallowing = on;
    },
    async close() {
      for (const client of sockets) client.destroy();
      await new Promise((resolve) => server.close(resolve));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Event lines without `status`, `id` and `from`, which old engines send beside what the newest send alone. */
function modernEvents(isSwallowing: () => boolean): Transform {
  let rest = "";
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      const lines = (rest + chunk.toString("utf8")).split("\n");
      rest = lines.pop() ?? "";
      const kept = isSwallowing() ? [] : lines.map(modernEvent);
      done(null, kept.join(""));
    },
  });
}

function modernEvent(line: string): string {
  const { status: _status, id: _id, from: _from, ...event } = JSON.parse(line) as Record<string, unknown>;
  return `${JSON.stringify(event)}\n`;
}
