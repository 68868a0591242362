import type { Instance, Registry, Session, Update } from "@smartstack/core";
import { startZooKeeper, TICK_MS, zookeeperRead, zookeeperWipe, zookeeperWrite } from "../support/zookeeper.ts";
import { registryContract } from "./registry.suite.ts";
import { controlOf, openers } from "./registry-real-harness.ts";

// Nerve's layout has no node entries, and keeps only nerve's keys of a document: nobody is fenced, nothing is taken over,
// and a missing entry is out.

const TTL_MS = 3_000;

/**
 * Most of these ask for just that. The others do not need to: they wait for a node entry on their way to something that
 * nerve's layout has as well (restart, freeze, an emptied prefix), or take names that `byName` does not reach (rejections, and
 * the processes of an owner and a survivor). Of those this driver is not held to anything here.
 */
const LEFT_OUT = [
  "announces, updates, withdraws",
  "watches from nothing",
  "watches from what exists",
  "a thousand instances",
  "node entries reach the watchers of every service",
  "one change is one update",
  "two nodes share a service",
  "a document keeps every key, Unicode and zeros",
  "a document names who holds it",
  "names of 128 characters keep their case and signs",
  "a node entry arrives as it was announced",
  "a malformed node entry hides only itself",
  "survives the prefix being deleted and made again",
  "a malformed document hides one instance",
  "what resolved is written",
  "announcing nothing writes the node entry alone",
  "a withdrawal takes along what was adopted, and nobody else's",
  "what a dead node left may be taken",
  "an owner is not told of its own or other nodes' changes",
  "an owner is told of entries in its name",
  "an owner whose node entry was deleted announces again",
  "a take-over puts its boot on all it adopts, and on nothing else",
  "a second nerve takes over and fences the first",
  "a running nerve notices that it is fenced",
  "a take-over adopts leftovers without a gap",
  "the same boot announces again unnoticed",
  "an entry that another living node holds is left alone",
  "close keep leaves the entries",
  "an owner killed with -9 is gone in time, as one batch",
  "a server restart ends in a reset with the truth",
  "a frozen server is noticed, and the thawed one is used again",
  "a process outlives whatever its server does, and ends in time with 0",
];

registryContract(
  "zookeeper-nerve",
  async () => {
    const server = await startZooKeeper();
    const { endpoint } = server;
    let cases = 0;
    return {
      ttlMs: TTL_MS,
      goneMs: TTL_MS + TICK_MS + 1_000,
      fresh() {
        const prefix = `/test/case${cases++}`;
        const { open, ...bench } = openers({
          type: "zookeeper-nerve",
          hosts: [endpoint],
          ttl: TTL_MS,
          path: `${prefix}/{service}/services`,
          node_type: "ephemeral",
          use_path_encoding: false,
          decode: { method: "nerve" },
        });
        return {
          ...bench,
          nodeless: true,
          server: controlOf(server),
          open: async (ttlMs) => byName(await open(ttlMs)),
          async read() {
            const nodes = await zookeeperRead(endpoint, prefix);
            return new Map([...nodes].map(([path, text]) => [path.replace("/services/", "/").replace(/_$/, ""), text]));
          },
          foreign: (path, text) => zookeeperWrite(endpoint, `${prefix}/${path.replace("/", "/services/")}_`, text),
          wipe: () => zookeeperWipe(endpoint, prefix),
          done: () => zookeeperWipe(endpoint, prefix),
        };
      },
      stop: () => server.stop(),
    };
  },
  { lacks: { what: "node entries that they ask for or pass by", cases: LEFT_OUT } },
);

/** Nerve calls a node after the instance's name: here that is its id, and readers see it without what nerve puts behind. */
function byName(registry: Registry): Registry {
  const named = (instance: Instance, id: string): Instance => ({ ...instance, name: id });
  const ours = ({ name, ...instance }: Instance): Instance => ({
    ...instance,
    ...(name === undefined ? {} : { id: name }),
  });
  const shown = (update: Update): Update => {
    const bare = (id: string): string => id.replace(/_$/, "");
    if (update.type === "drop") return { ...update, id: bare(update.id) };
    const entry = <E extends { readonly id: string }>(one: E): E =>
      "instance" in one ? { ...one, id: bare(one.id), instance: ours(one.instance as Instance) } : one;
    return update.type === "put"
      ? { ...update, entry: entry(update.entry) }
      : { ...update, entries: update.entries.map(entry) };
  };
  return {
    ...registry,
    async announce(owner, restore, signal) {
      const records = restore.map((record) => ({ ...record, instance: named(record.instance, record.id) }));
      const session = await registry.announce(owner, records, signal);
      return {
        ...session,
        lost: session.lost,
        entries: () => new Map([...session.entries()].map(([key, instance]) => [key, ours(instance)])),
        put: (record) => session.put({ ...record, instance: named(record.instance, record.id) }),
      } satisfies Session;
    },
    async *watch(service, signal) {
      for await (const batch of registry.watch(service, signal)) yield batch.map(shown);
    },
  };
}
