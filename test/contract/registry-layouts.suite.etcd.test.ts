import { decodeInstance } from "@smartstack/core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { etcdWipe, etcdWrite, startEtcd, type TestServer } from "../support/etcd.ts";
import { REGISTRY_CASES } from "./registry.suite.ts";
import { type RegistryCase, runCase } from "./registry-case.ts";
import { MISSED } from "./registry-cases-disruption.ts";
import { SERVICES_COME_BACK } from "./registry-cases-life.ts";
import type { RegistryHarness } from "./registry-harness.ts";
import { ADDRESSES, NUMBERED, type Writing, withWriter } from "./registry-layout-writer.ts";
import { controlOf, openers } from "./registry-real-harness.ts";

// What the conformance suite asks of who reads. The rest is about announcing, which these layouts are not for, and about
// node entries, which they do not have.

type LayoutName = "docker-register" | "nerve" | "registrator";

const OUTAGES = [MISSED, SERVICES_COME_BACK];
const READS: Readonly<Record<LayoutName, readonly RegistryCase[]>> = {
  "docker-register": [
    ...named(
      "applies updates in order, each once",
      "a repeated put writes nothing",
      "lists services",
      "two watchers see the same",
      "a stopped watcher gets nothing more, the others all",
      "an aborted watch ends at once",
      "a watch that begins aborted yields nothing",
      "breaking out of a watch lets go of it",
      "dropping what is not there reaches nobody",
      "a change of another service reaches nobody here",
      "a slow watcher misses nothing",
      "a hundred changes at once all arrive",
      "what comes and goes quickly ends as it should",
      "the list of services is sorted, and told on change only",
      "a service goes with its last instance and comes back",
      "a malformed document hides one instance",
      "close ends its watches",
      "closes within 2 s, twice at once",
    ),
    ...named(...OUTAGES),
  ],
  nerve: named(
    "applies updates in order, each once",
    "a repeated put writes nothing",
    "lists services",
    "dropping what is not there reaches nobody",
    "one change is one update",
    "a hundred changes at once all arrive",
    "what comes and goes quickly ends as it should",
    "a service goes with its last instance and comes back",
  ),
  registrator: named(
    "applies updates in order, each once",
    "a repeated put writes nothing",
    "lists services",
    "dropping what is not there reaches nobody",
    "a hundred changes at once all arrive",
    "a malformed document hides one instance",
  ),
};

function named(...names: readonly string[]): RegistryCase[] {
  return names.map((name) => REGISTRY_CASES.find((one) => one.name === name) ?? expect.fail(`no such case: ${name}`));
}

/** A document of ours as the other tool writes it; junk is junk in every layout. */
function asWritten(text: string, { textOf }: Writing): string {
  try {
    return textOf(decodeInstance(text));
  } catch {
    return text;
  }
}

const inOurs = (path: string): [service: string, id: string] => {
  const [service = "", id = ""] = path.split("/");
  return [service, id];
};

let server: TestServer;
let cases = 0;
beforeAll(async () => {
  server = await startEtcd();
});
afterAll(() => server?.stop());

function harnessOf(layout: LayoutName): RegistryHarness {
  const writing = layout === "nerve" ? NUMBERED : ADDRESSES;
  return {
    ttlMs: 3_000,
    goneMs: 4_000,
    nodeless: true,
    fresh() {
      const { endpoint } = server;
      const prefix = `/${layout}/case${cases++}`;
      const { open, events } = openers({ type: "etcd", hosts: [endpoint], prefix, ttl: 3_000, layout });
      const wipe = (): Promise<void> => etcdWipe(endpoint, `${prefix}/`);
      return {
        events,
        server: controlOf(server),
        open: async () => withWriter(await open(), endpoint, prefix, writing),
        read: () => expect.fail("nobody reads back what a plain writer wrote"),
        foreign: (path, text) =>
          etcdWrite(
            endpoint,
            `${prefix}/${writing.keyOf(...inOurs(path))}`,
            text === undefined ? undefined : asWritten(text, writing),
          ),
        wipe,
        done: wipe,
      };
    },
    stop: async () => undefined,
  };
}

describe.each(Object.entries(READS))("registry etcd, to read, in the layout of %s", (layout, all) => {
  const harness = harnessOf(layout as LayoutName);
  const [disturbing, peaceful] = [true, false].map((is) => all.filter(({ name }) => OUTAGES.includes(name) === is));
  it.concurrent.each(peaceful ?? [])("$name", (one) => runCase(one, harness), 45_000);
  it.each(disturbing ?? [])("$name", (one) => runCase(one, harness), 45_000);
  it("count", () => console.log(`${layout}: ${all.length} cases of ${REGISTRY_CASES.length}`));
});
