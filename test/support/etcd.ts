import { execFile } from "node:child_process";
import { rmSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { type Child, onProcessEnd, startChild, untilReady } from "./children.ts";
import { freePorts } from "./ports.ts";

const run = promisify(execFile);

/** A real server of a test. */
export interface TestServer {
  /** host:port */
  readonly endpoint: string;
  pid(): number;
  /** kill -9 unless another signal is named; resolves when it is gone. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** SIGSTOP: answers nobody, keeps its connections. */
  freeze(): void;
  thaw(): void;
  /** Starts it again on the same address and data, and waits until it answers. */
  start(): Promise<void>;
  /** kill, then start. */
  restart(): Promise<void>;
  /** Kills it and removes what it wrote. Idempotent. */
  stop(): Promise<void>;
}

export interface ServerOptions {
  readonly port?: number;
  /** Kept when given; otherwise a temp folder that goes with the server. */
  readonly dataDir?: string;
}

/** Starts etcd on loopback; resolves when it takes writes. */
export async function startEtcd(options: ServerOptions = {}): Promise<TestServer> {
  const [freeClient, peer] = await freePorts(2);
  const port = options.port ?? freeClient;
  const endpoint = `127.0.0.1:${port}`;
  return startServer("etcd", endpoint, options.dataDir, async (dir) => ({
    command: "etcd",
    args: [
      `--data-dir=${dir}`,
      `--listen-client-urls=http://${endpoint}`,
      `--advertise-client-urls=http://${endpoint}`,
      `--listen-peer-urls=http://127.0.0.1:${peer}`,
      `--initial-advertise-peer-urls=http://127.0.0.1:${peer}`,
      `--initial-cluster=default=http://127.0.0.1:${peer}`,
      "--log-level=error",
    ],
    ready: async () => (await etcdctl(endpoint, ["endpoint", "health"])) !== undefined,
  }));
}

export interface ServerProgram {
  readonly command: string;
  readonly args: readonly string[];
  readonly ready: () => Promise<boolean>;
}

/** What every server of the tests has in common: a folder, a process that can be killed, frozen and started again, and a clean end. */
export async function startServer(
  name: string,
  endpoint: string,
  dataDir: string | undefined,
  program: (dir: string) => Promise<ServerProgram>,
): Promise<TestServer> {
  const dir = dataDir ?? (await mkdtemp(join(tmpdir(), `smartstack-${name}-`)));
  const keepFolder = onProcessEnd(() => {
    if (dataDir === undefined) rmSync(dir, { recursive: true, force: true });
  });
  let child: Child | undefined;
  const start = async (): Promise<void> => {
    const { command, args, ready } = await program(dir);
    child = startChild(command, args);
    await untilReady(child, `${name} at ${endpoint}`, ready);
  };
  const signal = (which: NodeJS.Signals): void => {
    if (child?.running()) process.kill(child.pid, which);
  };
  const kill = async (which: NodeJS.Signals = "SIGKILL"): Promise<void> => {
    if (!child?.running()) return;
    signal(which);
    signal("SIGCONT");
    await child.exited;
  };
  const stop = async (): Promise<void> => {
    await kill();
    if (dataDir === undefined) await rm(dir, { recursive: true, force: true });
    keepFolder();
  };
  try {
    await start();
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    endpoint,
    pid: () => child?.pid ?? 0,
    kill,
    freeze: () => signal("SIGSTOP"),
    thaw: () => signal("SIGCONT"),
    start,
    async restart() {
      await kill();
      await start();
    },
    stop,
  };
}

/** True when something accepts there. */
export function accepts(endpoint: string): Promise<boolean> {
  const colon = endpoint.lastIndexOf(":");
  return new Promise((resolve) => {
    const socket = connect({ host: endpoint.slice(0, colon), port: Number(endpoint.slice(colon + 1)) });
    const end = (is: boolean): void => {
      socket.destroy();
      resolve(is);
    };
    socket.setTimeout(1_000, () => end(false));
    socket.once("connect", () => end(true));
    socket.once("error", () => end(false));
  });
}

async function etcdctl(endpoint: string, args: readonly string[]): Promise<string | undefined> {
  const env = { ...process.env, ETCDCTL_API: "3" };
  const command = [`--endpoints=http://${endpoint}`, "--dial-timeout=1s", "--command-timeout=3s", ...args];
  try {
    return (await run("etcdctl", command, { env, maxBuffer: 64 * 1024 * 1024 })).stdout;
  } catch (error) {
    if (args[0] === "endpoint") return undefined;
    throw error;
  }
}

/** Everything under a prefix, key → value, read with etcd's own tool instead of our driver. */
export async function etcdRead(endpoint: string, prefix: string): Promise<Map<string, string>> {
  const text = await etcdctl(endpoint, ["get", prefix, "--prefix", "-w", "json"]);
  const { kvs = [] } = JSON.parse(text ?? "{}") as { kvs?: { key: string; value?: string }[] };
  const plain = (base64 = ""): string => Buffer.from(base64, "base64").toString();
  return new Map(kvs.map(({ key, value }) => [plain(key), plain(value)]));
}

/** Writes a key, or deletes it when `value` is undefined, with etcd's own tool. */
export async function etcdWrite(endpoint: string, key: string, value: string | undefined): Promise<void> {
  await etcdctl(endpoint, value === undefined ? ["del", key] : ["put", "--", key, value]);
}

/** Deletes everything under a prefix. */
export async function etcdWipe(endpoint: string, prefix: string): Promise<void> {
  await etcdctl(endpoint, ["del", "--prefix", prefix]);
}
