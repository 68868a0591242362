import { fileURLToPath } from "node:url";
import type { Instance, Random, Session } from "@smartstack/core";
import { until } from "@smartstack/core/testing";
import { type Child, startChild } from "../../support/children.ts";
import { freePort } from "../../support/ports.ts";

const BACKEND = fileURLToPath(new URL("../../support/backend.mjs", import.meta.url));

/** Within these the pool stays, so that there always is somebody to serve and something to change. */
const MEMBERS_MIN = 4;
const MEMBERS_MAX = 7;
/** What a nerve needs to find a killed container gone. */
const NOTICED_MS = 300;
/** How long a drained backend is left in the registry, and then alive. */
const DRAINED_MS = 1_500;

/** The services that every member offers. */
export const HTTP = "web";
export const TCP = "raw";

type Change = "kill" | "add" | "reweigh" | "drain";

interface Member {
  readonly id: string;
  readonly child: Child;
  readonly http: number;
  readonly tcp: number;
  weight: number;
}

/** Backends that come, go and change while they serve. */
export interface ChurnedPool {
  /** Does one change, of whatever kind the pool bears now. */
  change(): Promise<void>;
  /** How many of each kind were done. */
  readonly counts: Readonly<Record<Change, number>>;
  /** Backends that were killed or drained: what their clients saw is not the proxy's doing. */
  readonly leaving: ReadonlySet<string>;
  /** When a process was last ended, by performance.now(); its kernel may have taken connections that it never saw. */
  lastEndMs(): number;
  close(): Promise<void>;
}

export async function startChurnedPool(session: Session, random: Random): Promise<ChurnedPool> {
  const members: Member[] = [];
  const leaving = new Set<string>();
  const counts = { kill: 0, add: 0, reweigh: 0, drain: 0 };
  const later: Promise<unknown>[] = [];
  const children: Child[] = [];
  let made = 0;
  let endMs = Number.NEGATIVE_INFINITY;

  async function start(): Promise<Member> {
    const id = `b${++made}`;
    const [http, tcp] = [await freePort(), await freePort()];
    const env = { ...process.env, ID: id, HOST: "127.0.0.1", PORT: String(http), TCP_PORT: String(tcp) };
    const child = startChild(process.execPath, [BACKEND], { env, stdio: "ignore" });
    children.push(child);
    await until(() => fetch(`http://127.0.0.1:${http}/health`).then(({ ok }) => ok), { what: `backend ${id}` });
    return { id, child, http, tcp, weight: 1 };
  }

  async function announce({ id, http, tcp, weight }: Member, state: "up" | "draining" = "up"): Promise<void> {
    const instance = (port: number): Instance => ({ host: "127.0.0.1", port, weight, state });
    await session.put({ service: HTTP, id: `${id}-http`, instance: instance(http) });
    await session.put({ service: TCP, id: `${id}-tcp`, instance: instance(tcp) });
  }

  async function withdraw({ id }: Member): Promise<void> {
    await session.drop(HTTP, `${id}-http`);
    await session.drop(TCP, `${id}-tcp`);
  }

  function take(): Member {
    const [member] = members.splice(Math.floor(random() * members.length), 1) as [Member];
    leaving.add(member.id);
    return member;
  }

  const changes: Readonly<Record<Change, () => Promise<void>>> = {
    async kill() {
      const member = take();
      endMs = performance.now();
      process.kill(member.child.pid, "SIGKILL");
      later.push(pause(NOTICED_MS).then(() => withdraw(member)));
    },
    async add() {
      const member = await start();
      members.push(member);
      await announce(member);
    },
    async reweigh() {
      const member = members[Math.floor(random() * members.length)] as Member;
      member.weight = 1 + Math.floor(random() * 10);
      await announce(member);
    },
    async drain() {
      const member = take();
      await announce(member, "draining");
      const leave = async (): Promise<void> => {
        await pause(DRAINED_MS);
        await withdraw(member);
        await pause(DRAINED_MS);
        endMs = performance.now();
        await member.child.stop();
      };
      later.push(leave());
    },
  };

  function kindOf(): Change {
    const kinds: Change[] = ["reweigh"];
    if (members.length < MEMBERS_MAX) kinds.push("add", "add");
    if (members.length > MEMBERS_MIN) kinds.push("kill", "drain");
    return kinds[Math.floor(random() * kinds.length)] as Change;
  }

  for (let count = 0; count < MEMBERS_MAX; count++) await changes.add();
  return {
    counts,
    leaving,
    lastEndMs: () => endMs,
    async change() {
      const kind = kindOf();
      await changes[kind]();
      counts[kind]++;
    },
    async close() {
      await Promise.all(later);
      await Promise.all(children.map((child) => child.stop()));
    },
  };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
