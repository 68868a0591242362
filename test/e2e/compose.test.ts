import { readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { until } from "@smartstack/core/testing";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startChild } from "../support/children.ts";
import { ETCD_IMAGE, SMARTSTACK_IMAGE, WEB_IMAGE } from "../support/container.ts";
import type { Engine } from "../support/docker.ts";
import { timed } from "../support/pauses.ts";
import { sharedEngine } from "../support/shared-engine.ts";

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..");
const ASKER = readFileSync(new URL("support/asker.mjs", import.meta.url), "utf8");
const REQUESTS_MIN = 1_000;
/** What the client may wait for after a part was restarted. */
const BACK_MS = 5_000;

interface Answers {
  readonly count: number;
  readonly answers: Readonly<Record<string, number>>;
  readonly failures: readonly unknown[];
}

describe("the compose file at the top", () => {
  const project = `e2e${process.pid}`;
  let engine: Engine;

  const compose = (...args: string[]): Promise<string> =>
    engine.compose(["-p", project, ...args], {
      cwd: ROOT,
      env: {
        ETCD_IMAGE,
        SMARTSTACK_IMAGE,
        WEB_IMAGE,
        CLIENT_IMAGE: WEB_IMAGE,
        DOCKER_SOCKET: engine.socket,
      },
    });
  const containers = async (service: string): Promise<string[]> => {
    const filters = [`label=com.docker.compose.project=${project}`, `label=com.docker.compose.service=${service}`];
    const out = await engine.docker("ps", "--quiet", ...filters.flatMap((filter) => ["--filter", filter]));
    return out.split("\n").filter((id) => id !== "");
  };
  const client = async (): Promise<string> => (await containers("client"))[0] ?? "none";

  /** Asks from inside the client while `work` runs; at least `min` requests. */
  const asking = async (min: number, work: () => Promise<unknown>): Promise<Answers> => {
    const exec = [
      "-H",
      engine.host,
      "exec",
      "-i",
      await client(),
      "node",
      "--input-type=module",
      "-e",
      ASKER,
      String(min),
    ];
    const child = startChild("/usr/bin/docker", exec, { stdio: ["pipe", "pipe", "pipe"] });
    await work();
    child.process.stdin?.end();
    await child.exited;
    return JSON.parse(child.output().trim().split("\n").pop() as string) as Answers;
  };
  const reachable = async (withinMs: number, what: string): Promise<void> => {
    // Over and over in one command: to start one may take a second.
    const ask = `const end = Date.now() + ${withinMs};
      const again = () => (Date.now() > end ? process.exit(1) : setTimeout(once, 50));
      const once = () => fetch("http://127.0.0.1:3000/").then((r) => (r.ok ? process.exit(0) : again()), again);
      once();`;
    const asks = async (): Promise<true> => {
      await engine.docker("exec", await client(), "node", "-e", ask);
      return true;
    };
    expect(await timed(() => until(asks, { what, timeoutMs: 2 * withinMs })), what).toBeLessThan(withinMs);
  };

  beforeAll(async () => {
    engine = await sharedEngine(ETCD_IMAGE, SMARTSTACK_IMAGE);
    await compose("up", "-d");
  });

  afterAll(async () => {
    await compose("down", "--volumes", "--remove-orphans", "--timeout", "2");
  });

  it("lets the client reach the scaled service at localhost:3000", async () => {
    await reachable(20_000, "the client reaches localhost:3000");
    const both = async (): Promise<boolean> => {
      const { failures, answers } = await asking(100, async () => undefined);
      expect(failures).toEqual([]);
      return Object.keys(answers).length === 2;
    };
    await until(both, { what: "both replicas answer" });
  });

  for (const count of [5, 1, 2]) {
    it(`scales web to ${count} without a failed request`, async () => {
      const result = await asking(REQUESTS_MIN, async () => {
        await compose("up", "-d", "--no-recreate", "--scale", `web=${count}`);
        await until(async () => (await containers("web")).length === count, { what: `${count} containers of web` });
      });
      console.info(`scale to ${count}: ${result.count} requests`);
      expect(result.failures).toEqual([]);
      expect(result.count).toBeGreaterThanOrEqual(REQUESTS_MIN);
      // What the engine shows as running may still have to come up, and to be probed.
      const answering = async (): Promise<number> =>
        Object.keys((await asking(200, async () => undefined)).answers).length;
      await until(async () => (await answering()) === count, { what: `${count} answer`, timeoutMs: 20_000 });
    });
  }

  it("does not notice a restart of nerve", async () => {
    const { failures, count } = await asking(REQUESTS_MIN, () => compose("restart", "nerve"));
    console.info(`restart of nerve: ${count} requests`);
    expect(failures).toEqual([]);
  });

  it("does not notice a restart of etcd", async () => {
    const { failures } = await asking(REQUESTS_MIN, () => compose("restart", "etcd"));
    expect(failures).toEqual([]);
    await reachable(BACK_MS, "the client reaches localhost:3000 after etcd restarted");
  });

  for (const [what, ...args] of [
    ["the client restarts", "restart", "--timeout", "1", "client"],
    ["the client is recreated", "up", "-d", "--force-recreate", "--no-deps", "--timeout", "1", "client"],
    ["synapse restarts", "restart", "synapse"],
  ] as const) {
    it(`works again within ${BACK_MS / 1_000} s when ${what}`, async () => {
      await compose(...args);
      await reachable(BACK_MS, `the client reaches localhost:3000 after ${what}`);
    });
  }
});
