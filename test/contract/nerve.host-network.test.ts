import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { until } from "@smartstack/core/testing";
import { expect, test } from "vitest";
import { startStack } from "../e2e/support/stack.ts";
import { sharedEngine } from "../support/shared-engine.ts";

test("on the host's network: who listens on the loopback only is not announced under the host's address", async () => {
  const engine = await sharedEngine();
  const label = `host-network-${process.pid}`;
  const folder = mkdtempSync(path.join(tmpdir(), "smartstack-host-network-"));
  const containers: string[] = [];
  const web = async (port: number, env: Readonly<Record<string, string>>): Promise<string> => {
    const labels = { [label]: "1", "smartstack.service": "web", "smartstack.port": String(port) };
    const id = await engine.run({ network: "host", labels, env: { PORT: String(port), ...env } });
    containers.push(id);
    return id;
  };
  const registry = { type: "file", prefix: path.join(folder, "registry") };
  const docker = { host: engine.host, advertise: engine.hostAddress, filter: { label } };
  const nerve = await startStack("nerve", { registry, docker, on_stop: "withdraw" }, engine);
  try {
    const outside = await web(18085, {});
    const inside = await web(18086, { HOST: "127.0.0.1" });
    const of = async (id: string) => (await nerve.containers()).find((known) => known.id === id)?.registrations[0];
    await until(async () => (await of(outside))?.announced, { what: "the one that all reach is announced" });
    await until(async () => (await engine.docker("logs", inside)).includes("listening"), { what: "the other listens" });
    // Two failures after it listened conclude; the engine's host has an address of its own beside the loopback.
    await until(async () => (await of(inside))?.health === "down", { what: "the other's check has spoken" });
    expect(await of(outside)).toMatchObject({
      address: `${engine.hostAddress}:18085`,
      check: `tcp ${engine.hostAddress}:18085`,
    });
    expect((await of(inside))?.reason).toBe(`connect ECONNREFUSED ${engine.hostAddress}:18086`);
    expect(readdirSync(path.join(registry.prefix, "web"))).toEqual([`${outside.slice(0, 12)}-18085.json`]);
  } finally {
    await nerve.stop();
    await engine.remove(...containers);
    rmSync(folder, { recursive: true, force: true });
  }
});
