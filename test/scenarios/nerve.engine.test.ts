import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { until } from "@smartstack/core/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type StackProcess, startStack } from "../e2e/support/stack.ts";
import { type OwnEngine, startDocker } from "../support/docker.ts";
import { etcdRead, startEtcd, type TestServer } from "../support/etcd.ts";
import { importNodeImage } from "../support/image.ts";
import { timed } from "../support/pauses.ts";
import { watchEtcd, writesOf } from "./support/ledger.ts";
import { PREFIX, registryConfig } from "./support/stage.ts";

let engine: OwnEngine;
let server: TestServer;
let nerve: StackProcess | undefined;

beforeAll(async () => {
  [engine, server] = await Promise.all([startDocker(), startEtcd()]);
  await importNodeImage(engine);
});
afterAll(async () => {
  await nerve?.stop();
  await server.stop();
  engine.stop();
});

const startNerve = (): Promise<StackProcess> =>
  startStack("nerve", {
    registry: registryConfig("etcd", server.endpoint),
    docker: { host: engine.host, node: "engine", advertise: engine.hostAddress },
    reconcile: "1h",
  });

const web = (...extra: string[]): Promise<string> =>
  engine.run({
    labels: { "smartstack.service": "web" },
    publish: ["80"],
    command: ["busybox", "httpd", "-f", "-p", "80"],
    stopTimeout: 1,
    extra,
  });

/** What lies in the registry, as `container port`. */
async function announced(): Promise<string[]> {
  const documents = [...(await etcdRead(server.endpoint, `${PREFIX}/web/`)).values()];
  return documents.map((text) => JSON.parse(text)).map(({ container, port }) => `${container} ${port}`);
}

async function real(...ids: string[]): Promise<string[]> {
  const ports = await Promise.all(ids.map((id) => engine.docker("port", id, "80")));
  return ids.map((id, at) => `${id.slice(0, 12)} ${ports[at]?.split("\n")[0]?.split(":").pop()}`);
}

async function announcedAsReal(withinMs: number, ...ids: string[]): Promise<void> {
  const wanted = (await real(...ids)).sort().join();
  const isReal = async (): Promise<boolean> => (await announced()).sort().join() === wanted;
  const timeoutMs = withinMs + 10_000;
  expect(await timed(() => until(isReal, { what: `${wanted} alone`, timeoutMs }))).toBeLessThan(withinMs);
}

describe("the engine's own life", () => {
  test("E11 no engine yet: waits, says so, and registers when its socket appears", async () => {
    await engine.halt();
    nerve = await startNerve();
    const ready = await nerve.ready();
    expect(ready.status).toBe(503);
    expect(ready.body).toMatch(/docker/);
    await engine.start();
    const id = await web();
    await announcedAsReal(10_000, id);
    expect((await nerve.ready()).status).toBe(200);
    await engine.remove(id);
    await announcedAsReal(1_000);
  });

  test("E1 the engine restarts, without its containers and on a new socket: what is announced is real 4 s later", async () => {
    const comesBack = await web("--restart=always");
    const staysDown = await web();
    await announcedAsReal(5_000, comesBack, staysDown);
    await engine.restart();
    await until(async () => (await engine.docker("port", comesBack, "80")) !== "", { what: "it is back" });
    await announcedAsReal(4_000, comesBack);
    expect(nerve?.child.running()).toBe(true);
    const late = await web();
    await announcedAsReal(2_000, comesBack, late);
    await engine.remove(comesBack, staysDown, late);
  });

  test("E2 the engine restarts, its containers run on: no entry is ever removed, and what comes after is seen", async () => {
    await nerve?.stop();
    const settings = path.join(engine.slot.folder, "daemon.json");
    const given = JSON.parse(readFileSync(settings, "utf8")) as object;
    writeFileSync(settings, JSON.stringify({ ...given, "live-restore": true }));
    await engine.restart();
    nerve = await startNerve();
    const ledger = await watchEtcd(server.endpoint, PREFIX);
    try {
      const stays = [await web(), await web()];
      await announcedAsReal(5_000, ...stays);
      const startedAt = (): Promise<string> => engine.docker("inspect", "--format", "{{.State.StartedAt}}", ...stays);
      const before = await startedAt();
      await engine.halt();
      await until(async () => (await nerve?.ready())?.status === 503, { what: "nerve has noticed" });
      await engine.start();
      await until(async () => (await nerve?.ready())?.status === 200, { what: "nerve is back" });
      expect(await startedAt()).toBe(before);
      const late = await web();
      await announcedAsReal(2_000, ...stays, late);
      await engine.docker("kill", stays[1] ?? "");
      await announcedAsReal(2_000, stays[0] ?? "", late);
      const gone = writesOf(ledger, "web").filter(({ document }) => document === undefined);
      expect(gone.map(({ path }) => path)).toEqual([expect.stringContaining(stays[1]?.slice(0, 12) ?? "-")]);
      await engine.remove(...stays, late);
    } finally {
      await ledger.close();
    }
  });
});
