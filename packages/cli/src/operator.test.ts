import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type BackendStatus,
  type ContainerStatus,
  NO_BACKEND_COUNTERS,
  NO_SERVICE_COUNTERS,
  type RegistrationStatus,
  type ServiceStatus,
  systemClock,
} from "@smartstack/core";
import { afterEach, describe, expect, it } from "vitest";
import { adminClient, targetOf } from "./admin-client.ts";
import { drain, type Shown, undrained } from "./commands/drain.ts";
import { explain } from "./commands/explain.ts";
import { instancesNamed, setState } from "./commands/set-state.ts";
import { status } from "./commands/status.ts";
import { wait } from "./commands/wait.ts";
import { table } from "./table.ts";

const counters = { ...NO_BACKEND_COUNTERS, requests: 7 };
const web: ServiceStatus = {
  name: "web",
  mode: "http",
  listeners: [{ address: "127.0.0.1:3000", state: "bound" }],
  backends: [
    {
      id: "0123456789ab-80",
      address: "172.17.0.2:80",
      weight: 1,
      effectiveWeight: 1,
      state: "up",
      suspect: false,
      health: "unchecked",
      usable: true,
      reason: "up",
      sinceMs: 0,
      container: "0123456789ab",
      counters,
    },
  ],
  problems: [],
  counters: {
    ...NO_SERVICE_COUNTERS,
    requests: 7,
    responses: [0, 0, 7, 0, 0, 0],
  },
};
const one: ContainerStatus = {
  id: "0123456789abcdef".repeat(4),
  name: "shop-web-1",
  running: true,
  registrations: [
    {
      service: "web",
      id: "0123456789ab-80",
      address: "172.17.0.2:80",
      namedBy: "label smartstack.service=web",
      addressReason: "its own address",
      otherAddresses: [],
      check: "tcp",
      health: "up",
      state: "up",
      announced: true,
      reason: "1 probe passed",
      sinceMs: 0,
    },
  ],
  asks: ["web"],
  refusals: [],
  warnings: [],
};
const refused: ContainerStatus = {
  ...one,
  id: "0123ffff".repeat(8),
  name: "db",
  registrations: [],
  refusals: ["smartstack.port: 99999 is no port"],
};

const servers: Server[] = [];
const folders: string[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await new Promise((resolve) => server.close(resolve));
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

async function api(
  answer: (request: IncomingMessage, body: string) => [number, unknown],
  path?: string,
): Promise<string> {
  const server = createServer((request, response) => {
    let text = "";
    request.on("data", (chunk) => (text += String(chunk)));
    request.on("end", () => {
      const [code, body] = answer(request, text);
      response.writeHead(code, { "content-type": "application/json" }).end(JSON.stringify(body));
    });
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(path ?? { host: "127.0.0.1", port: 0 }, resolve));
  return path === undefined ? `127.0.0.1:${(server.address() as AddressInfo).port}` : `unix:${path}`;
}

function terminal() {
  const out: string[] = [];
  const errors: string[] = [];
  const print = (line: string): number => out.push(line);
  return {
    out,
    errors,
    print,
    error: (line: string) => errors.push(line),
    clear: () => {},
    columns: undefined,
    env: {},
  };
}

const running = {
  role: "up",
  version: "1",
  node: "n1",
  startedMs: 0,
  registries: [
    {
      type: "memory",
      target: "",
      connected: true,
      sinceMs: 0,
      counters: { loads: 0, batches: 0, writes: 0, writeFailures: 0 },
    },
  ],
  readiness: [{ part: "docker", ready: false, reason: "cannot reach it" }],
  unseen: ["docker.filter takes only some"],
};

const whole = ({ url }: IncomingMessage): [number, unknown] => {
  if (url === "/api/v1/status") return [200, running];
  if (url === "/api/v1/services") return [200, { services: [web] }];
  if (url === "/api/v1/containers") return [200, { containers: [one, refused] }];
  return [404, { error: "no such path" }];
};

describe("status", () => {
  it("shows what is served, and why what is missing is missing", async () => {
    const said = terminal();
    const client = adminClient({ admin: await api(whole) }, {});
    expect(await status(said, client, {})).toBe(0);
    const text = said.out.join("\n");
    expect(text).toContain("smartstack 1 up, node n1");
    expect(text).toContain("docker: cannot reach it");
    expect(text).toContain("docker.filter takes only some");
    expect(text).toContain(
      "web (http) listens on 127.0.0.1:3000: 1 of 1 backends usable\n  0123456789ab-80  172.17.0.2:80  usable  7 served  up",
    );
    expect(text).toContain("  not registered: smartstack.port: 99999 is no port");
  });

  it("shows one service, and ends with 2 when it is not known", async () => {
    const client = adminClient({ admin: await api(whole) }, {});
    const json = terminal();
    expect(await status(json, client, { service: "web", json: true })).toBe(0);
    expect(JSON.parse(json.out.join("\n"))).toMatchObject({
      services: [{ name: "web" }],
      // The other one asks for it in vain, and must not be lost from sight.
      containers: [{ name: "shop-web-1" }, { name: "db" }],
    });
    const said = terminal();
    expect(await status(said, client, { service: "wbe" })).toBe(2);
    expect(said.errors.join()).toContain("wbe");
  });

  it("says where it looked when nobody answers", async () => {
    const client = adminClient({}, { SMARTSTACK_ADMIN: "127.0.0.1:1" });
    await expect(status(terminal(), client, {})).rejects.toThrow(/127\.0\.0\.1:1: .*ECONNREFUSED.*--admin/);
  });

  it("takes an address that is none for wrong usage", () => {
    expect(() => adminClient({ admin: "localhost" }, {})).toThrow("expected host:port or unix:/path");
  });
});

describe("explain", () => {
  it("prints what the API says, and ends with 2 when nothing is called so", async () => {
    const address = await api(({ url }) =>
      url === "/api/v1/explain?name=a%20b"
        ? [200, { found: true, lines: ["container a", "  offers \u001b[2Jweb"] }]
        : [404, { found: false, lines: ["nothing here is called c"] }],
    );
    const client = adminClient({ admin: address }, {});
    const said = terminal();
    expect(await explain(said, client, "a b", false)).toBe(0);
    expect(said.out).toEqual(["container a", "  offers \ufffd[2Jweb"]);
    const json = terminal();
    expect(await explain(json, client, "c", true)).toBe(2);
    expect(JSON.parse(json.out.join("\n"))).toEqual({ found: false, lines: ["nothing here is called c"] });
  });

  it("says what the API refuses", async () => {
    const client = adminClient({ admin: await api(() => [403, { error: "wrong host" }]) }, {});
    await expect(explain(terminal(), client, "web", false)).rejects.toThrow("403: wrong host");
  });
});

describe("wait", () => {
  it("asks until the service is ready", async () => {
    let asked = 0;
    const address = await api(({ url }) => {
      expect(url).toBe("/readyz?service=web");
      return ++asked < 3 ? [503, { ready: false, parts: [] }] : [200, { ready: true, parts: [] }];
    });
    expect(await wait(terminal(), adminClient({ admin: address }, {}), "web", 10_000, systemClock)).toBe(0);
    expect(asked).toBe(3);
  });

  it("ends with 2 and the last reason", async () => {
    const address = await api(() => [503, { parts: [{ part: "service:web", ready: false, reason: "no backend" }] }]);
    const said = terminal();
    expect(await wait(said, adminClient({ admin: address }, {}), "web", 300, systemClock)).toBe(2);
    expect(said.errors.join()).toContain("service:web: no backend");
  });
});

describe("drain", () => {
  it("finds the instance by what an operator knows of it, and sends token and state", async () => {
    const puts: unknown[] = [];
    const folder = mkdtempSync(join(tmpdir(), "smartstack-api-"));
    folders.push(folder);
    const address = await api(
      (request, body) => {
        if (request.method === "GET") return whole(request);
        puts.push([request.url, JSON.parse(body), request.headers.authorization]);
        return [200, {}];
      },
      join(folder, "admin.sock"),
    );
    const client = adminClient({ admin: address, token: "t" }, {});
    for (const named of ["0123456789ab-80", "shop-web-1", "01234567", one.id])
      expect(await setState(terminal(), client, named, "draining", "5m")).toHaveLength(1);
    const put = ["/api/v1/services/web/instances/0123456789ab-80/state", { state: "draining", for: "5m" }, "Bearer t"];
    expect(puts).toEqual([put, put, put, put]);
  });

  it("shows what the API answers when it refuses", async () => {
    const address = await api((request) =>
      request.method === "GET" ? whole(request) : [403, { error: "set admin.token or use a unix socket" }],
    );
    await expect(
      setState(terminal(), adminClient({ admin: address }, {}), "shop-web-1", "up", undefined),
    ).rejects.toThrow("403: set admin.token");
  });

  it("takes no prefix that fits two containers, and none that is too short", () => {
    const other = {
      ...one,
      id: "0123aaaaaaaa".padEnd(64, "0"),
      name: "b",
      registrations: [{ ...one.registrations[0], id: "0123aaaaaaaa-80" }],
    } as ContainerStatus;
    expect(() => instancesNamed("0123", [web], [one, other])).toThrow("fits several containers");
    expect(instancesNamed("01", [web], [one])).toEqual([]);
    expect(instancesNamed("nobody", [web], [one])).toEqual([]);
  });
});

describe("drain --wait", () => {
  const backend = web.backends[0] as BackendStatus;
  const registration = one.registrations[0] as RegistrationStatus;
  const name = [{ service: "web", id: backend.id }];
  const routed = (over: Partial<BackendStatus>): Shown => ({
    services: [{ ...web, backends: [{ ...backend, ...over }] }],
    containers: [],
    readiness: [],
  });
  const offered = (over: Partial<RegistrationStatus>, ready = true): Shown => ({
    services: [],
    containers: [{ ...one, registrations: [{ ...registration, ...over }] }],
    readiness: [{ part: "announce", ready, reason: "" }],
  });
  const busy = { ...counters, active: 2 };

  it.each<[string, Shown, RegExp | undefined]>([
    ["a proxy that sends it requests", routed({}), /still takes requests/],
    ["a proxy that would in need", routed({ usable: false, health: "down" }), /still takes requests/],
    ["a proxy that waits for its last", routed({ local: "draining", counters: busy }), /has 2 requests/],
    ["a proxy that is done with it, told here", routed({ local: "draining" }), undefined],
    ["a proxy that is done with it, told by the registry", routed({ state: "draining" }), undefined],
    ["a proxy that has forgotten it", { services: [], containers: [], readiness: [] }, undefined],
    ["a nerve that has not written yet", offered({ state: "draining", announcedState: "up" }), /as up/],
    ["a nerve that has", offered({ announcedState: "draining" }), undefined],
    ["a nerve that does not offer it", offered({ health: "down" }), undefined],
    ["a nerve that cannot know", offered({ health: "down" }, false), /waits for the registry/],
  ])("%s", (_, shown, reason) => {
    const text = undrained(name, shown).join();
    if (reason === undefined) expect(text).toBe("");
    else expect(text).toMatch(reason);
  });

  const draining = async (drainedAfter: number): Promise<string> => {
    let asked = 0;
    return api((request) => {
      if (request.method === "PUT") return [200, {}];
      if (request.url === "/api/v1/containers") return [200, { containers: [] }];
      if (request.url !== "/api/v1/services") return whole(request);
      const busyOne = { ...backend, local: "draining", counters: ++asked > drainedAfter ? counters : busy };
      return [200, { services: [{ ...web, backends: [busyOne] }] }];
    });
  };
  const written = { forTime: undefined };

  it("asks until nothing is in progress", async () => {
    const said = terminal();
    const client = adminClient({ admin: await draining(2) }, {});
    expect(await drain(said, client, backend.id, { ...written, waitMs: 10_000 }, systemClock)).toBe(0);
    expect(said.out.at(-1)).toBe(`${backend.id} is drained`);
  });

  it("ends with 2 and the reason when it takes too long; at once without --wait", async () => {
    const said = terminal();
    const client = adminClient({ admin: await draining(1_000) }, {});
    expect(await drain(said, client, backend.id, { ...written, waitMs: 300 }, systemClock)).toBe(2);
    expect(said.errors.join()).toMatch(/not drained after 0\.3 s: .* has 2 requests/);
    expect(await drain(said, client, backend.id, { ...written, waitMs: undefined }, systemClock)).toBe(0);
  });
});

describe("targetOf", () => {
  it.each([
    ["127.0.0.1:3210", { host: "127.0.0.1", port: 3210 }],
    ["http://localhost:80/", { host: "localhost", port: 80 }],
    ["[::1]:3210", { host: "::1", port: 3210 }],
    ["unix:/run/x.sock", { socketPath: "/run/x.sock" }],
    ["unix:///run/x.sock", { socketPath: "/run/x.sock" }],
  ])("%s", (address, target) => {
    expect(targetOf(address)).toEqual(target);
  });

  it.each(["localhost", "https://a:1", "a:b", ""])("refuses %j", (address) => {
    expect(() => targetOf(address)).toThrow("expected host:port or unix:/path");
  });
});

describe("table", () => {
  it("lines columns up and leaves no trailing blanks", () => {
    expect(
      table([
        ["A", "BB", "C"],
        ["aaa", "b"],
        ["", "", "c"],
      ]),
    ).toEqual(["A    BB  C", "aaa  b", "         c"]);
  });
});
