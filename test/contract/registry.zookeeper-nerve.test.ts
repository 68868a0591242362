import type { EventBus, Instance, Registry, Session, Update } from "@smartstack/core";
import { registryContract } from "./registry.suite.ts";
import { NODELESS_CASES } from "./registry-cases-nodeless.ts";
import type { RegistryBench, RegistryHarness } from "./registry-harness.ts";
import { zooKeeperHarness } from "./registry-zookeeper-harness.ts";

// Nerve's layout has no node entries, and keeps only nerve's keys of a document: nobody is fenced, nothing is adopted, and
// a missing entry is out.

registryContract("zookeeper-nerve", startNerve, {
  instead: NODELESS_CASES,
  skip: {
    "node entries reach the watchers of every service": "nerve's layout has no node entries",
    "a node entry arrives as it was announced": "nerve's layout has no node entries",
    "an entry that another living node holds is left alone":
      "neither a name nor a document of nerve's says which node's it is: it is taken over from a session that is about to end as well",
  },
});

async function startNerve(): Promise<RegistryHarness> {
  const harness = await zooKeeperHarness({
    config: (ensemble, prefix) => ({
      type: "zookeeper-nerve",
      ...ensemble,
      path: `${prefix}/{service}/services`,
      node_type: "ephemeral",
      use_path_encoding: false,
      decode: { method: "nerve" },
    }),
    pathOf: (entry) => `${entry.replace("/", "/services/")}_`,
    entryOf: (path) => bare(path.replace("/services/", "/")),
  });
  return { ...harness, nodeless: true, fresh: async () => byName(await harness.fresh()) };
}

/** Nerve calls a node after the instance's name: here that is its id, and readers see it without what nerve puts behind. */
function byName(bench: RegistryBench): RegistryBench {
  return {
    ...bench,
    // One sign of 128 is nerve's.
    idCharsMax: 127,
    open: async (ttlMs) => named(await bench.open(ttlMs)),
    events: bareIds(bench.events),
  };
}

function bare(id: string): string {
  return id.replace(/_$/, "");
}

function bareIds(events: EventBus): EventBus {
  return {
    ...events,
    subscribe: (listener) =>
      events.subscribe((event) => {
        if (event.name !== "registry.document_rejected") listener(event);
        else listener({ ...event, data: { ...event.data, id: bare(event.data.id) } });
      }),
  };
}

function named(registry: Registry): Registry {
  const written = (instance: Instance, id: string): Instance => ({ ...instance, name: id });
  return {
    ...registry,
    async announce(owner, restore, signal) {
      const records = restore.map((record) => ({ ...record, instance: written(record.instance, record.id) }));
      const session = await registry.announce(owner, records, signal);
      return {
        ...session,
        lost: session.lost,
        entries: () => new Map([...session.entries()].map(([key, instance]) => [key, read(instance)])),
        put: (record) => session.put({ ...record, instance: written(record.instance, record.id) }),
      } satisfies Session;
    },
    async *watch(service, signal) {
      for await (const batch of registry.watch(service, signal)) yield batch.map(shown);
    },
  };
}

function read({ name, ...instance }: Instance): Instance {
  return { ...instance, ...(name === undefined ? {} : { id: name }) };
}

function shown(update: Update): Update {
  if (update.type === "drop") return { ...update, id: bare(update.id) };
  const entry = <E extends { readonly id: string }>(one: E): E =>
    "instance" in one ? { ...one, id: bare(one.id), instance: read(one.instance as Instance) } : one;
  return update.type === "put"
    ? { ...update, entry: entry(update.entry) }
    : { ...update, entries: update.entries.map(entry) };
}
