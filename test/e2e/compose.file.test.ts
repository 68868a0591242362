import path from "node:path";
import { fileURLToPath } from "node:url";
import { until } from "@smartstack/core/testing";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { SMARTSTACK_IMAGE, WEB_IMAGE } from "../support/container.ts";
import type { Engine } from "../support/docker.ts";
import { sharedEngine } from "../support/shared-engine.ts";

const FOLDER = fileURLToPath(new URL("../../deploy/compose/file", import.meta.url));
/** Eight answers, each behind the id of who gave it. */
const ASK = `const ids = [];
for (let n = 0; n < 8; n++) ids.push((await (await fetch("http://127.0.0.1:3000/")).text()).split(" ")[0]);
console.log([...new Set(ids)].sort().join());`;

describe("the compose file with a shared volume", () => {
  const project = `e2efile${process.pid}`;
  let engine: Engine;

  const compose = (...args: string[]): Promise<string> =>
    engine.compose(["-p", project, "-f", path.join(FOLDER, "docker-compose.yml"), ...args], {
      cwd: FOLDER,
      env: { SMARTSTACK_IMAGE, WEB_IMAGE, CLIENT_IMAGE: WEB_IMAGE, DOCKER_SOCKET: engine.socket },
    });
  const container = async (service: string): Promise<string> => {
    const filters = [`label=com.docker.compose.project=${project}`, `label=com.docker.compose.service=${service}`];
    return engine.docker("ps", "--all", "--quiet", ...filters.flatMap((filter) => ["--filter", filter]));
  };
  const answering = async (): Promise<string> =>
    engine.docker("exec", await container("client"), "node", "--input-type=module", "-e", ASK);

  beforeAll(async () => {
    engine = await sharedEngine(SMARTSTACK_IMAGE);
    await compose("up", "-d");
  });

  afterAll(async () => {
    await compose("down", "--volumes", "--remove-orphans", "--timeout", "2");
  });

  it("offers what two nerves write, and forgets what one of them saw die", async () => {
    const [left, right] = [await container("web-left"), await container("web-right")];
    const both = [left, right].sort().join();
    await until(async () => (await answering()) === both, { what: "both halves answer", timeoutMs: 30_000 });
    await engine.docker("stop", "--time", "1", left);
    await until(async () => (await answering()) === right, { what: "the right half alone", timeoutMs: 30_000 });
    await engine.docker("start", left);
    await until(async () => (await answering()) === both, { what: "both halves again", timeoutMs: 30_000 });
    // Whoever writes nothing any more is believed no longer, and comes back.
    await engine.docker("kill", await container("nerve-right"));
    expect(await answering()).toContain(left);
    await engine.docker("start", await container("nerve-right"));
    await until(async () => (await answering()) === both, { what: "both halves after all", timeoutMs: 30_000 });
  });
});
