import type { Client } from "node-zookeeper-client";
import zookeeper from "node-zookeeper-client";
import { startChild } from "../../support/children.ts";
import { etcdRevision } from "../../support/etcd.ts";
import { zookeeperReading } from "../../support/zookeeper.ts";

/** One thing that happened to an entry; without a document it is gone. */
export interface Change {
  /** `<service>/<id>` */
  readonly path: string;
  readonly document: Document | undefined;
  /** When this machine learnt of it, in ms since the epoch. */
  readonly atMs: number;
}

/** An instance as it lies in the registry: read as any reader would, not by our decoder. */
export interface Document {
  readonly host: string;
  readonly port: number;
  readonly container?: string;
  readonly node?: string;
  readonly [key: string]: unknown;
}

/** Everything that happened under a prefix, seen without any part of our driver. */
export interface Ledger {
  readonly changes: readonly Change[];
  close(): Promise<void>;
}

/** What was written of a container (its whole id), or of a service. */
export function writesOf(ledger: Ledger, of: string): Change[] {
  const isOf = (path: string): boolean =>
    /^[0-9a-f]{64}$/.test(of) ? path.includes(`/${of.slice(0, 12)}-`) : path.startsWith(`${of}/`);
  return ledger.changes.filter(({ path }) => isOf(path));
}

/** What lies there of it now. */
export function entriesOf(ledger: Ledger, of: string): Document[] {
  const found = new Map<string, Document>();
  for (const { path, document } of writesOf(ledger, of)) {
    if (document === undefined) found.delete(path);
    else found.set(path, document);
  }
  return [...found.values()];
}

interface EtcdEvents {
  readonly Events?: readonly {
    readonly type?: number;
    readonly kv: { readonly key: string; readonly value?: string };
  }[];
}

/** etcd's own tool, watching. The prefix must be empty yet. */
export async function watchEtcd(endpoint: string, prefix: string): Promise<Ledger> {
  const changes: Change[] = [];
  // It is told what comes before it is heard.
  const next = (await etcdRevision(endpoint)) + 1;
  const args = ["watch", "--prefix", prefix, "--rev", String(next), "-w", "json"];
  const child = startChild("etcdctl", [`--endpoints=http://${endpoint}`, ...args], {
    env: { ...process.env, ETCDCTL_API: "3" },
  });
  const plain = (base64 = ""): string => Buffer.from(base64, "base64").toString();
  onLines(child.process.stdout, (line) => {
    const atMs = Date.now();
    for (const { type, kv } of (JSON.parse(line) as EtcdEvents).Events ?? []) {
      const text = type === 1 ? undefined : plain(kv.value);
      changes.push({ path: plain(kv.key).slice(prefix.length + 1), document: parse(text), atMs });
    }
  });
  return { changes, close: () => child.stop() };
}

const READ_EVERY_MS = 25;

/** An independent ZooKeeper client, reading over and over: what it can miss is what is undone within one reading. */
export async function watchZooKeeper(endpoint: string, prefix: string): Promise<Ledger> {
  const changes: Change[] = [];
  let known = new Map<string, string>();
  const { close } = await zookeeperReading(endpoint, READ_EVERY_MS, async (client) => {
    const found = await readAll(client, prefix);
    const atMs = Date.now();
    for (const [path, { version, text }] of found)
      if (known.get(path) !== version) changes.push({ path, document: parse(text), atMs });
    for (const path of known.keys()) if (!found.has(path)) changes.push({ path, document: undefined, atMs });
    known = new Map([...found].map(([path, { version }]) => [path, version]));
  });
  return { changes, close };
}

interface Read {
  readonly text: string;
  /** Differs after every write, and after a deletion. */
  readonly version: string;
}

async function readAll(client: Client, prefix: string): Promise<Map<string, Read>> {
  const found = new Map<string, Read>();
  const services = await children(client, prefix);
  const read = async (path: string): Promise<void> => {
    const node = await data(client, `${prefix}/${path}`);
    if (node !== undefined && node.text !== "") found.set(path, node);
  };
  await Promise.all(
    services.map(async (service) => {
      const ids = await children(client, `${prefix}/${service}`);
      await Promise.all(ids.map((id) => read(`${service}/${id}`)));
    }),
  );
  return found;
}

function children(client: Client, path: string): Promise<string[]> {
  return new Promise((resolve, reject) =>
    client.getChildren(path, (error: unknown, names?: string[]) => {
      if (!error) resolve(names ?? []);
      else if (isMissing(error)) resolve([]);
      else reject(error);
    }),
  );
}

function data(client: Client, path: string): Promise<Read | undefined> {
  return new Promise((resolve, reject) =>
    client.getData(path, (error: unknown, text?: Buffer, stat?: { czxid: unknown; mzxid: unknown }) => {
      if (!error) resolve({ text: text?.toString() ?? "", version: JSON.stringify([stat?.czxid, stat?.mzxid]) });
      else if (isMissing(error)) resolve(undefined);
      else reject(error);
    }),
  );
}

function isMissing(error: unknown): boolean {
  return (error as { code?: number }).code === zookeeper.Exception.NO_NODE;
}

function parse(text: string | undefined): Document | undefined {
  return text === undefined ? undefined : (JSON.parse(text) as Document);
}

/** Calls `take` with every whole line of a stream. */
export function onLines(stream: NodeJS.ReadableStream | null, take: (line: string) => void): void {
  let rest = "";
  stream?.on("data", (chunk: Buffer | string) => {
    const lines = (rest + String(chunk)).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line.trim() !== "") take(line);
  });
}
