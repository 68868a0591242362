import { until } from "@smartstack/core/testing";
import { describe, expect } from "vitest";
import { scenario } from "./support/scene.ts";
import {
  asked,
  failures,
  type HeldRequest,
  holdRequest,
  load,
  type Serving,
  servedAfter,
  serving,
} from "./support/serving.ts";
import type { Stage } from "./support/stage.ts";

/** Group D: what an operator takes out of one synapse's traffic, which no registry hears of. */
export function localDrains(stage: () => Stage): void {
  describe("D by an operator", () => {
    scenario(
      stage,
      "D7 drained: nothing new, what is in progress ends, then it is reported; undone by undrain",
      async (scene) => {
        const served = await serving(scene);
        const { port, fleet, synapse, replicas, usable, active } = served;
        const [goes, stays] = replicas;
        const held = await holdBoth(served);
        const drain = synapse.operate("drain", goes.id, "--wait");
        await until(async () => (await usable()).join() === stays.id, { what: "nothing new for it" });
        const running = load(port);
        await asked(running, 0);
        expect(servedAfter(running, 0)).toEqual(new Set([stays.id]));
        expect(await active(goes)).toBe(1);
        expect(await finishBoth(held)).toEqual([200, 200]);
        expect(await drain).toEqual({ code: 0, output: expect.stringMatching(/is drained/) });
        expect(await active(goes)).toBe(0);
        expect((await synapse.operate("undrain", goes.id)).code).toBe(0);
        await until(() => servedAfter(running, 0).has(goes.id), { what: "it serves again" });
        expect(await failures(running, fleet)).toEqual([]);
        expect(scene.writes(goes.container)).toHaveLength(1);
      },
    );

    scenario(stage, "D8 drained for 3 s: back by itself", async (scene) => {
      const { synapse, replicas, usable } = await serving(scene);
      const sinceMs = Date.now();
      // Looked for from the beginning: the command itself may end when the 3 s are nearly over.
      const drained = until(async () => (await usable()).join() === replicas[1].id, { what: "drained" });
      const draining = synapse.operate("drain", replicas[0].id, "--for", "3s");
      await drained;
      expect((await draining).code).toBe(0);
      await until(async () => (await usable()).length === 2, { what: "both serve again" });
      expect(Date.now() - sinceMs).toBeGreaterThanOrEqual(3_000);
    });

    scenario(stage, "D9 wait until it is down: fails while that takes too long, returns when it is", async (scene) => {
      const served = await serving(scene);
      const { synapse, replicas } = served;
      const held = await holdBoth(served);
      const inVain = await synapse.operate("drain", replicas[0].id, "--wait", "--timeout", "500ms");
      expect(inVain).toEqual({ code: 2, output: expect.stringMatching(/not drained after 0\.5 s: .* has 1 request/) });
      expect(await finishBoth(held)).toEqual([200, 200]);
      expect((await synapse.operate("drain", replicas[0].id, "--wait")).code).toBe(0);
    });
  });
}

/** The same at nerve, where it holds for every synapse. */
export function globalDrains(stage: () => Stage): void {
  scenario(
    stage,
    "D7 drained at nerve: the registry has it, every synapse follows; undone by undrain",
    async (scene) => {
      const nerve = await scene.nerve();
      const { replicas, usable } = await serving(scene, { private: true });
      const [goes, stays] = replicas;
      expect((await nerve.operate("drain", goes.id, "--wait")).code).toBe(0);
      await until(() => scene.entries(goes.container)[0]?.state === "draining", { what: "it is written" });
      await until(async () => (await usable()).join() === stays.id, { what: "nothing new for it" });
      expect((await nerve.operate("undrain", goes.id)).code).toBe(0);
      await until(async () => (await usable()).length === 2, { what: "both serve again" });
    },
  );
}

/** One request in progress at each of the two. */
async function holdBoth({ port, replicas, active }: Serving): Promise<readonly HeldRequest[]> {
  const held = [holdRequest(port), holdRequest(port)];
  await until(async () => (await active(replicas[0])) === 1 && (await active(replicas[1])) === 1, {
    what: "each is busy",
  });
  return held;
}

function finishBoth(held: readonly HeldRequest[]): Promise<number[]> {
  return Promise.all(held.map((each) => each.finish()));
}
