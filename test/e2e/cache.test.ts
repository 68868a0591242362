import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { until } from "@smartstack/core/testing";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { command } from "../support/command.ts";
import { timed } from "../support/pauses.ts";
import { freePort } from "../support/ports.ts";
import { sharedEngine } from "../support/shared-engine.ts";
import { type Fleet, startFleet } from "./support/fleet.ts";
import { type Chain, type Server, startChain } from "./support/registries.ts";
import { COMMAND } from "./support/stack.ts";

describe("a synapse that starts without its registry", () => {
  const cache = mkdtempSync(path.join(tmpdir(), "smartstack-cache-"));
  let chain: Chain;
  let fleet: Fleet;
  let port: number;

  beforeAll(async () => {
    const engine = await sharedEngine();
    port = await freePort();
    chain = await startChain({ engine, registry: "etcd", synapse: { cache } });
    fleet = await startFleet(engine, {
      labels: { "smartstack.service": "web", "smartstack.mode": "http", "smartstack.listen": String(port) },
      publish: ["80"],
      expose: [80],
    });
    await fleet.start();
    await fleet.start();
  });

  afterAll(async () => {
    await fleet?.close();
    await chain?.close();
    rmSync(cache, { recursive: true, force: true });
  });

  it("serves from its cache within a second, and follows the registry once it is back", async () => {
    const server = chain.server as Server;
    const ask = async (): Promise<string> => {
      const response = await fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(1_000) });
      if (!response.ok) throw new Error(`status ${response.status}`);
      return (await response.text()).split(" ")[0] as string;
    };
    const everyone = async (): Promise<boolean> => {
      const seen = new Set<string>();
      for (let count = 0; count < 8; count++) seen.add(await ask());
      return fleet.living().every((replica) => seen.has(replica.id));
    };
    await until(everyone, { what: "all replicas answer" });
    await until(() => fleet.living().every((replica) => cached(cache).includes(replica.id)), {
      what: "the view is written",
    });

    await server.kill("SIGKILL");
    await chain.synapse.kill("SIGKILL");
    const bareMs = await bareStartMs();
    const starting = chain.synapse.again();
    const tookMs = await timed(() => until(ask, { what: "an answer from the cache", everyMs: 5 }));
    chain.processes[1] = await starting;
    const told = `first answer ${Math.round(tookMs)} ms after the process was started`;
    console.info(`${told}; a process that only tells its version takes ${Math.round(bareMs)} ms`);
    // On a machine that has other things to do, any process takes its time.
    expect(tookMs).toBeLessThanOrEqual(Math.max(1_000, 4 * bareMs));
    expect((await chain.synapse.ready()).status).toBe(503);

    await server.restart();
    await until(async () => (await chain.synapse.ready()).status === 200, {
      what: "synapse reads the registry again",
      timeoutMs: 20_000,
    });
    const came = await fleet.start();
    await until(async () => (await ask()) === came.id, { what: "a new replica answers" });
  });
});

/** How long the command takes to start and do nothing, now. */
async function bareStartMs(): Promise<number> {
  const startedMs = performance.now();
  await command(process.execPath, [COMMAND, "--version"]);
  return performance.now() - startedMs;
}

function cached(folder: string): string {
  // What is still being written does not count: the kill that follows would undo it.
  return readdirSync(folder)
    .filter((file) => !file.endsWith(".tmp"))
    .map((file) => readFileSync(path.join(folder, file), "utf8"))
    .join("\n");
}
