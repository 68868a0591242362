import { execFile } from "node:child_process";
import { rmSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Certificates } from "./certificates.ts";
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

/** How etcd's own tool gets in. */
export interface EtcdAccess {
  /** Files of a client that the server knows. */
  readonly tls?: Pick<Certificates, "client">;
  /** user:password */
  readonly user?: string;
}

export interface EtcdOptions extends ServerOptions {
  /** The server shows its certificate, and asks for one. */
  readonly tls?: Pick<Certificates, "ca" | "server" | "client">;
  /** More flags. */
  readonly flags?: readonly string[];
}

/** Starts etcd on loopback; resolves when it takes writes. */
export async function startEtcd(options: EtcdOptions = {}): Promise<TestServer> {
  const [freeClient, peer] = await freePorts(2);
  const port = options.port ?? freeClient;
  const { tls, flags = [] } = options;
  const endpoint = `127.0.0.1:${port}`;
  const scheme = tls === undefined ? "http" : "https";
  const secured = tls && [
    ...[`--cert-file=${tls.server.cert}`, `--key-file=${tls.server.key}`, `--trusted-ca-file=${tls.ca}`],
    // The gateway would dial the server with the server's own certificate, which is none of a client.
    ...["--client-cert-auth", "--enable-grpc-gateway=false"],
  ];
  return startServer("etcd", endpoint, options.dataDir, async (dir) => ({
    command: "etcd",
    args: [
      `--data-dir=${dir}`,
      `--listen-client-urls=${scheme}://${endpoint}`,
      `--advertise-client-urls=${scheme}://${endpoint}`,
      `--listen-peer-urls=http://127.0.0.1:${peer}`,
      `--initial-advertise-peer-urls=http://127.0.0.1:${peer}`,
      `--initial-cluster=default=http://127.0.0.1:${peer}`,
      "--log-level=error",
      // A server that is killed loses nothing by it, and the disk is the one that the containers write to.
      "--unsafe-no-fsync",
      ...(secured ?? []),
      ...flags,
    ],
    ready: () => answersWrites(endpoint, tls),
  }));
}

async function answersWrites(endpoint: string, tls: EtcdAccess["tls"]): Promise<boolean> {
  try {
    await etcdctl(endpoint, ["endpoint", "health"], tls && { tls });
    return true;
  } catch (error) {
    // A server with users refuses those who are none, once it takes writes.
    return String(error).includes("user name is empty");
  }
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

/** Runs etcd's own tool; returns what it wrote. @throws when it fails. */
export async function etcdctl(endpoint: string, args: readonly string[], access: EtcdAccess = {}): Promise<string> {
  const { tls, user } = access;
  const env = { ...process.env, ETCDCTL_API: "3" };
  // What asks how a server is must not wait long for one that is away. Others take their time: a login, which the first of
  // these bounds as well, or the end of a lease of thousands of keys.
  const [dial, all] = args[0] === "endpoint" ? ["1s", "3s"] : ["15s", "15s"];
  const command = [
    `--endpoints=${tls === undefined ? "http" : "https"}://${endpoint}`,
    ...[`--dial-timeout=${dial}`, `--command-timeout=${all}`],
    ...(tls === undefined
      ? []
      : ["--insecure-skip-tls-verify", `--cert=${tls.client.cert}`, `--key=${tls.client.key}`]),
    ...(user === undefined ? [] : [`--user=${user}`]),
    ...args,
  ];
  return (await run("etcdctl", command, { env, maxBuffer: 64 * 1024 * 1024 })).stdout;
}

/** Everything under a prefix, key → value, read with etcd's own tool instead of our driver. */
export async function etcdRead(endpoint: string, prefix: string, access?: EtcdAccess): Promise<Map<string, string>> {
  const entries = await etcdEntries(endpoint, prefix, access);
  return new Map([...entries].map(([key, { value }]) => [key, value]));
}

export interface EtcdEntry {
  readonly value: string;
  /** "0" for none. */
  readonly lease: string;
  readonly revision: number;
}

/** The same with the lease, in decimal, and the revision of the last change. */
export async function etcdEntries(
  endpoint: string,
  prefix: string,
  access?: EtcdAccess,
): Promise<Map<string, EtcdEntry>> {
  const text = await etcdctl(endpoint, ["get", prefix, "--prefix", "-w", "json"], access);
  // A lease's 64 bits do not fit into a number.
  const exact = text.replace(/"lease":(\d+)/g, '"lease":"$1"');
  const { kvs = [] } = JSON.parse(exact) as {
    kvs?: { key: string; value?: string; lease?: string; mod_revision: number }[];
  };
  const plain = (base64 = ""): string => Buffer.from(base64, "base64").toString();
  return new Map(
    kvs.map(({ key, value, lease = "0", mod_revision }) => [
      plain(key),
      { value: plain(value), lease, revision: mod_revision },
    ]),
  );
}

/** Writes a key, or deletes it when `value` is undefined, with etcd's own tool. */
export async function etcdWrite(
  endpoint: string,
  key: string,
  value: string | undefined,
  access?: EtcdAccess,
): Promise<void> {
  await etcdctl(endpoint, value === undefined ? ["del", key] : ["put", "--", key, value], access);
}

/** Deletes everything under a prefix. */
export async function etcdWipe(endpoint: string, prefix: string): Promise<void> {
  await etcdctl(endpoint, ["del", "--prefix", prefix]);
}

/** The store's revision: it moves with every change, and with nothing else. */
export async function etcdRevision(endpoint: string): Promise<number> {
  const text = await etcdctl(endpoint, ["get", "/", "-w", "json"]);
  return (JSON.parse(text) as { header: { revision: number } }).header.revision;
}

/** Keepalives of leases that it has received. */
export function etcdKeepalives(endpoint: string): Promise<number> {
  return counted(endpoint, /^grpc_server_msg_received_total\{.*grpc_method="LeaseKeepAlive".*\} (\S+)$/m);
}

/** Transactions that it was asked for. */
export function etcdTransactions(endpoint: string): Promise<number> {
  return counted(endpoint, /^grpc_server_started_total\{.*grpc_method="Txn".*\} (\S+)$/m);
}

async function counted(endpoint: string, line: RegExp): Promise<number> {
  const metrics = await (await fetch(`http://${endpoint}/metrics`)).text();
  return Number(line.exec(metrics)?.[1] ?? 0);
}
