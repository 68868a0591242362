import {
  type Entry,
  encodeInstance,
  entryKey,
  type Instance,
  type InstanceRecord,
  type Registry,
  type Session,
  systemClock,
  type Update,
} from "@smartstack/core";
import { etcdClient } from "../../packages/registry/src/etcd/client.ts";

/** How another tool writes. */
export interface Writing {
  /** Below the prefix. */
  keyOf(service: string, id: string): string;
  textOf(instance: Instance): string;
  /** The id that was written, from the one that a reader makes of the key. */
  idOf(shown: string): string;
}

/** registrator and docker-register: addresses, and nothing else of an instance. */
export const ADDRESSES: Writing = {
  keyOf: (service, id) => `${service}/${id}`,
  textOf: ({ host, port }) => (host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`),
  idOf: (shown) => shown,
};

/** Airbnb's nerve: documents, by a number in order. */
export const NUMBERED: Writing = {
  keyOf: (service, id) => `${service}/services/${id}/0000000001`,
  textOf: encodeInstance,
  idOf: (shown) => shown.replace(/_0000000001$/, ""),
};

/** The registry, which reads another tool's layout, with an announcing side that writes as that tool does: plain keys. */
export function withWriter(registry: Registry, endpoint: string, prefix: string, writing: Writing): Registry {
  const client = etcdClient(endpoint, {}, systemClock);
  const write = async (service: string, id: string, instance: Instance | undefined): Promise<void> => {
    const key = Buffer.from(`${prefix}/${writing.keyOf(service, id)}`);
    const success =
      instance === undefined
        ? { request_delete_range: { key } }
        : { request_put: { key, value: Buffer.from(writing.textOf(instance)) } };
    await client.txn({ success: [success] });
  };
  return {
    ...registry,
    async *watch(service, signal) {
      for await (const batch of registry.watch(service, signal)) yield batch.map((update) => renamed(update, writing));
    },
    async announce(_owner, restore) {
      const entries = new Map<string, Instance>();
      const put = async ({ service, id, instance }: InstanceRecord): Promise<void> => {
        await write(service, id, instance);
        entries.set(entryKey(service, id), instance);
      };
      for (const record of restore) await put(record);
      const session: Session = {
        entries: () => entries,
        put,
        async drop(service, id) {
          await write(service, id, undefined);
          entries.delete(entryKey(service, id));
        },
        onForeignChange: () => undefined,
        lost: new AbortController().signal,
        close: async () => undefined,
      };
      return session;
    },
    async close() {
      client.close();
      await registry.close();
    },
  };
}

function renamed(update: Update, { idOf }: Writing): Update {
  if (update.type === "drop") return { ...update, id: idOf(update.id) };
  const entry = (one: Entry): Entry => ({ ...one, id: idOf(one.id) });
  return update.type === "put"
    ? { ...update, entry: entry(update.entry) }
    : { ...update, entries: update.entries.map(entry) };
}
