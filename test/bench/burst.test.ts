import { afterAll, beforeAll, expect, test } from "vitest";
import type { SharedRegistry } from "../scenarios/support/stage.ts";
import { type BurstHalf, playBurst } from "../support/burst.ts";
import { type OwnEngine, startDocker } from "../support/docker.ts";
import { networkOfSlot } from "../support/engine-network.ts";
import { importNodeImage } from "../support/image.ts";

const CONTAINERS = Number(process.env.BENCH_CONTAINERS ?? 300);
const ASKED = process.env.BENCH_REGISTRY ?? "both";
const REGISTRIES: readonly SharedRegistry[] = ASKED === "both" ? ["etcd", "zookeeper"] : [ASKED as SharedRegistry];

let engine: OwnEngine;
beforeAll(async () => {
  engine = await startDocker();
  await importNodeImage(engine);
  // The default bridge has room for 253 only.
  const third = Number(networkOfSlot(engine.slot.number).outside.split(".")[2]) + 6;
  await engine.docker("network", "create", "--subnet", `10.213.${third}.0/23`, "burst");
});
afterAll(() => engine?.stop());

test.each(REGISTRIES)("%s", async (registry) => {
  const { started, removed, wrong, usage } = await playBurst({
    ...{ engine, registry, network: "burst", containers: CONTAINERS },
  });
  const half = (what: string, { engineMs, lagMs, ...rest }: BurstHalf, targetS: number): string =>
    `  ${what}: the engine took ${seconds(engineMs)} s; nerve was ${seconds(lagMs)} s behind its last event (target ${targetS}), ` +
    `${rest.inspects} inspects, at most ${rest.inspectsMax} of a container (target 2), ` +
    `${rest.puts} puts, ${rest.deletes} deletes, ${seconds(rest.cpuMs)} s of CPU\n`;
  process.stdout.write(
    `\nburst of ${CONTAINERS} over ${registry}\n${half("started", started, 5)}${half("removed", removed, 3)}` +
      `  nerve's memory at its highest: ${Math.round(usage.peakBytes / 2 ** 20)} MiB (target 150)\n`,
  );
  expect(wrong).toEqual([]);
});

function seconds(ms: number): string {
  return (ms / 1_000).toFixed(2);
}
