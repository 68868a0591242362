import type { Client, Stat } from "node-zookeeper-client";
import { entriesOf, watchEtcd } from "../scenarios/support/ledger.ts";
import { zookeeperReading } from "./zookeeper.ts";

/** What lies under one service, and how often that was written, seen without any part of our driver. */
export interface Tally {
  /** How many entries there are now, and since when, in ms since the epoch. */
  present(): { readonly count: number; readonly atMs: number };
  documents(): Promise<readonly { readonly host: string; readonly container?: string }[]>;
  /** All writes so far. Puts of what has gone by now count only if this was asked for before. */
  writes(): Promise<{ readonly puts: number; readonly deletes: number }>;
  close(): Promise<void>;
}

/** Nothing lies under the prefix yet. */
export async function tallyEtcd(endpoint: string, prefix: string, service: string): Promise<Tally> {
  const ledger = await watchEtcd(endpoint, prefix);
  const changes = (): typeof ledger.changes => ledger.changes.filter(({ path }) => path.startsWith(`${service}/`));
  return {
    present: () => ({ count: entriesOf(ledger, service).length, atMs: changes().at(-1)?.atMs ?? 0 }),
    documents: async () => entriesOf(ledger, service),
    async writes() {
      const puts = changes().filter(({ document }) => document !== undefined).length;
      return { puts, deletes: changes().length - puts };
    },
    close: () => ledger.close(),
  };
}

const LOOK_EVERY_MS = 20;

/** ZooKeeper counts a folder's creates and deletes in its `cversion`, and what was set since in each node's `version`. */
export async function tallyZooKeeper(endpoint: string, prefix: string, service: string): Promise<Tally> {
  const folder = `${prefix}/${service}`;
  let seen = { count: 0, atMs: 0 };
  let puts = 0;
  const reading = await zookeeperReading(endpoint, LOOK_EVERY_MS, async (client) => {
    const count = (await children(client, folder)).names.length;
    if (count !== seen.count) seen = { count, atMs: Date.now() };
  });
  const nodes = (): Promise<{ text: string; version: number }[]> =>
    reading.on(async (client) => {
      const { names } = await children(client, folder);
      return Promise.all(names.map((name) => data(client, `${folder}/${name}`)));
    });
  return {
    present: () => seen,
    documents: async () => (await nodes()).map(({ text }) => JSON.parse(text)),
    async writes() {
      const { names, changes } = await reading.on((client) => children(client, folder));
      const deletes = (changes - names.length) / 2;
      const sets = (await nodes()).reduce((sum, { version }) => sum + version, 0);
      puts = Math.max(puts, names.length + deletes + sets);
      return { puts, deletes };
    },
    close: reading.close,
  };
}

function children(client: Client, path: string): Promise<{ readonly names: string[]; readonly changes: number }> {
  return new Promise((resolve, reject) =>
    client.getChildren(path, (error: unknown, names?: string[], stat?: Stat) => {
      if (!error) resolve({ names: names ?? [], changes: stat?.cversion ?? 0 });
      else if ((error as { name?: string }).name === "NO_NODE") resolve({ names: [], changes: 0 });
      else reject(error);
    }),
  );
}

function data(client: Client, path: string): Promise<{ readonly text: string; readonly version: number }> {
  return new Promise((resolve, reject) =>
    client.getData(path, (error: unknown, text?: Buffer, stat?: Stat) =>
      error ? reject(error) : resolve({ text: text?.toString() ?? "", version: stat?.version ?? 0 }),
    ),
  );
}
