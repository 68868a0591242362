import type { Changes, Held } from "../../packages/registry/src/contents.ts";
import type { MemoryStore } from "../../packages/registry/src/memory.ts";
import type { Mutant } from "./registry-mutants.ts";

type Document = Record<string, unknown>;

/** Changes the documents that are written through the driver. */
function withDocuments(change: (document: Document, path: string, store: MemoryStore) => Document) {
  return (store: MemoryStore): MemoryStore => {
    const mutated = (path: string, held: Held | undefined): Held | undefined =>
      held === undefined || path.startsWith(".")
        ? held
        : { ...held, text: JSON.stringify(change(JSON.parse(held.text) as Document, path, store)) };
    return {
      ...store,
      commit: (changes) => store.commit(new Map([...changes].map(([path, held]) => [path, mutated(path, held)]))),
    };
  };
}

/** Changes what watchers are told. */
function withNews(change: (changes: Changes) => Changes | undefined) {
  return (store: MemoryStore): MemoryStore => ({
    ...store,
    subscribe: (subscriber) =>
      store.subscribe({
        away: () => subscriber.away(),
        changed(changes) {
          const mutated = change(changes);
          if (mutated !== undefined) subscriber.changed(mutated);
        },
      }),
  });
}

function isMalformed({ text }: Held): boolean {
  try {
    JSON.parse(text);
    return false;
  } catch {
    return true;
  }
}

export const STORE_MUTANTS: Readonly<Record<string, Mutant>> = {
  "writes keys in an order of its own": {
    store: withDocuments((document) => Object.fromEntries(Object.entries(document).reverse())),
    fails: ["a document begins with nerve's six keys"],
  },
  "does not say who holds an entry": {
    store: withDocuments(({ node: _, boot: __, ...rest }) => rest),
    fails: ["a document names who holds it"],
  },
  "leaves the old boot on what it adopts": {
    store: withDocuments((document, path, { entries }) => {
      const text = entries.get(path)?.text;
      return text === undefined ? document : { ...document, boot: (JSON.parse(text) as Document).boot };
    }),
    fails: ["a take-over puts its boot on all it adopts, and on nothing else"],
  },
  "reads its own version only": {
    store: withNews((changes) => {
      const known = [...changes].filter(([, held]) => !held?.text.includes('"v":9'));
      return known.length === 0 ? undefined : new Map(known);
    }),
    fails: ["a document of a higher version is read as far as it is known"],
  },
  "chokes on what does not parse": {
    store: (store) => {
      let choked = false;
      return withNews((changes) => {
        choked ||= [...changes.values()].some((held) => held !== undefined && isMalformed(held));
        return choked ? undefined : changes;
      })(store);
    },
    fails: ["a malformed document hides one instance", "a malformed node entry hides only itself"],
  },
  "shows one service's instances in another": {
    store: withNews(
      (changes) =>
        new Map(
          [...changes].flatMap(([path, held]) => [
            [path, held],
            [path.replace(/^db\//, "web/"), held],
          ]),
        ),
    ),
    fails: ["a change of another service reaches nobody here"],
  },
  "tidies up what is not its own": {
    store: (store) => ({
      ...store,
      commit(changes) {
        store.commit(changes);
        store.force(new Map([["README", undefined]]));
      },
    }),
    fails: ["foreign keys are neither read nor touched"],
  },
  "withdraws the whole service": {
    store: (store) => ({
      ...store,
      commit(changes) {
        store.commit(changes);
        const withdrawn = [...changes].some(([path, held]) => path.startsWith(".nodes/") && held === undefined);
        const web = [...store.entries.keys()].filter((path) => path.startsWith("web/"));
        if (withdrawn) store.force(new Map(web.map((path) => [path, undefined])));
      },
    }),
    fails: ["two nodes share a service", "a withdrawal takes along what was adopted, and nobody else's"],
  },
};
