import { until } from "@smartstack/core/testing";
import { describe, expect } from "vitest";
import { runArguments } from "../support/container.ts";
import { lifeOfNerve } from "./nerve-life.ts";
import { ENDINGS, endIt } from "./support/endings.ts";
import { type Scene, scenario } from "./support/scene.ts";
import type { Stage } from "./support/stage.ts";

async function publishedPort(scene: Scene, container: string): Promise<number> {
  return Number((await scene.engine.docker("port", container, "80")).split("\n")[0]?.split(":").pop());
}

/** Group A: a container's life, and nerve's own. */
export function lifecycle(stage: () => Stage): void {
  describe("A", () => {
    startsAndEnds(stage);
    changesOnly(stage);
    outOfMemory(stage);
    lifeOfNerve(stage);
    createdAndComposed(stage);
  });
}

function startsAndEnds(stage: () => Stage): void {
  scenario(stage, "A1 started: announced once, at the published port of the engine's host", async (scene) => {
    const id = await scene.web();
    await scene.added(id);
    expect(await scene.offered(1)).toMatchObject([
      { host: scene.engine.hostAddress, port: await publishedPort(scene, id), container: id.slice(0, 12) },
    ]);
  });

  scenario(stage, "A2 removed by force: gone at once, and removing it again harms nothing", async (scene) => {
    const id = await scene.web();
    await scene.added(id);
    await scene.removes(id, () => scene.engine.docker("rm", "-f", id));
    await scene.engine.remove(id);
    await until(async () => (await scene.status(id)) === undefined, { what: "it is forgotten" });
  });

  for (const [name, ending] of Object.entries(ENDINGS)) {
    scenario(stage, `A3 ${name}: gone within a second`, async (scene) => {
      const id = await scene.web(ending.options);
      await scene.added(id);
      await scene.removes(id, () => endIt(scene.engine, ending, id));
    });
  }

  scenario(stage, "A4 stopped and started: the same service once, at the new port", async (scene) => {
    const id = await scene.web();
    const before = await scene.added(id);
    await scene.removes(id, () => scene.engine.docker("stop", id));
    const after = await scene.adds(id, () => scene.engine.docker("start", id));
    expect(after.port).toBe(await publishedPort(scene, id));
    expect(after.port).not.toBe(before.port);
    expect(scene.entries()).toHaveLength(1);
  });

  scenario(stage, "A7 replaced under the same name as fast as possible: the last one alone", async (scene) => {
    const name = `${scene.service}-x`;
    let id = await scene.web({ name });
    for (let round = 0; round < 9; round++) {
      await scene.engine.docker("rm", "-f", name);
      id = await scene.web({ name });
    }
    await scene.added(id);
    await until(() => scene.entries().length === 1, { what: "one entry" });
    expect(scene.entries()[0]?.container).toBe(id.slice(0, 12));
    expect(scene.stage.nerve.child.running()).toBe(true);
  });
}

function changesOnly(stage: () => Stage): void {
  scenario(stage, "A9 renamed: the entry stays, without a gap", async (scene) => {
    const id = await scene.web();
    await scene.added(id);
    const name = `${scene.service}-renamed`;
    await scene.engine.docker("rename", id, name);
    await until(async () => (await scene.status(id))?.name === name, { what: "the new name is shown" });
    expect(scene.writes(id).every(({ document }) => document !== undefined)).toBe(true);
    expect(scene.entries()).toHaveLength(1);
  });

  scenario(stage, "A10 updated: not a single write", async (scene) => {
    const id = await scene.web();
    await scene.added(id);
    await scene.engine.docker("update", "--restart=no", id);
    await scene.engine.docker("update", "--cpus=0.5", id);
    await scene.caughtUp(id);
    expect(scene.writes(id)).toHaveLength(1);
  });

  scenario(stage, "A11 sent HUP and USR1: not a single write", async (scene) => {
    const id = await scene.web();
    await scene.added(id);
    await scene.engine.docker("kill", "-s", "HUP", id);
    await scene.engine.docker("kill", "-s", "USR1", id);
    await scene.caughtUp(id);
    expect(scene.writes(id)).toHaveLength(1);
    expect(await scene.engine.docker("inspect", "--format", "{{.State.Running}}", id)).toBe("true");
  });
}

function outOfMemory(stage: () => Stage): void {
  scenario(stage, "A12 out of memory: gone when that kills the container", async (scene) => {
    const greedy = "busybox httpd -f -p 80 & until [ -e /tmp/go ]; do sleep 0.1; done; exec tail /dev/zero";
    const id = await scene.web({ command: ["sh", "-c", greedy], extra: ["--memory=20m", "--memory-swap=20m"] });
    await scene.added(id);
    await scene.removes(id, () => scene.engine.docker("exec", id, "touch", "/tmp/go"));
    // Nobody but the kernel kills here. The engine's own word for it, OOMKilled, is missing where that came behind the end.
    const end = (): Promise<string> => scene.engine.docker("inspect", "--format", "{{.State.ExitCode}}", id);
    await until(async () => (await end()) === "137", { what: "it was killed" });
  });

  scenario(stage, "A12 out of memory: stays when that kills only a child", async (scene) => {
    const frugal = "until [ -e /tmp/go ]; do sleep 0.1; done; tail /dev/zero; touch /tmp/survived; wait";
    const command = ["sh", "-c", `busybox httpd -f -p 80 & ${frugal}`];
    const id = await scene.web({ command, extra: ["--memory=20m", "--memory-swap=20m"] });
    await scene.added(id);
    await scene.engine.docker("exec", id, "touch", "/tmp/go");
    await until(() => scene.engine.docker("exec", id, "test", "-e", "/tmp/survived").then(() => true), {
      what: "the child is dead, and the container is not",
    });
    await until(() => scene.stage.events.some(({ action, container }) => action === "oom" && container === id), {
      what: "the engine tells of it",
    });
    await scene.caughtUp(id);
    expect(scene.writes(id)).toHaveLength(1);
  });
}

function createdAndComposed(stage: () => Stage): void {
  scenario(stage, "A17 created: nothing; started: announced", async (scene) => {
    const [, , ...args] = runArguments(scene.options());
    const id = scene.own(await scene.engine.docker("create", ...args));
    await scene.caughtUp(id);
    await scene.refused(id, /not running: created/);
    await scene.adds(id, () => scene.engine.docker("start", id));
  });

  scenario(stage, "A18 compose: as many as it is scaled to, and no one-off", async (scene) => {
    const labels = {
      "smartstack.service": "",
      "smartstack.port": "80",
      "com.docker.compose.project": "scenario",
      "com.docker.compose.service": scene.service,
    };
    const replicas: string[] = [];
    for (let count = 0; count < 5; count++) replicas.push(await scene.web({ labels }));
    const oneOff = await scene.web({ labels: { ...labels, "com.docker.compose.oneoff": "True" } });
    await scene.offered(5);
    await scene.engine.remove(...replicas.slice(2));
    await scene.offered(2);
    await scene.caughtUp(oneOff);
    expect(scene.writes(oneOff)).toEqual([]);
  });
}
