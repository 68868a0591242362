// The same configurations given to HAProxy and to us: who gets how many requests, in which order, and which key goes where.
import { createServer, request, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  type BackendSpec,
  DEFAULT_HASH,
  DEFAULT_SHARING,
  type ServiceSpec,
} from "../../packages/proxy/src/snapshot.ts";
import { type Bench, backendSpec, startBench } from "../../packages/proxy/src/testing/bench.ts";
import { type HaProxy, startHaProxy } from "../support/haproxy.ts";
import { freePort } from "../support/ports.ts";

interface Member {
  readonly weight: number;
  readonly backup?: boolean;
  /** Nothing listens there. */
  readonly dead?: boolean;
}

interface Case {
  readonly name: string;
  readonly members: readonly Member[];
  readonly haproxy: readonly string[];
  readonly ours: Partial<ServiceSpec>;
  /** What the nth request asks, and by which header. */
  readonly ask?: (n: number) => { readonly path?: string; readonly headers?: Readonly<Record<string, string>> };
  readonly expect: "order" | "counts" | "keys";
}

const equal = (count: number): Member[] => Array.from({ length: count }, () => ({ weight: 1 }));
const weights = (...all: number[]): Member[] => all.map((weight) => ({ weight }));
const backup = (weight = 1): Member => ({ weight, backup: true });
const dead = (weight = 1): Member => ({ weight, dead: true });
const all = { sharing: { ...DEFAULT_SHARING, backups: "all" } } as const;
const hash = { ...DEFAULT_HASH, points: 16 };
const header = { ...hash, name: "x-user" };
const users = (n: number): { headers: Record<string, string> } => ({ headers: { "X-User": `user ${n * 7_919}` } });
const paths = (n: number): { path: string } => ({ path: `/shop/${n * 31}/item-${n}?n=${n % 3}` });
const elements = (n: number): { headers: Record<string, string> } => ({ headers: { "X-User": `u${n}, other` } });

const turns = (name: string, members: readonly Member[], expected: "order" | "counts" = "counts"): Case => ({
  ...{ name: `roundrobin, ${name}`, members, haproxy: ["balance roundrobin"], ours: {}, expect: expected },
});
const keys = (
  name: string,
  members: readonly Member[],
  line: string,
  ours: Partial<ServiceSpec>,
  ask: Case["ask"],
): Case => ({
  ...{ name: `${line}, ${name}`, members, haproxy: [`balance ${line}`, "hash-type consistent"], ours, expect: "keys" },
  ...(ask === undefined ? {} : { ask }),
});
const byHeader = { balance: "header", hash: header } as const;
const byUri = { balance: "uri", hash } as const;

const CASES: readonly Case[] = [
  ...[1, 2, 3, 5, 10].map((count) => turns(`${count} equals`, equal(count), "order")),
  turns("equals of weight 7", weights(7, 7, 7), "order"),
  turns("equals of weight 256", weights(256, 256), "order"),
  turns("2:1", weights(2, 1)),
  turns("5:3:2", weights(5, 3, 2)),
  turns("100:50:25:1", weights(100, 50, 25, 1)),
  turns("1:1:1:13", weights(1, 1, 1, 13)),
  turns("one of weight 0", weights(3, 0, 1)),
  turns("backups that wait", [...equal(2), backup(), backup()], "order"),
  turns("one dead", [...equal(2), dead()]),
  turns("the first of two backups", [dead(), backup(), backup()]),
  turns("weights, with one dead", [...weights(4, 2), dead(8)]),
  {
    ...turns("all backups, by weight", [dead(), backup(3), backup(1)]),
    haproxy: ["balance roundrobin", "option allbackups"],
    ours: all,
  },
  {
    ...turns("all backups while one lives", [{ weight: 1 }, backup(3), backup(1)]),
    haproxy: ["balance roundrobin", "option allbackups"],
    ours: all,
  },
  {
    name: "leastconn, idle equals",
    members: equal(4),
    haproxy: ["balance leastconn"],
    ours: { balance: "least_conn" },
    expect: "order",
  },
  {
    name: "leastconn, one dead",
    members: [...equal(3), dead()],
    haproxy: ["balance leastconn"],
    ours: { balance: "least_conn" },
    expect: "counts",
  },
  keys("equals", equal(5), "hdr(X-User)", byHeader, users),
  keys("weights", weights(1, 2, 8), "hdr(X-User)", byHeader, users),
  keys("heavy weights", weights(100, 50, 200), "hdr(X-User)", byHeader, users),
  keys("the first of several elements", equal(4), "hdr(X-User)", byHeader, elements),
  keys("one dead", [...equal(4), dead()], "hdr(X-User)", byHeader, users),
  keys("one of weight 0", weights(1, 0, 1), "hdr(X-User)", byHeader, users),
  keys("backups that wait", [...equal(3), backup()], "hdr(X-User)", byHeader, users),
  keys("equals", equal(5), "uri", byUri, paths),
  keys("weights", weights(3, 1, 1), "uri", byUri, paths),
  keys("ten", equal(10), "uri", byUri, paths),
  keys("equals", equal(5), "uri whole", { balance: "uri", hash: { ...hash, whole: true } }, paths),
  keys("equals", equal(6), "source", { balance: "source", hash }, undefined),
];

const MEMBERS_MAX = 10;
const servers: { readonly server: Server; readonly port: number }[] = [];
const haproxyPorts: number[] = [];
let deadPort: number;
let haproxy: HaProxy;
let ours: Bench;

beforeAll(async () => {
  for (let n = 0; n < MEMBERS_MAX; n++) {
    const server = createServer((_request, response) => response.end(`b${n}`));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    servers.push({ server, port: (server.address() as AddressInfo).port });
  }
  deadPort = await freePort();
  for (const _ of CASES) haproxyPorts.push(await freePort());
  haproxy = await startHaProxy(haproxyConfig(), haproxyPorts.at(-1) as number);
  ours = await startBench({});
});

afterAll(async () => {
  await ours?.close();
  await haproxy?.stop();
  for (const { server } of servers) {
    server.closeAllConnections();
    server.close();
  }
});

function haproxyConfig(): string {
  const sections = CASES.map(({ members, haproxy: lines }, at) =>
    [
      `listen case${at}`,
      `bind 127.0.0.1:${haproxyPorts[at]}`,
      ...lines,
      ...members.map(
        (member, n) =>
          // The dead ones are known to be: whoever is asked in vain is another comparison.
          `server b${n} 127.0.0.1:${portOf(member, n)} id ${n + 1} weight ${member.weight}${member.backup ? " backup" : ""}${member.dead ? " disabled" : ""}`,
      ),
    ].join("\n  "),
  );
  return [
    "global\n  nbthread 1",
    "defaults\n  mode http\n  timeout connect 2s\n  timeout client 20s\n  timeout server 20s",
    ...sections,
  ].join("\n");
}

/** Who takes part: a round is as long as their weights. */
function takers(members: readonly Member[]): Member[] {
  const living = members.filter((member) => !member.dead);
  const regular = living.filter((member) => !member.backup);
  return regular.length > 0 ? regular : living;
}

function portOf(member: Member, n: number): number {
  return member.dead ? deadPort : (servers[n]?.port as number);
}

function backendsOf(members: readonly Member[]): BackendSpec[] {
  return members.map((member, n) =>
    backendSpec(`b${n}`, portOf(member, n), {
      weight: member.weight,
      state: member.dead ? "maintenance" : "up",
      id: n + 1,
      ...(member.backup ? { backup: true } : {}),
    }),
  );
}

async function answers(port: number, count: number, ask: NonNullable<Case["ask"]>): Promise<string[]> {
  const all: string[] = [];
  for (let n = 0; n < count; n++) all.push(await answer(port, ask(n)));
  return all;
}

function answer(port: number, { path = "/", headers = {} }: ReturnType<NonNullable<Case["ask"]>>): Promise<string> {
  return new Promise((resolve, reject) => {
    const asking = request({ port, path, headers, host: "127.0.0.1", agent: false, timeout: 10_000 }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk) => (text += chunk));
      response.on("end", () => resolve(response.statusCode === 200 ? text : `status ${response.statusCode}`));
      response.on("error", reject);
    });
    asking.on("timeout", () => asking.destroy(new Error("no answer within 10 s")));
    asking.on("error", reject);
    asking.end();
  });
}

function tally(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of names.toSorted()) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

/** Where the names begin over: who is first is each proxy's own affair, who follows whom is not. */
function fromFirst(names: readonly string[], round: number): string {
  const start = names.indexOf("b0");
  return names.slice(start, start + 2 * round).join(" ");
}

describe("as HAProxy does", () => {
  it.each(CASES.map((each, at) => [each.name, each, at] as const))("%s", async (_, each, at) => {
    await ours.apply({ balance: "round_robin", hash: DEFAULT_HASH, sharing: DEFAULT_SHARING, backends: [] });
    await ours.apply({ ...each.ours, backends: backendsOf(each.members) });
    const living = takers(each.members);
    const round = living.reduce((sum, { weight }) => sum + weight, 0);
    const count = each.expect === "keys" ? 60 : each.expect === "order" ? 3 * each.members.length : round;
    const ask = each.ask ?? (() => ({}));
    const theirs = await answers(haproxyPorts[at] as number, count, ask);
    const mine = await answers(ours.port(), count, ask);
    if (each.expect === "keys") expect(mine).toEqual(theirs);
    else if (each.expect === "counts") expect(tally(mine)).toEqual(tally(theirs));
    else {
      expect(fromFirst(mine, living.length)).toBe(fromFirst(theirs, living.length));
    }
  });
});
