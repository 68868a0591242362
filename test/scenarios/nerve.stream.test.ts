import { createServer, type Server } from "node:net";
import { seededRandom, until } from "@smartstack/core/testing";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type NerveRun, runNerve } from "../contract/nerve-harness.ts";
import { type DockerDouble, startDockerDouble } from "../support/docker-double.ts";

/** `npm run soak` plays it two hundred times. */
const E6_RUNS = Number(process.env.E6_RUNS ?? 20);

let docker: DockerDouble;
let backend: Server;
let port: number;
let runs: NerveRun[];

beforeEach(async () => {
  runs = [];
  docker = await startDockerDouble();
  backend = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve) => backend.listen(0, "127.0.0.1", resolve));
  port = (backend.address() as { port: number }).port;
});
afterEach(async () => {
  await Promise.all(runs.map((run) => run.stop()));
  await docker.close();
  await new Promise((resolve) => backend.close(resolve));
});

function start(nerve: object = { reconcile: "1h" }): NerveRun {
  const run = runNerve({ host: docker.host, nerve });
  runs.push(run);
  return run;
}

const labelled = (service: string): { labels: Record<string, string>; port: number } => ({
  labels: { "smartstack.service": service, "smartstack.check": "none" },
  port,
});
const asked = (path: string): number => docker.requests.filter((line) => line.startsWith(`GET ${path}`)).length;
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe("an engine that misbehaves", () => {
  const E6 = "E6 a container that starts while nerve does is registered, whichever comes first";
  test(E6, { timeout: 30_000 + E6_RUNS * 2_000 }, async () => {
    const random = seededRandom(6);
    for (let round = 0; round < E6_RUNS; round++) {
      const [run, container] = await Promise.all([
        pause(random() * 30).then(() => start()),
        pause(random() * 60).then(() => docker.add(labelled("web"))),
      ]);
      await run.offered("web", 1);
      await run.stop();
      docker.remove(container.id);
      runs = [];
    }
  });

  test("E8 events that end at once, lists that fail: ten attempts in ten seconds at the most, and well again after", async () => {
    docker.add(labelled("web"));
    docker.faults.set("events", "nonsense");
    docker.faults.set("list", "500");
    const run = start();
    await until(() => asked("/containers/json") > 0, { what: "the first attempt" });
    const before = [asked("/events"), asked("/containers/json")];
    await pause(10_000);
    const attempts = [asked("/events"), asked("/containers/json")].map((count, at) => count - (before[at] ?? 0));
    for (const count of attempts) expect(count).toBeLessThanOrEqual(10);
    docker.faults.clear();
    await run.offered("web", 1, 20_000);
  });

  test("E10 a container that is gone between the list and the look at it: the others live, and nothing is asked again and again", async () => {
    const gone = docker.add(labelled("gone"));
    docker.vanished.add(gone.id);
    docker.add(labelled("web"));
    const run = start();
    await run.offered("web", 1);
    docker.add(labelled("after"));
    await run.offered("after", 1);
    await pause(1_000);
    expect(asked(`/containers/${gone.id}/json`)).toBeLessThanOrEqual(2);
    expect(run.events.filter(({ name }) => name === "docker.disconnected")).toEqual([]);
  });
});
