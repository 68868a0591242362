import { until } from "@smartstack/core/testing";
import { describe, expect } from "vitest";
import { globalDrains } from "./drains.ts";
import { type Scene, scenario } from "./support/scene.ts";
import { asked, failures, load, servedAfter, serving } from "./support/serving.ts";
import { registryConfig, type Stage } from "./support/stage.ts";

/** A nerve that comes back within this takes its entries over before they expire. */
const TTL_MS = 10_000;
/** From the engine's `kill` to the registry. */
const WITHDRAWN_MS = 1_000;
/** From the registry to the proxy's last new request. */
const FOLLOWS_MS = 1_000;

/** What clients notice of a stopping replica, of drains and of nerve's own restarts: nothing. */
export function traffic(stage: () => Stage): void {
  describe("under load", () => {
    stopped(stage);
    globalDrains(stage);
    restarts(stage);
  });
}

function stopped(stage: () => Stage): void {
  const name = "D6 stopped, still serving for 5 s: withdrawn at once, no request fails, kept connections move";
  const work = async (scene: Scene): Promise<void> => {
    const { port, fleet, replicas } = await serving(scene, { env: { TERM_DELAY: "5000" } });
    const [goes, stays] = replicas;
    const running = load(port);
    await asked(running, 0);
    const stopping = scene.engine.docker("stop", "--time", "10", goes.container);
    const written = await until(() => scene.writes(goes.container).find(({ document }) => document === undefined), {
      what: "it is withdrawn",
      everyMs: 5,
    });
    const killedMs = await until(() => goes.endedMs, { what: "the engine's word" });
    const { pauses } = scene.stage;
    expect(written.atMs - killedMs - pauses.stoodStillMs(killedMs), "ms from the kill").toBeLessThan(WITHDRAWN_MS);
    const follows = (): boolean => Date.now() - written.atMs - pauses.stoodStillMs(written.atMs) > FOLLOWS_MS;
    await until(follows, { what: "the proxy has had its time" });
    const movedMs = Date.now();
    await asked(running, movedMs);
    expect(servedAfter(running, movedMs)).toEqual(new Set([stays.id]));
    await stopping;
    // It lived on until its own end came, not until the engine's patience did.
    expect(await scene.engine.docker("inspect", "--format", "{{.State.ExitCode}}", goes.container)).toBe("0");
    expect(await failures(running, fleet)).toEqual([]);
  };
  scenario(stage, name, work, "alone");
}

function restarts(stage: () => Stage): void {
  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    const how = signal === "SIGTERM" ? "told to stop, with on_stop keep," : "killed";
    const name = `A16 nerve is ${how} and started within its ttl: nobody is ever absent, no request fails`;
    scenario(stage, name, async (scene) => {
      const { registry, server } = scene.stage;
      const ttl = { ...registryConfig(registry, server.endpoint), ttl: `${TTL_MS}ms` };
      const nerve = await scene.nerve({}, { registry: ttl, on_stop: "keep" });
      const { port, fleet } = await serving(scene, { private: true });
      const running = load(port);
      await asked(running, 0);
      const stoppedMs = Date.now();
      await nerve.kill(signal);
      const again = await nerve.again();
      scene.closes(() => again.stop());
      await until(async () => (await again.ready()).status === 200, { what: "it is ready again" });
      expect(Date.now() - stoppedMs, "ms that nerve was away").toBeLessThan(TTL_MS);
      // Until the first one's lease, or session, is over for sure.
      await until(() => Date.now() - stoppedMs > TTL_MS + 1_000, { what: "the ttl is over", timeoutMs: 20_000 });
      expect(scene.writes(scene.service).filter(({ document }) => document === undefined)).toEqual([]);
      expect(scene.entries()).toHaveLength(2);
      expect(await failures(running, fleet)).toEqual([]);
    });
  }
}
