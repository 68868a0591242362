import { writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { text as textOf } from "node:stream/consumers";
import { setTimeout as pause } from "node:timers/promises";
import zookeeper, { type Client, type Stat } from "node-zookeeper-client";
import { type ServerOptions, type ServerProgram, startServer, type TestServer } from "./etcd.ts";
import { freePort } from "./ports.ts";

/** Debian's jars; no distribution of ZooKeeper is needed. */
const CLASS_PATH = "/etc/zookeeper/conf:/usr/share/java/*";

/** The server's clock for sessions: they expire on a multiple of it. */
export const TICK_MS = 500;

/** Starts one ZooKeeper server on loopback, with sessions of 1 s and more; resolves when it serves. */
export async function startZooKeeper(options: ServerOptions = {}): Promise<TestServer> {
  const port = options.port ?? (await freePort());
  const endpoint = `127.0.0.1:${port}`;
  return startServer("zookeeper", endpoint, options.dataDir, (dir) =>
    zooKeeperProgram(dir, port, {}, () => serves(endpoint)),
  );
}

/** A server with its files in `dir`, and `more` in its configuration. */
export async function zooKeeperProgram(
  dir: string,
  port: number,
  more: Readonly<Record<string, string | number>>,
  ready: () => Promise<boolean>,
): Promise<ServerProgram> {
  const file = join(dir, "zoo.cfg");
  const settings = {
    dataDir: dir,
    clientPortAddress: "127.0.0.1",
    clientPort: port,
    tickTime: TICK_MS,
    minSessionTimeout: 2 * TICK_MS,
    maxSessionTimeout: 60_000,
    maxClientCnxns: 0,
    "admin.enableServer": false,
    ...more,
  };
  const lines = Object.entries(settings).map(([key, value]) => `${key}=${value}\n`);
  await writeFile(file, lines.join(""));
  const memory = ["-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];
  const main = "org.apache.zookeeper.server.quorum.QuorumPeerMain";
  return { command: "java", args: [...memory, "-cp", CLASS_PATH, main, file], ready };
}

/** Runs `work` on a session of its own, with the library alone: no part of our driver. */
export async function withZooKeeper<T>(endpoint: string, work: (client: Client) => Promise<T>): Promise<T> {
  const session = await zookeeperSession(endpoint);
  try {
    return await work(session.client);
  } finally {
    session.close();
  }
}

/** What reads over and over until it is closed. */
export interface Reading {
  /** Runs `work` on the present session. */
  on<T>(work: (client: Client) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

/** Gone with its connection, or its session: what asks again on another one learns the same. */
const BROKEN: readonly unknown[] = [zookeeper.Exception.CONNECTION_LOSS, zookeeper.Exception.SESSION_EXPIRED];
/** Calls that wait for a session that has expired are never answered. */
const READ_MS_MAX = 10_000;

/** Reads with the library alone, every so often, and on another session when one is lost. */
export async function zookeeperReading(
  endpoint: string,
  everyMs: number,
  read: (client: Client) => Promise<void>,
): Promise<Reading> {
  let session = await zookeeperSession(endpoint);
  let closed = false;
  const readOnce = async (): Promise<void> => {
    const late = pause(READ_MS_MAX, "late", { ref: false });
    const outcome = await Promise.race([read(session.client), late]).catch((error: unknown) => {
      if (BROKEN.includes((error as { code?: unknown }).code)) return "broken";
      throw error;
    });
    if (outcome === undefined || closed) return;
    session.close();
    session = await zookeeperSession(endpoint);
  };
  const reading = (async (): Promise<void> => {
    while (!closed) {
      await readOnce();
      await pause(everyMs);
    }
  })();
  // Told by close().
  reading.catch(() => undefined);
  return {
    on: (work) => work(session.client),
    async close() {
      closed = true;
      await reading.finally(() => session.close());
    },
  };
}

/** A session with the library alone, until it is closed. @throws Error when there is none within 5 s. */
export async function zookeeperSession(
  endpoint: string,
): Promise<{ readonly client: Client; readonly close: () => void }> {
  const client = zookeeper.createClient(endpoint, { sessionTimeout: 5_000, spinDelay: 100, retries: 2 });
  let giveUp: NodeJS.Timeout | undefined;
  const connected = new Promise<void>((resolve, reject) => {
    giveUp = setTimeout(() => reject(new Error(`no session at ${endpoint} within 5 s`)), 5_000);
    client.once("connected", () => resolve());
  });
  client.connect();
  try {
    await connected;
  } catch (error) {
    client.close();
    throw error;
  } finally {
    clearTimeout(giveUp);
  }
  return { client, close: () => client.close() };
}

/**
 * Takes part in an ensemble, or stands alone, by its own word. A session would tell as well, but the library waits for one
 * for all of its time where the server began to listen before it served.
 */
export async function serves(endpoint: string): Promise<boolean> {
  const socket = connect(Number(endpoint.slice(endpoint.lastIndexOf(":") + 1)), "127.0.0.1");
  socket.setTimeout(1_000, () => socket.destroy());
  socket.write("srvr");
  try {
    return (await textOf(socket)).includes("\nMode: ");
  } catch {
    // Nobody listens, or it went away in the middle.
    return false;
  }
}

/** The library has no sync. A write, though it changes nothing, is answered when the server has caught up with it. */
async function caughtUp(client: Client): Promise<void> {
  await settle((done) => client.transaction().check("/").commit(done));
}

function childrenOf(client: Client, path: string): Promise<string[] | undefined> {
  return settle<string[]>((done) => client.getChildren(path, done), zookeeper.Exception.NO_NODE);
}

function settle<T>(
  work: (done: (error: unknown, value?: T) => void) => void,
  accepted?: number,
): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    work((error, value) => {
      if (!error) resolve(value);
      else if ((error as { code?: number }).code === accepted) resolve(undefined);
      else reject(error);
    });
  });
}

/** Every node below a path that has a text, relative path → text; nothing that was written before the call is missing. */
export async function zookeeperRead(endpoint: string, path: string): Promise<Map<string, string>> {
  return withZooKeeper(endpoint, async (client) => {
    await caughtUp(client);
    const found = new Map<string, string>();
    const visit = async (at: string): Promise<void> => {
      const data = await settle<Buffer>((done) => client.getData(at, done), zookeeper.Exception.NO_NODE);
      if (at !== path && data !== undefined && data.length > 0) found.set(at.slice(path.length + 1), data.toString());
      for (const name of (await childrenOf(client, at)) ?? []) await visit(`${at}/${name}`);
    };
    await visit(path);
    return found;
  });
}

/** The children of a path with the session each is ephemeral on, in hex; "" for a persistent one. */
export async function zookeeperOwners(endpoint: string, path: string): Promise<Map<string, string>> {
  return withZooKeeper(endpoint, async (client) => {
    await caughtUp(client);
    const owners = new Map<string, string>();
    for (const name of (await childrenOf(client, path)) ?? []) {
      const stat = await settle<Stat>((done) => client.exists(`${path}/${name}`, done));
      if (stat)
        owners.set(name, /^0*$/.test(stat.ephemeralOwner.toString("hex")) ? "" : stat.ephemeralOwner.toString("hex"));
    }
    return owners;
  });
}

/** How often a node has been written since it was made. */
export async function zookeeperVersion(endpoint: string, path: string): Promise<number> {
  return withZooKeeper(endpoint, async (client) => {
    const stat = await settle<Stat>((done) => client.exists(path, done));
    return stat?.version ?? Number.NaN;
  });
}

/** Writes a persistent node (its folder is made), or deletes it when `text` is undefined. */
export async function zookeeperWrite(endpoint: string, path: string, text: string | undefined): Promise<void> {
  await withZooKeeper(endpoint, async (client) => {
    if (text === undefined) {
      await settle((done) => client.remove(path, done), zookeeper.Exception.NO_NODE);
      return;
    }
    await settle((done) => client.mkdirp(path, done));
    await settle((done) => client.setData(path, Buffer.from(text), done));
  });
}

/** Deletes a path and all below it. */
export async function zookeeperWipe(endpoint: string, path: string): Promise<void> {
  await withZooKeeper(endpoint, async (client) => {
    const { NO_NODE, NOT_EMPTY } = zookeeper.Exception;
    const under = async (at: string): Promise<string[]> => {
      const names = (await childrenOf(client, at)) ?? [];
      return [...(await Promise.all(names.map((name) => under(`${at}/${name}`)))).flat(), at];
    };
    for (let left = 20; (await childrenOf(client, path)) !== undefined; left--) {
      // At once: a driver that repairs would put back one while the next is deleted.
      const transaction = client.transaction();
      for (const at of await under(path)) transaction.remove(at);
      try {
        await settle((done) => transaction.commit(done));
      } catch (error) {
        const { code } = error as { readonly code?: number };
        if (left === 0 || (code !== NO_NODE && code !== NOT_EMPTY)) throw error;
      }
    }
  });
}

/** Closes a node to everybody, or opens it to all again. */
export async function zookeeperForbid(endpoint: string, path: string, forbidden: boolean): Promise<void> {
  const { ACL, Id, Permission } = zookeeper;
  // Administration stays open, so that it can be undone.
  const anyone = new ACL(forbidden ? Permission.ADMIN : Permission.ALL, new Id("world", "anyone"));
  await withZooKeeper(endpoint, (client) => settle((done) => client.setACL(path, [anyone], -1, done)));
}
