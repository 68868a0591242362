import { until } from "@smartstack/core/testing";
import { describe, expect, it } from "vitest";
import type { StackProcess } from "../e2e/support/stack.ts";
import { startDockerProxy } from "../support/docker-proxy.ts";
import { timed } from "../support/pauses.ts";
import { ENDINGS, endIt } from "./support/endings.ts";
import { type Scene, scenario } from "./support/scene.ts";
import type { Stage } from "./support/stage.ts";

/** The oldest API of engines that nerve is made for: Docker 1.12, and the least that most newer engines answer to. */
const OLDEST = "1.24";
const RECONCILE_MS = 2_000;

/** The engine's API: its versions, what may be asked of it, and what becomes of a stream of events that says nothing. */
export function engineApi(stage: () => Stage): void {
  describe("A19", () => {
    for (const version of [OLDEST, "newest"]) {
      scenario(stage, `A19 Docker's API as of ${version}: A1, A2 and A3 all the same`, async (scene) => {
        const newest = await scene.engine.docker("version", "--format", "{{.Server.APIVersion}}");
        const apiVersion = version === "newest" ? newest : version;
        await wholeLife(scene, apiVersion);
      });
    }
  });

  scenario(
    stage,
    "E4 events that stop without a sign: corrected by the next comparison, and counted",
    async (scene) => {
      const proxy = await startDockerProxy({ socket: scene.engine.socket });
      scene.closes(() => proxy.close());
      const nerve = await scene.nerve({ host: proxy.host }, { reconcile: `${RECONCILE_MS}ms` });
      const goes = await scene.web({ private: true });
      await scene.offered(1);
      proxy.blackHole(true);
      const [comes] = await Promise.all([scene.web({ private: true }), scene.engine.docker("kill", goes)]);
      // What the engine needs for both is its own affair.
      const isTrue = (): boolean => scene.entries(goes).length === 0 && scene.entries(comes).length === 1;
      const tookMs = await timed(() => until(isTrue, { what: "what is announced is what runs", everyMs: 10 }));
      // Beside the comparison itself, what an event would have taken.
      expect(tookMs).toBeLessThan(RECONCILE_MS + 2_000);
      // Nerve gives the stream a moment to tell it after all.
      await until(async () => (await drifts(nerve)) > 0, { what: "the metric counts it" });
    },
  );
}

/** How often the engine's list said what no event had told. */
async function drifts(nerve: StackProcess): Promise<number> {
  const metrics = await (await fetch(`${nerve.admin}/metrics`)).text();
  return Number(/^smartstack_docker_drift_total (\d+)$/m.exec(metrics)?.[1]);
}

/** To be told last: what everything before it has asked the engine for. */
export function getOnly(stage: () => Stage): void {
  it("J1 all of it through a socket proxy: nothing but GET was asked for", () => {
    const { requests } = stage().proxy;
    expect(requests.filter((line) => !line.startsWith("GET "))).toEqual([]);
    const kinds = requests.map((line) => /^GET (\/\w+(\/json)?)/.exec(line.replace(/\/[0-9a-f]{64}/, ""))?.[1]);
    expect([...new Set(kinds)].sort()).toEqual(["/_ping", "/containers/json", "/events"]);
  });
}

/** Started, and ended in every way there is, as seen by a nerve that hears the engine in that version of its API. */
async function wholeLife(scene: Scene, apiVersion: string): Promise<void> {
  const proxy = await startDockerProxy({ socket: scene.engine.socket, apiVersion });
  scene.closes(() => proxy.close());
  const nerve = await scene.nerve({ host: proxy.host }, { reconcile: "1h" });
  await until(async () => (await nerve.ready()).status === 200, { what: "nerve is ready" });
  const living = [];
  for (const ending of Object.values(ENDINGS)) {
    const id = await scene.web({ ...ending.options, private: true });
    const entry = await scene.added(id);
    expect(entry).toMatchObject({ host: scene.engine.hostAddress, container: id.slice(0, 12) });
    living.push({ ending, id });
  }
  for (const { ending, id } of living) await scene.removes(id, () => endIt(scene.engine, ending, id));
  expect(scene.entries()).toEqual([]);
  expect(proxy.requests.filter((line) => !line.startsWith("GET "))).toEqual([]);
}
