import { setTimeout as pause } from "node:timers/promises";
import type { Registry, RegistryStatus, Session } from "@smartstack/core";
import { decodeInstance } from "@smartstack/core";
import { NEVER } from "./registry-case.ts";
import type { RegistryBench } from "./registry-harness.ts";
import type { Mutant } from "./registry-mutants.ts";

const HANG = new Promise<never>(() => undefined);

/** Changes each session that a registry opens. */
export function withSession(change: (session: Session, bench: RegistryBench) => Partial<Session>): Mutant["wrap"] {
  return (registry, bench) => ({
    ...registry,
    async announce(owner, restore, signal) {
      const session = await registry.announce(owner, restore, signal);
      return { ...session, ...change(session, bench) };
    },
  });
}

export function withAnnounce(
  announce: (registry: Registry, bench: RegistryBench) => Registry["announce"],
): Mutant["wrap"] {
  return (registry, bench) => ({ ...registry, announce: announce(registry, bench) });
}

const isAnothers = (text: string | undefined, node: string): boolean => {
  const holder = text === undefined ? undefined : decodeInstance(text).node;
  return holder !== undefined && holder !== node;
};

export const SESSION_MUTANTS: Readonly<Record<string, Mutant>> = {
  "forgets what was left behind": {
    wrap: withAnnounce((registry) => async (owner, restore, signal) => {
      const session = await registry.announce(owner, restore, signal);
      const kept = new Set(restore.map(({ service, id }) => `${service}/${id}`));
      for (const key of session.entries().keys()) {
        const [service = "", id = ""] = key.split("/");
        if (!kept.has(key)) await session.drop(service, id);
      }
      return session;
    }),
    fails: ["announcing less keeps the rest until it is dropped", "a take-over adopts leftovers without a gap"],
    nodeless: ["announcing less keeps the rest until it is dropped"],
  },
  "ignores fencing": {
    wrap: withSession((session) => ({
      lost: NEVER,
      put: (record) => session.put(record).catch(() => undefined),
    })),
    fails: [
      "a second nerve takes over and fences the first",
      "a running nerve notices that it is fenced",
      "an owner whose node entry was deleted announces again",
      "survives the prefix being deleted and made again",
    ],
    nodeless: [],
  },
  "swallows what a write says": {
    wrap: withSession((session) => ({
      put: (record) => session.put(record).catch(() => undefined),
      drop: (service, id) => session.drop(service, id).catch(() => undefined),
    })),
    fails: ["a bad name is refused and writes nothing", "a document of more than 16 KiB is refused alone"],
  },
  "hangs where a write fails": {
    wrap: withSession((session) => ({ put: (record) => session.put(record).catch(() => HANG) })),
    fails: ["a write to a server that is away fails in time, and later ones work"],
  },
  "writes later than it says": {
    wrap: withSession((session) => ({
      put: async (record) =>
        void pause(10_000, undefined, { ref: false }).then(() => session.put(record).catch(() => undefined)),
    })),
    fails: ["what resolved is written"],
  },
  "drops large documents": {
    wrap: withSession((session) => ({
      put: async (record) => {
        if (JSON.stringify(record).length < 8_192) await session.put(record);
      },
    })),
    fails: ["a document of 15 KB goes through"],
  },
  "writes names in lower case": {
    wrap: withSession((session) => ({ put: (record) => session.put({ ...record, id: record.id.toLowerCase() }) })),
    fails: ["names of 128 characters keep their case and signs"],
  },
  "writes anew what lies there already": {
    wrap: withSession((session) => ({
      put: async (record) => {
        await session.drop(record.service, record.id);
        // Long enough to be seen: some registries tell what there is, and not what happened.
        await pause(50);
        await session.put(record);
      },
    })),
    fails: ["a repeated put writes nothing"],
  },
  "announces anew what lies there already": {
    wrap: withAnnounce((registry) => async (owner, restore, signal) => {
      const session = await registry.announce(owner, [], signal);
      for (const { service, id } of restore) await session.drop(service, id);
      await pause(200);
      for (const record of restore) await session.put(record);
      return session;
    }),
    fails: ["the same boot announces again unnoticed"],
  },
  "shows what was announced, whatever came since": {
    wrap: withSession((session) => {
      const first = new Map(session.entries());
      return { entries: () => first };
    }),
    fails: ["a session reads its own writes", "what comes and goes quickly ends as it should"],
  },
  "writes a placeholder": {
    wrap: withAnnounce((registry) => async (owner, restore, signal) => {
      const session = await registry.announce(owner, restore, signal);
      if (restore.length === 0)
        await session.put({ service: "web", id: "placeholder", instance: { host: "127.0.0.1", port: 1 } });
      return session;
    }),
    fails: ["announcing nothing writes the node entry alone"],
  },
  "keeps where it should withdraw": {
    wrap: withSession((session) => ({ close: () => session.close("keep") })),
    fails: ["announces, updates, withdraws", "a withdrawal takes along what was adopted, and nobody else's"],
  },
  "withdraws where it should keep": {
    wrap: withSession((session) => ({ close: () => session.close("withdraw") })),
    fails: ["close keep leaves the entries", "what is kept is kept for one whole ttl from the close on"],
  },
  "cannot be closed twice": {
    wrap: withSession((session) => {
      let closes = 0;
      return {
        async close(mode) {
          if (closes++ > 0) throw new Error("closed already");
          await session.close(mode);
        },
      };
    }),
    fails: ["a session closes once, and its boot may come back"],
  },
  "deletes whatever it is told to": {
    wrap: withSession((session, bench) => ({
      async drop(service, id) {
        await session.drop(service, id);
        await bench.foreign(`${service}/${id}`, undefined);
      },
    })),
    fails: ["a drop leaves what another living node holds"],
  },
  "overwrites what others hold": {
    wrap: withSession((session, bench) => ({
      async put(record) {
        await bench.foreign(`${record.service}/${record.id}`, undefined);
        await session.put(record);
      },
    })),
    fails: ["an entry that another living node holds is left alone"],
  },
  "leaves what the dead left": {
    wrap: withAnnounce((registry, bench) => async (owner, restore, signal) => {
      const found = await bench.read();
      const free = restore.filter(({ service, id }) => !isAnothers(found.get(`${service}/${id}`), owner.node));
      return registry.announce(owner, free, signal);
    }),
    fails: ["what a dead node left may be taken"],
  },
  "makes room before it announces": {
    wrap: withAnnounce((registry, bench) => async (owner, restore, signal) => {
      for (const { service, id } of restore) await bench.foreign(`${service}/${id}`, undefined);
      // Long enough to be seen.
      await pause(50);
      return registry.announce(owner, restore, signal);
    }),
    fails: ["a take-over adopts leftovers without a gap"],
  },
  "takes its own changes for foreign ones": {
    wrap: withSession((session) => {
      let tell = (): void => undefined;
      return {
        onForeignChange(listener) {
          tell = listener;
          session.onForeignChange(listener);
        },
        put: (record) => session.put(record).then(() => tell()),
      };
    }),
    fails: ["an owner is not told of its own or other nodes' changes"],
  },
  "never tells of foreign changes": {
    wrap: withSession(() => ({ onForeignChange: () => undefined })),
    fails: ["an owner is told of entries in its name", "tells its owner of foreign changes"],
    nodeless: [
      "an owner is told of entries in its name",
      "tells its owner of foreign changes",
      "an owner whose node entry was deleted announces again",
      "a running nerve notices that it is fenced",
      "survives the prefix being deleted and made again",
    ],
  },
  "does not look at the signal": {
    wrap: withAnnounce((registry) => (owner, restore) => registry.announce(owner, restore, NEVER)),
    fails: ["an announcement that begins aborted writes nothing"],
  },
  "gives up when its server is away at first": {
    wrap: (registry) => {
      let failed: unknown;
      return {
        ...registry,
        async announce(owner, restore, signal) {
          if (failed !== undefined) throw failed;
          try {
            return await registry.announce(owner, restore, signal);
          } catch (error) {
            failed = error;
            throw error;
          }
        },
      };
    },
    fails: ["works when it was opened before its server"],
  },
  "says that it is connected": {
    wrap: (registry) => ({ ...registry, status: () => ({ ...registry.status(), connected: true }) }),
    fails: [
      "says how it is",
      "says so when its server is away, and closes in time",
      "a frozen server is noticed, and the thawed one is used again",
    ],
  },
  "takes what it read once for the truth": {
    wrap: (registry) => {
      let first: number | undefined;
      const status = (): RegistryStatus => {
        const { stalenessMs, ...rest } = registry.status();
        first ??= stalenessMs === undefined ? undefined : performance.now();
        return first === undefined ? rest : { ...rest, stalenessMs: performance.now() - first + 1 };
      };
      return { ...registry, status };
    },
    fails: ["says how fresh it is, and counts what it does"],
  },
  "is always fresh": {
    wrap: (registry) => ({ ...registry, status: () => ({ ...registry.status(), stalenessMs: 0 }) }),
    fails: ["says how fresh it is, and counts what it does", "says so when its server is away, and closes in time"],
  },
  "does not close": {
    wrap: (registry) => ({ ...registry, close: async () => undefined }),
    fails: ["refuses everything once closed", "close ends its watches"],
  },
  "takes 3 s to close": {
    wrap: (registry) => ({ ...registry, close: () => registry.close().then(() => pause(3_000)) }),
    fails: ["closes within 2 s, twice at once", "close ends within 2 s of a frozen server"],
  },
};
