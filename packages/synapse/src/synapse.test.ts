import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventBus, type NodeEntry, type Registry, StackError, type StackEvent } from "@smartstack/core";
import { type FakeClock, fakeClock, seededRandom } from "@smartstack/core/testing";
import type { Proxy as DataPlane, ServiceSpec, Snapshot } from "@smartstack/proxy";
import { openRegistry } from "@smartstack/registry";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { cacheFile } from "./cache.ts";
import { synapseConfig } from "./config.ts";
import { createSynapse, type Synapse, type SynapseDeps } from "./synapse.ts";

const OWNER: NodeEntry = { node: "n1", boot: "b1", since: 0, host: "n1" };

/** A proxy that only remembers what it was told. */
function fakeProxy(): DataPlane & { readonly applied: Snapshot[]; local: string[]; closed: number[] } {
  const applied: Snapshot[] = [];
  const local: string[] = [];
  const closed: number[] = [];
  return {
    applied,
    local,
    closed,
    apply: (snapshot) => void applied.push(snapshot),
    settled: () => Promise.resolve(),
    status: () => [],
    setLocalState(service, key, state) {
      local.push(`${service}/${key} ${state}`);
      return service === "web";
    },
    close: async ({ graceMs }) => void closed.push(graceMs),
  };
}

let clock: FakeClock;
let registry: Registry;
let proxy: ReturnType<typeof fakeProxy>;
let seen: StackEvent[];
let synapse: Synapse;
let reachable: boolean;

beforeEach(async () => {
  clock = fakeClock();
  const events = eventBus();
  seen = [];
  events.subscribe((event) => seen.push(event));
  registry = await openRegistry({ type: "memory" }, { clock, random: seededRandom(1), events });
  proxy = fakeProxy();
  reachable = true;
});

afterEach(async () => {
  await synapse.stop();
  await registry.close();
});

async function begin(config: unknown, more: Partial<SynapseDeps> = {}): Promise<void> {
  const events = eventBus();
  events.subscribe((event) => seen.push(event));
  synapse = createSynapse(synapseConfig.parse(config), {
    registryFor: async () => {
      if (reachable) return registry;
      throw new StackError("REGISTRY_UNREACHABLE", "connection refused", { side: "registry", retry: "after-backoff" });
    },
    proxy,
    clock,
    random: seededRandom(1),
    events,
    defaultDiscover: "*",
    ...more,
  });
  await synapse.start();
}

const latest = (): readonly ServiceSpec[] => proxy.applied.at(-1)?.services ?? [];
const keys = (service: string): string[] =>
  (latest().find(({ name }) => name === service)?.backends ?? []).map(({ key }) => key);
const registryPart = (): unknown => synapse.readiness().find(({ part }) => part === "registry");
const named = (name: string): unknown[] => seen.filter((event) => event.name === name).map(({ data }) => data);

async function announce(service = "web", id = "i1", port = 8_080) {
  const instance = { host: "10.0.0.1", port, node: "n1", boot: "b1", listen: 3_000, mode: "http" } as const;
  const session = await registry.announce(OWNER, [], new AbortController().signal);
  await session.put({ service, id, instance });
  return session;
}

describe("createSynapse", () => {
  it("discovers a service, and opens what it publishes", async () => {
    await begin({});
    await announce();
    await clock.advance(20);
    expect(latest()).toMatchObject([{ name: "web", mode: "http", backends: [{ key: "i1", port: 8_080 }] }]);
    expect(named("service.discovered")).toEqual([{ service: "web" }]);
    expect(named("backend.added")).toEqual([{ service: "web", id: "i1", address: "10.0.0.1:8080" }]);
    expect(registryPart()).toMatchObject({ ready: true });
  });

  it("discovers only what its globs say", async () => {
    await begin({ discover: ["api-*"] });
    await announce("web");
    await clock.advance(20);
    expect(latest()).toEqual([]);
    expect(synapse.services()).toEqual([]);
  });

  it("takes a withdrawn instance out at once, down to the last", async () => {
    await begin({});
    const session = await announce();
    await clock.advance(20);
    await session.drop("web", "i1");
    await clock.advance(20);
    expect(keys("web")).toEqual([]);
    expect(latest()).toMatchObject([{ name: "web", listen: [{ port: 3_000 }, { port: 3_000 }] }]);
  });

  it("serves default servers and static listeners at once while the registry is away, and says so", async () => {
    reachable = false;
    const service = { default_servers: [{ host: "10.0.0.9", port: 80 }], proxy: { listen: ["127.0.0.1:3000"] } };
    await begin({ services: { web: service } });
    expect(proxy.applied[0]?.services).toMatchObject([
      { name: "web", backends: [{ key: "10.0.0.9:80" }], stale: false },
    ]);
    await clock.advance(2_000);
    expect(latest()).toMatchObject([{ name: "web", stale: true }]);
    expect(registryPart()).toEqual({ part: "registry", ready: false, reason: "default registry: connection refused" });
    expect(synapse.services()[0]?.stale?.reason).toBe("connection refused");
    expect(named("registry.disconnected")).toHaveLength(1);
    reachable = true;
    await announce();
    await clock.advance(5_000);
    expect(latest()).toMatchObject([{ name: "web", stale: false, backends: [{ key: "i1" }] }]);
    expect(registryPart()).toMatchObject({ ready: true });
    expect(named("registry.connected")).toHaveLength(1);
  });

  it("needs no registry for a fixed pool", async () => {
    reachable = false;
    const service = { discovery: { method: "base" }, default_servers: [{ host: "10.0.0.9", port: 80 }] };
    await begin({ discover: [], services: { web: { ...service, proxy: { listen: "3000" } } } });
    await clock.advance(10_000);
    expect(latest()).toMatchObject([{ name: "web", stale: false, backends: [{ key: "10.0.0.9:80" }] }]);
    expect(registryPart()).toEqual({ part: "registry", ready: true, reason: "no registry in use" });
  });

  it("lets a suspect go that the proxy finds down", async () => {
    await begin({});
    const session = await announce();
    await clock.advance(20);
    await session.close("withdraw");
    await clock.advance(20);
    // Whether a withdrawal arrives in one batch or two is the driver's affair: out, or suspect.
    if (keys("web").length > 0) {
      synapse.onHealth({ service: "web", key: "i1", up: false, reason: "refused" });
      await clock.advance(4_000);
    }
    expect(keys("web")).toEqual([]);
  });

  it("coalesces a thousand arrivals into few snapshots", async () => {
    await begin({});
    const session = await announce();
    for (let at = 0; at < 1_000; at++) {
      const instance = { host: "10.0.1.1", port: 10_000 + at, node: "n1", boot: "b1" };
      await session.put({ service: "web", id: `m${at}`, instance });
    }
    await clock.advance(20);
    expect(keys("web")).toHaveLength(1_001);
    expect(proxy.applied.length).toBeLessThan(10);
  });

  it("applies nothing when nothing changed", async () => {
    await begin({});
    await announce();
    await clock.advance(100);
    const before = proxy.applied.length;
    await clock.advance(60_000);
    expect(proxy.applied).toHaveLength(before);
  });

  it("takes a new config without touching what it does not concern", async () => {
    const web = { discovery: { method: "base" }, default_servers: [{ host: "10.0.0.9", port: 80 }] };
    await begin({ discover: [], services: { web: { ...web, proxy: { listen: "3000" } } } });
    const before = latest()[0];
    synapse.reconfigure(
      synapseConfig.parse({
        discover: [],
        services: { web: { ...web, proxy: { listen: "3000" } }, api: { ...web, proxy: { listen: "3001" } } },
      }),
    );
    await clock.advance(20);
    expect(latest().map(({ name }) => name)).toEqual(["api", "web"]);
    expect(latest()[1]).toEqual(before);
    synapse.reconfigure(synapseConfig.parse({ discover: [] }));
    await clock.advance(20);
    expect(latest()).toEqual([]);
    expect(synapse.services()).toEqual([]);
  });

  it("ends a local state after its time", async () => {
    await begin({});
    expect(synapse.setLocalState("nope", "i1", "draining", 5_000)).toBe(false);
    expect(synapse.setLocalState("web", "i1", "draining", 5_000)).toBe(true);
    await clock.advance(4_999);
    expect(proxy.local.at(-1)).toBe("web/i1 draining");
    await clock.advance(1);
    expect(proxy.local.at(-1)).toBe("web/i1 undefined");
  });

  it("stops with its grace, or with the one it is given, once", async () => {
    await begin({ shutdown_grace: "3s" });
    await Promise.all([synapse.stop(), synapse.stop()]);
    expect(proxy.closed).toEqual([3_000]);
    await synapse.stop({ graceMs: 0 });
    expect(proxy.closed).toEqual([3_000, 0]);
    expect(clock.pending()).toBe(0);
  });

  it.each([[["api", "web"]], [["web", "api"]]])(
    "lets a suspect go whose address is announced under another service, watched as %s",
    async (order) => {
      const folder = await mkdtemp(join(tmpdir(), "synapse-"));
      try {
        // Of a node that nobody knows any more, at the address that the rival has now.
        const document = JSON.stringify({ host: "10.0.0.1", port: 8_080, node: "gone", boot: "b0", listen: 3_001 });
        await writeFile(cacheFile(folder), JSON.stringify({ v: 1, services: { web: { old: document } } }));
        await announce("api", "new");
        await begin({ cache: folder, services: Object.fromEntries(order.map((name) => [name, {}])) });
        expect(keys("web")).toEqual(["old"]);
        await clock.advance(100);
        expect(keys("web")).toEqual([]);
        expect(keys("api")).toEqual(["new"]);
        expect(named("backend.removed")).toMatchObject([
          { id: "old", reason: "10.0.0.1:8080 is announced as new now" },
        ]);
      } finally {
        await synapse.stop();
        await rm(folder, { recursive: true, force: true });
      }
    },
  );

  it("serves the last view from its cache when it starts without a registry", async () => {
    const folder = await mkdtemp(join(tmpdir(), "synapse-"));
    try {
      await begin({ cache: folder });
      await announce();
      await clock.advance(20);
      await synapse.stop();

      reachable = false;
      proxy = fakeProxy();
      await begin({ cache: folder });
      expect(proxy.applied[0]?.services).toMatchObject([
        {
          name: "web",
          mode: "http",
          listen: [{ port: 3_000 }, { port: 3_000 }],
          backends: [{ key: "i1", suspect: true }],
        },
      ]);
      await clock.advance(3_600_000);
      expect(keys("web")).toEqual(["i1"]);
      expect(synapse.services()[0]?.backends[0]?.reason).toContain("remembered from an earlier run");
      reachable = true;
      await clock.advance(5_000);
      expect(latest()).toMatchObject([{ name: "web", backends: [{ key: "i1", suspect: false }] }]);
    } finally {
      await synapse.stop();
      await rm(folder, { recursive: true, force: true });
    }
  });
});
