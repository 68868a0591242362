import { until } from "@smartstack/core/testing";
import { beforeAll, describe, expect, it } from "vitest";
import { SMARTSTACK_IMAGE } from "../support/container.ts";
import type { Engine } from "../support/docker.ts";
import { sharedEngine } from "../support/shared-engine.ts";

const DEV_PACKAGES = ["typescript", "vitest", "knip", "fast-check", "@biomejs/biome", "@vitest/runner", "rolldown"];

describe("the image", () => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await sharedEngine(SMARTSTACK_IMAGE);
  });

  const run = (...args: string[]): Promise<string> => engine.docker("run", "--rm", "--read-only", ...args);

  it("runs the command, on a read-only root", async () => {
    expect(await run(SMARTSTACK_IMAGE, "--help")).toMatch(/up[\s\S]*nerve[\s\S]*synapse/);
  });

  it("runs as nobody in particular, and may write only its cache", async () => {
    const script = "id -u; touch /app/x 2>/dev/null || echo denied; touch /var/lib/smartstack/x && echo written";
    const cache = ["--mount", "type=volume,destination=/var/lib/smartstack"];
    expect(await run(...cache, "--entrypoint", "sh", SMARTSTACK_IMAGE, "-c", script)).toBe("1000\ndenied\nwritten");
  });

  it("carries what runs and nothing that builds", async () => {
    const files = await run("--entrypoint", "sh", SMARTSTACK_IMAGE, "-c", "find /app -type f");
    expect(files).toContain("/app/node_modules/etcd3/proto/rpc.proto");
    expect(files).toContain("/app/packages/cli/dist/main.js");
    const present = DEV_PACKAGES.filter((name) => files.includes(`/app/node_modules/${name}/package.json`));
    expect(present).toEqual([]);
    expect(files).not.toMatch(/\/packages\/\w+\/src\//);
    expect(files).not.toMatch(/\/app\/packages\/.*\.test\./);
  });

  it("is healthy when it is ready, and says why when it is not", async () => {
    const health = async (container: string): Promise<string> =>
      engine.docker(
        "inspect",
        "--format",
        "{{.State.Health.Status}} {{range .State.Health.Log}}{{.Output}}{{end}}",
        container,
      );
    const checks = ["--health-interval=200ms", "--health-start-period=0s", "--health-retries=1"];
    const socket = ["--user=0:0", "--volume", `${engine.socket}:/var/run/docker.sock:ro`];
    const start = (...args: string[]): Promise<string> =>
      engine.docker("run", "--detach", "--read-only", "--cap-drop=ALL", ...checks, ...args, SMARTSTACK_IMAGE, "up");
    const ready = await start(...socket);
    const blind = await start();
    try {
      await until(async () => (await health(ready)).startsWith("healthy"), { what: "ready with a Docker socket" });
      await until(async () => /^unhealthy [\s\S]*docker/i.test(await health(blind)), {
        what: "unhealthy without one, saying so",
        timeoutMs: 30_000,
      });
    } finally {
      await engine.remove(ready, blind);
    }
  });
});
