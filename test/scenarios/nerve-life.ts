import { until } from "@smartstack/core/testing";
import { expect } from "vitest";
import { startStack } from "../e2e/support/stack.ts";
import { timed } from "../support/pauses.ts";
import { scenario } from "./support/scene.ts";
import { GONE_MS, registryConfig, type Stage, startRegistry } from "./support/stage.ts";

/** What the end of a nerve does to its entries. */
export function lifeOfNerve(stage: () => Stage): void {
  scenario(
    stage,
    "A13 nerve dies, comes back: what was removed meanwhile goes within 3 s of its start",
    async (scene) => {
      const { registry, server } = scene.stage;
      // So long that nothing goes by itself.
      const nerve = await scene.nerve({}, { registry: { ...registryConfig(registry, server.endpoint), ttl: "30s" } });
      const ids: string[] = [];
      for (let count = 0; count < 5; count++) ids.push(await scene.web({ private: true }));
      await scene.offered(5);
      const survivors = ids.slice(0, 2);
      await nerve.kill("SIGKILL");
      await scene.engine.docker("rm", "-f", ...ids.slice(2));
      expect(scene.entries()).toHaveLength(5);
      const again = await nerve.again();
      try {
        expect(await timed(() => scene.offered(2))).toBeLessThan(3_000);
        const announced = scene.entries().map(({ container }) => container);
        expect(announced.sort()).toEqual(survivors.map((id) => id.slice(0, 12)).sort());
        const writes = survivors.flatMap((id) => scene.writes(id));
        expect(writes.every(({ document }) => document !== undefined)).toBe(true);
      } finally {
        await again.stop();
      }
    },
  );

  scenario(stage, "A14 one of two hosts loses power: its entries expire, the other's are untouched", async (scene) => {
    const [living, dying] = [`${scene.service}-a`, `${scene.service}-b`];
    await scene.nerve({ node: living, filter: { label: living } });
    const victim = await scene.nerve({ node: dying, filter: { label: dying } });
    const stays = await scene.web({ private: true, labels: { [living]: "1" } });
    const goes = await scene.web({ private: true, labels: { [dying]: "1" } });
    await scene.offered(2);
    const powerOffMs = Date.now();
    await Promise.all([victim.kill("SIGKILL"), scene.engine.remove(goes)]);
    await scene.offered(1);
    const tookMs = (scene.writes(goes).at(-1)?.atMs ?? 0) - powerOffMs;
    expect(tookMs - scene.stage.pauses.stoodStillMs(powerOffMs)).toBeLessThan(GONE_MS[scene.stage.registry]);
    expect(scene.writes(stays)).toHaveLength(1);
    process.stdout.write(`A14 over ${scene.stage.registry}: expired ${tookMs} ms after the power went\n`);
  });

  toldToStop(stage);
}

function toldToStop(stage: () => Stage): void {
  scenario(
    stage,
    "A16 nerve is told to stop: its entries are withdrawn before it is gone, exit code 0",
    async (scene) => {
      const nerve = await scene.nerve();
      await scene.web({ private: true });
      await scene.offered(1);
      expect(await timed(() => nerve.kill("SIGTERM"))).toBeLessThan(5_000);
      expect(await nerve.child.exited).toBe(0);
      expect(await timed(() => scene.offered(0))).toBeLessThan(1_000);
    },
  );

  scenario(stage, "A16 nerve is told to stop, with on_stop keep: its entries outlive it", async (scene) => {
    const nerve = await scene.nerve({}, { on_stop: "keep" });
    const id = await scene.web({ private: true });
    await scene.offered(1);
    await nerve.kill("SIGTERM");
    expect(await nerve.child.exited).toBe(0);
    expect(scene.writes(id)).toHaveLength(1);
    await scene.offered(0);
  });

  scenario(stage, "A16 nerve is told to stop while the registry is down: exit code 0 within 5 s", async (scene) => {
    const { registry, engine } = scene.stage;
    const server = await startRegistry(registry);
    const docker = {
      host: engine.host,
      node: scene.service,
      advertise: engine.hostAddress,
      filter: { label: scene.label },
    };
    const config = { registry: registryConfig(registry, server.endpoint), docker, on_stop: "withdraw" };
    const nerve = await startStack("nerve", config).catch(async (error: unknown) => {
      await server.stop();
      throw error;
    });
    try {
      const id = await scene.web({ private: true });
      await until(async () => (await scene.status(id, nerve))?.registrations[0]?.announced, { what: "announced" });
      await server.kill();
      expect(await timed(() => nerve.kill("SIGTERM"))).toBeLessThan(5_000);
      expect(await nerve.child.exited).toBe(0);
    } finally {
      await nerve.stop();
      await server.stop();
    }
  });
}
