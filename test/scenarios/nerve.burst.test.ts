import { until } from "@smartstack/core/testing";
import { describe, expect, test } from "vitest";
import { playBurst } from "../support/burst.ts";
import { inParallel } from "../support/engine-api.ts";
import { scenario } from "./support/scene.ts";
import { type SharedRegistry, useStage } from "./support/stage.ts";

/** Few enough for the default bridge and for two cores; `npm run bench:burst` plays it with 300. */
const CONTAINERS = 60;
const SHORT_LIVED = 10;

describe.each<SharedRegistry>(["etcd", "zookeeper"])("bursts over %s", (registry) => {
  const stage = useStage(registry);

  test("J3 as many containers as the engine can start at once: each announced once where it is, each withdrawn once", async () => {
    const { engine } = stage();
    const { started, removed, wrong } = await playBurst({
      engine,
      registry,
      network: "bridge",
      containers: CONTAINERS,
    });
    expect(wrong).toEqual([]);
    expect([started.puts, started.deletes]).toEqual([CONTAINERS, 0]);
    expect([removed.puts, removed.deletes]).toEqual([0, CONTAINERS]);
    expect(started.inspectsMax).toBeLessThanOrEqual(2);
    expect(removed.inspectsMax).toBeLessThanOrEqual(2);
  });

  scenario(
    stage,
    "A-50ms containers that live 50 ms: nothing of them stays, and none is announced twice",
    async (scene) => {
      const brief = { command: ["busybox", "sleep", "0.05"], labels: { "smartstack.check": "none" } };
      const ids = await inParallel(Array(SHORT_LIVED).fill(brief), 4, () => scene.web(brief));
      const ended = async (id: string): Promise<boolean> =>
        (await scene.status(id))?.refusals.includes("not running: exited") === true;
      await until(async () => (await Promise.all(ids.map(ended))).every(Boolean), { what: "nerve has seen all ends" });
      await scene.offered(0);
      for (const id of ids) {
        const kinds = scene.writes(id).map(({ document }) => (document === undefined ? "delete" : "put"));
        expect([[], ["put", "delete"]]).toContainEqual(kinds);
      }
    },
  );
});
