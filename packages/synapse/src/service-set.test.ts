import { type Batch, eventBus, type Instance } from "@smartstack/core";
import { fakeClock } from "@smartstack/core/testing";
import { beforeEach, describe, expect, it } from "vitest";
import { synapseConfig } from "./config.ts";
import { type ServiceSet, serviceSet } from "./service-set.ts";
import type { Reader, RegistryLink } from "./service-watch.ts";

interface Watch {
  readonly reader: Reader<Batch>;
  readonly signal: AbortSignal;
}

let watches: Watch[];
let set: ServiceSet;

beforeEach(() => {
  watches = [];
  const link: RegistryLink = {
    read(reader, signal) {
      watches.push({ reader: reader as unknown as Reader<Batch>, signal });
      return new Promise((resolve) => signal.addEventListener("abort", () => resolve()));
    },
    state: () => undefined,
  };
  set = serviceSet({ clock: fakeClock(), events: eventBus(), linkFor: () => link, onChange: () => undefined });
});

function sync(
  services: Record<string, unknown>,
  globs: string[] = [],
  listed: string[] = [],
  inUse: string[] = [],
): void {
  set.sync(synapseConfig.parse({ services }), globs, listed, (name) => inUse.includes(name));
}

/** The whole truth about the service whose watch was begun as number `at`. */
function say(at: number, instances: Record<string, Partial<Instance>>): void {
  const entries = Object.entries(instances).map(([id, more]) => {
    const instance = { host: "10.0.0.1", port: 8_080, node: "gone", boot: "b", ...more };
    return { kind: "instance", id, instance } as const;
  });
  watches[at]?.reader.onNews([{ type: "reset", entries }]);
}

const names = (): string[] => set.wanted().map(({ name }) => name);
const known = (): Record<string, string[]> =>
  Object.fromEntries([...set.instances()].map(([name, instances]) => [name, [...instances.keys()]]));

describe("serviceSet", () => {
  it("watches what the config names and what is discovered, each once", () => {
    sync({ web: {} }, ["*"], ["api", "web"]);
    sync({ web: {} }, ["*"], ["api", "web"]);
    expect(names().sort()).toEqual(["api", "web"]);
    expect(watches).toHaveLength(2);
  });

  it("lets a service go that is listed no longer, once nothing is left of it", () => {
    sync({}, ["*"], ["web"]);
    say(0, { i1: {} });
    sync({}, ["*"], []);
    expect(names()).toEqual(["web"]);
    say(0, {});
    expect(known()).toEqual({ web: ["i1"] });
    // Still suspect, and then only its listener is left.
    sync({}, ["*"], [], ["web"]);
    expect(names()).toEqual(["web"]);
    sync({}, [], [], ["web"]);
    expect(names()).toEqual([]);
    expect(watches[0]?.signal.aborted).toBe(true);
  });

  it("lets a service go that left the config file, unless instances of it are known", () => {
    const fixed = { discovery: { method: "base" }, default_servers: [{ host: "10.0.0.1", port: 1 }] };
    sync({ web: {}, fixed, empty: {} }, ["*"]);
    say(0, { i1: {} });
    say(1, {});
    sync({}, ["*"], [], ["web", "fixed", "empty"]);
    expect(names()).toEqual(["web"]);
  });

  it("begins a new watch when a service is discovered elsewhere, and keeps its pool until that answers", () => {
    sync({ web: {} });
    say(0, { i1: {} });
    sync({ web: { discovery: { method: "memory" } } });
    expect(watches.map(({ signal }) => signal.aborted)).toEqual([true, false]);
    expect(known()).toEqual({ web: ["i1"] });
    say(1, { i2: { port: 9_090 } });
    expect(known()).toEqual({ web: ["i2"] });
  });

  it("watches nothing for a fixed pool", () => {
    sync({ web: {} });
    sync({ web: { discovery: { method: "base" } } });
    expect(watches.map(({ signal }) => signal.aborted)).toEqual([true]);
    expect(set.wanted()[0]?.view).toBeUndefined();
  });

  it("lets a suspect go whose address another service's watch had before", () => {
    sync({ api: {}, web: {} });
    say(1, { old: {} });
    say(0, { new: {} });
    expect(known()).toEqual({ api: ["new"], web: ["old"] });
    say(1, {});
    expect(known()).toEqual({ api: ["new"] });
  });

  it("ends all its watches", async () => {
    sync({ api: {}, web: {} });
    await set.close();
    expect(watches.every(({ signal }) => signal.aborted)).toBe(true);
  });
});
