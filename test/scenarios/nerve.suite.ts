import { describe } from "vitest";
import { addresses } from "./addresses.ts";
import { conventions } from "./conventions.ts";
import { localDrains } from "./drains.ts";
import { engineApi, getOnly } from "./engine-api.ts";
import { health } from "./health.ts";
import { labels } from "./labels.ts";
import { lifecycle } from "./lifecycle.ts";
import { type SharedRegistry, useStage } from "./support/stage.ts";
import { traffic } from "./traffic.ts";

/** The scenarios of nerve: real containers in, a real registry out, and `smartstack nerve` as users run it between them. */
export function nerveScenarios(registry: SharedRegistry): void {
  describe(`nerve over ${registry}`, () => {
    const stage = useStage(registry);
    lifecycle(stage);
    addresses(stage);
    labels(stage);
    conventions(stage);
    health(stage);
    traffic(stage);
    // What does not touch the registry is played once.
    if (registry === "etcd") {
      engineApi(stage);
      localDrains(stage);
    }
    getOnly(stage);
  });
}
