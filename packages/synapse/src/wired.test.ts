import { mkdtemp, rm } from "node:fs/promises";
import { createServer, request, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type Batch,
  type Channel,
  channel,
  type EventBus,
  eventBus,
  type Registry,
  StackError,
  systemClock,
  systemRandom,
} from "@smartstack/core";
import { until } from "@smartstack/core/testing";
import { createProxy } from "@smartstack/proxy";
import { openRegistry } from "@smartstack/registry";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { synapseConfig } from "./config.ts";
import { createSynapse, type Synapse } from "./synapse.ts";

/** Synapse, the real proxy, real sockets and real time. */
let cleanups: (() => Promise<unknown>)[] = [];
let events: EventBus;

beforeEach(() => {
  events = eventBus();
});
afterEach(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
  cleanups = [];
});

async function backend(says: string): Promise<{ readonly port: number; close(): Promise<void> }> {
  const server: Server = createServer((_, response) => response.end(says));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  cleanups.push(close);
  return { port: (server.address() as AddressInfo).port, close };
}

async function begin(config: unknown, registry: () => Registry): Promise<Synapse> {
  const deps = { clock: systemClock, random: systemRandom, events };
  const proxy = createProxy({ ...deps, onHealth: (change) => synapse.onHealth(change) });
  const synapse: Synapse = createSynapse(synapseConfig.parse(config), {
    ...deps,
    proxy,
    registryFor: async () => registry(),
    defaultDiscover: "off",
  });
  await synapse.start();
  cleanups.push(() => synapse.stop({ graceMs: 0 }));
  return synapse;
}

function portOf(synapse: Synapse): number {
  return Number(synapse.services()[0]?.listeners[0]?.address.split(":").at(-1));
}

function get(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ host: "127.0.0.1", port, agent: false }, async (response) => {
      let text = "";
      for await (const chunk of response) text += String(chunk);
      resolve(`${response.statusCode} ${text}`);
    });
    outgoing.on("error", reject);
    outgoing.end();
  });
}

/** A registry whose watch says what the test feeds it. */
function scripted(): { readonly registry: Registry; readonly feed: (batch: Batch) => Promise<void> } {
  let feed: Channel<Batch> | undefined;
  const registry: Registry = {
    type: "scripted",
    announce: () => Promise.reject(new Error("not needed here")),
    watch(_, signal) {
      const made = channel<Batch>(100, () => new Error("overflow"));
      signal.addEventListener("abort", () => made.end());
      feed = made;
      return made;
    },
    services: () => channel<readonly string[]>(1, () => new Error("overflow")),
    status: () => ({
      type: "scripted",
      target: "test",
      connected: true,
      sinceMs: 0,
      counters: { loads: 0, batches: 0, writes: 0, writeFailures: 0 },
    }),
    close: async () => feed?.end(),
  };
  return {
    registry,
    async feed(batch) {
      (await until(() => feed, { what: "the watch" })).push(batch);
    },
  };
}

const WEB = { proxy: { listen: ["127.0.0.1:0"], mode: "http" } };

describe("synapse with the real proxy", () => {
  it("serves what is announced until it is withdrawn, and stays bound", async () => {
    const registry = await openRegistry({ type: "memory" }, { clock: systemClock, random: systemRandom, events });
    cleanups.push(() => registry.close());
    const synapse = await begin({ services: { web: WEB } }, () => registry);
    const port = portOf(synapse);
    expect(await get(port)).toMatch(/^503 /);
    const { port: backendPort } = await backend("hello");
    const owner = { node: "n1", boot: "b1", since: 0, host: "n1" };
    const session = await registry.announce(owner, [], new AbortController().signal);
    const instance = { host: "127.0.0.1", port: backendPort, node: "n1", boot: "b1" };
    await session.put({ service: "web", id: "i1", instance });
    await until(async () => (await get(port)) === "200 hello", { what: "the backend to be routed to" });
    expect(synapse.readiness()).toContainEqual({ part: "service:web", ready: true, reason: "1 of 1 backends usable" });
    expect(synapse.services()[0]?.backends[0]).toMatchObject({ id: "i1", usable: true, node: "n1" });
    await session.drop("web", "i1");
    await until(async () => (await get(port)).startsWith("503 "), { what: "the withdrawal" });
    expect(synapse.services()[0]?.listeners[0]?.state).toBe("bound");
  });

  it("keeps a backend that a registry forgot, until it dies", async () => {
    const { registry, feed } = scripted();
    const { port: backendPort, close } = await backend("still here");
    const check = { fall: 1, timeout: "2s", interval: "200ms" };
    const synapse = await begin({ services: { web: { proxy: { ...WEB.proxy, check } } } }, () => registry);
    const instance = { host: "127.0.0.1", port: backendPort, node: "n1", boot: "b1" };
    const node = { node: "n1", boot: "b1", since: 0, host: "n1" };
    const entries = [
      { kind: "instance", id: "i1", instance },
      { kind: "node", id: "n1", node },
    ] as const;
    await feed([{ type: "reset", entries }]);
    await until(() => synapse.services()[0]?.backends[0]?.usable, { what: "the backend" });
    await feed([{ type: "reset", entries: [] }]);
    await until(() => synapse.services()[0]?.backends[0]?.suspect, { what: "the suspect" });
    await until(() => synapse.services()[0]?.backends[0]?.health === "up", { what: "the suspect's probe" });
    expect(await get(portOf(synapse))).toBe("200 still here");
    await close();
    await until(() => synapse.services()[0]?.backends.length === 0, { what: "the dead suspect to leave" });
  });

  it("serves from its cache within a second when it starts without a registry", async () => {
    const folder = await mkdtemp(join(tmpdir(), "synapse-wired-"));
    cleanups.push(() => rm(folder, { recursive: true, force: true }));
    const config = { cache: folder, services: { web: WEB } };
    const { registry, feed } = scripted();
    const { port: backendPort } = await backend("from the cache");
    const first = await begin(config, () => registry);
    const instance = { host: "127.0.0.1", port: backendPort, node: "n1", boot: "b1" };
    await feed([{ type: "reset", entries: [{ kind: "instance", id: "i1", instance }] }]);
    await until(() => first.services()[0]?.backends[0]?.usable, { what: "the backend" });
    await first.stop({ graceMs: 0 });

    const startedMs = performance.now();
    const second = await begin(config, () => {
      throw new StackError("REGISTRY_UNREACHABLE", "refused", { side: "registry", retry: "after-backoff" });
    });
    expect(await get(portOf(second))).toBe("200 from the cache");
    expect(performance.now() - startedMs).toBeLessThan(1_000);
    expect(second.readiness()[0]).toMatchObject({ part: "registry", ready: false });
    expect(second.readiness()[1]).toMatchObject({ part: "service:web", ready: true });
  });
});
