import { command } from "./command.ts";
import { startServer, type TestServer } from "./etcd.ts";
import { freePort } from "./ports.ts";

const HOST = "127.0.0.1";

export interface Redis extends TestServer {
  readonly port: number;
  /** Runs one command with redis-cli and returns what it prints. */
  cli(...words: readonly string[]): Promise<string>;
}

/** Starts Redis on both loopbacks, with nothing kept on disk; resolves when it answers. */
export async function startRedis(): Promise<Redis> {
  const port = await freePort();
  const cli = (...words: readonly string[]): Promise<string> =>
    command("redis-cli", ["-h", HOST, "-p", String(port), ...words], { timeoutMs: 5_000 });
  const server = await startServer("redis", `${HOST}:${port}`, undefined, async (dir) => ({
    command: "redis-server",
    args: ["--bind", HOST, "::1", "--port", String(port), "--dir", dir, "--save", "", "--appendonly", "no"],
    ready: async () => (await cli("PING")).trim() === "PONG",
  }));
  return { ...server, port, cli };
}
