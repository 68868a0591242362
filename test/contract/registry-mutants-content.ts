import type { RegistryBench } from "./registry-harness.ts";
import type { Mutant } from "./registry-mutants.ts";
import { withAnnounce, withSession } from "./registry-mutants-session.ts";
import { withEntries, withWatch } from "./registry-mutants-watch.ts";

type Document = Record<string, unknown>;

/** Changes, behind the driver's back, what it has just written. */
async function rewrite(bench: RegistryBench, path: string, change: (document: Document) => Document): Promise<void> {
  const text = (await bench.read()).get(path);
  if (text !== undefined) await bench.foreign(path, JSON.stringify(change(JSON.parse(text) as Document)));
}

function isMalformed(text: string): boolean {
  try {
    JSON.parse(text);
    return false;
  } catch {
    return true;
  }
}

/** What is wrong with what a driver writes, and with what it makes of others' writing. */
export const CONTENT_MUTANTS: Readonly<Record<string, Mutant>> = {
  "leaves a failure to nobody": {
    wrap: (registry) => registry,
    bench: ({ survivor, ...bench }) => ({ ...bench, ...(survivor && { survivor: (node) => survivor(node, "stray") }) }),
    fails: ["a process outlives whatever its server does, and ends in time with 0"],
  },
  "writes keys in an order of its own": {
    wrap: withSession((session, bench) => ({
      async put(record) {
        await session.put(record);
        const reversed = (document: Document): Document => Object.fromEntries(Object.entries(document).reverse());
        await rewrite(bench, `${record.service}/${record.id}`, reversed);
      },
    })),
    fails: ["a document begins with nerve's six keys"],
  },
  "does not say who holds an entry": {
    wrap: withEntries((entry) => {
      if (entry.kind === "node") return entry;
      const { node: _, boot: __, ...instance } = entry.instance;
      return { ...entry, instance };
    }),
    fails: ["a document names who holds it"],
    nodeless: [],
  },
  "believes what it is told of an entry's holder": {
    wrap: withEntries((entry) =>
      entry.kind === "node" ? entry : { ...entry, instance: { ...entry.instance, node: "node-z", boot: "b9" } },
    ),
    fails: ["a document names who holds it"],
  },
  "leaves the old boot on what it adopts": {
    wrap: withAnnounce((registry, bench) => async (owner, restore, signal) => {
      const before = await bench.read();
      const session = await registry.announce(owner, restore, signal);
      for (const path of session.entries().keys()) {
        const { boot } = JSON.parse(before.get(path) ?? "{}") as Document;
        if (boot !== undefined) await rewrite(bench, path, (document) => ({ ...document, boot }));
      }
      return session;
    }),
    fails: ["a take-over puts its boot on all it adopts, and on nothing else"],
    nodeless: [],
  },
  "leaves what an earlier run announced as it was": {
    wrap: withAnnounce((registry, bench) => async (owner, restore, signal) => {
      const found = await bench.read();
      const free = restore.filter(({ service, id }) => !found.has(`${service}/${id}`));
      return registry.announce(owner, free, signal);
    }),
    fails: ["a take-over puts its boot on all it adopts, and on nothing else"],
  },
  "reads its own version only": {
    wrap: withWatch(async function* (batches, _, __, bench) {
      for await (const batch of batches) {
        const texts = [...(await bench.read()).values()];
        if (!texts.some((text) => text.includes('"v":9'))) yield batch;
      }
    }),
    fails: ["a document of a higher version is read as far as it is known"],
  },
  "chokes on what does not parse": {
    wrap: withWatch(async function* (batches, _, __, bench) {
      let choked = false;
      for await (const batch of batches) {
        choked ||= [...(await bench.read()).values()].some(isMalformed);
        if (!choked) yield batch;
      }
    }),
    fails: ["a malformed document hides one instance", "a malformed node entry hides only itself"],
  },
  "shows one service's instances in another": {
    wrap: withSession((session) => ({
      async put(record) {
        await session.put(record);
        if (record.service === "db") await session.put({ ...record, service: "web" });
      },
    })),
    fails: ["a change of another service reaches nobody here"],
  },
  "tidies up what is not its own": {
    wrap: withAnnounce((registry, bench) => async (owner, restore, signal) => {
      await bench.foreign("README", undefined);
      return registry.announce(owner, restore, signal);
    }),
    fails: ["foreign keys are neither read nor touched"],
  },
  "withdraws the whole service": {
    wrap: withSession((session, bench) => ({
      async close(mode) {
        const all = mode === "keep" ? [] : [...(await bench.read()).keys()];
        for (const path of all.filter((path) => path.startsWith("web/"))) await bench.foreign(path, undefined);
        await session.close(mode);
      },
    })),
    fails: [
      "two nodes share a service",
      "a withdrawal takes along what was adopted, and nobody else's",
      "a second nerve takes over and fences the first",
    ],
  },
};
