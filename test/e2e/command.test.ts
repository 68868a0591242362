import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { until } from "@smartstack/core/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Child, startChild } from "../support/children.ts";
import { timed } from "../support/pauses.ts";
import { freePort } from "../support/ports.ts";

const COMMAND = fileURLToPath(new URL("../../packages/cli/bin/smartstack.js", import.meta.url));
const NO_DOCKER = "unix:///nonexistent/docker.sock";

let folder: string;
const children: Child[] = [];
const servers: Server[] = [];

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), "smartstack-command-"));
});

afterEach(async () => {
  await Promise.all(children.splice(0).map((child) => child.stop()));
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
  rmSync(folder, { recursive: true, force: true });
});

function smartstack(args: readonly string[], env: Readonly<Record<string, string>> = {}): Child {
  const child = startChild(process.execPath, [COMMAND, ...args], { env: { ...process.env, ...env } });
  children.push(child);
  return child;
}

async function finished(args: readonly string[], env?: Readonly<Record<string, string>>) {
  const child = smartstack(args, env);
  const code = await child.exited;
  return { code, output: child.output() };
}

function file(name: string, text: string): string {
  const written = path.join(folder, name);
  writeFileSync(written, text);
  return written;
}

async function backend(name: string): Promise<number> {
  const server = createServer((request, response) => {
    // A request that never ends, to drain in vain.
    if (request.url !== "/hang") response.end(name);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}

function synapseConfig(services: Readonly<Record<string, readonly [listen: number, backend: number]>>): string {
  const lines = Object.entries(services).map(
    ([name, [listen, port]]) =>
      `  ${name}: {discovery: {method: base}, default_servers: [{name: a, host: 127.0.0.1, port: ${port}}], ` +
      `proxy: {mode: http, listen: ["127.0.0.1:${listen}"]}}`,
  );
  return `admin: {listen: "unix:${folder}/admin.sock"}\nshutdown_grace: 5s\nservices:\n${lines.join("\n")}\n`;
}

async function answerOf(port: number, route = "/"): Promise<string> {
  return (await fetch(`http://127.0.0.1:${port}${route}`, { signal: AbortSignal.timeout(1_000) })).text();
}

function kill(child: Child, signal: NodeJS.Signals): void {
  process.kill(child.pid, signal);
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

describe("check", () => {
  it("ends with 0 for a good file, with its warnings", async () => {
    const good = file("up.yaml", "docker: {advertize: 10.0.0.1}\nsynapse: {discover: off}\n");
    const { code, output } = await finished(["check", "-c", good]);
    expect(code).toBe(0);
    expect(output).toContain(`warning: ${good}:1:10: unknown key advertize in docker, did you mean advertise?`);
    expect(output).toContain("valid for smartstack up");
  });

  it("ends with 1 for a bad one: file, line, column, what was expected, and no stack trace", async () => {
    const bad = file("nerve.yaml", "registry:\n  type: etdc\ndocker:\n  address: nowhere\n");
    for (const args of [
      ["check", "--as", "nerve", "-c", bad],
      ["nerve", "-c", bad],
    ]) {
      const { code, output } = await finished(args);
      expect(code).toBe(1);
      expect(output).toContain(`${bad}:2:3: registry.type: expected one of`);
      expect(output).toContain("did you mean etcd?");
      expect(output).toContain(`${bad}:4:3: docker.address: expected one of auto, host, container, got "nowhere"`);
      expect(output).not.toMatch(/^\s+at /m);
    }
  });

  it("ends with 1 for a missing file, an unknown command or option, and memory where nobody shares it", async () => {
    for (const [args, message] of [
      [["check", "-c", path.join(folder, "none.yaml")], "no such file"],
      [["sing"], "unknown command"],
      [["up", "--loud"], "unknown option"],
      [["check"], "--config"],
      [["nerve"], "memory works inside `smartstack up` only"],
    ] as const) {
      const { code, output } = await finished(args);
      expect([code, output]).toEqual([1, expect.stringContaining(message)]);
      expect(output).not.toMatch(/^\s+at /m);
    }
  });
});

describe("up without Docker", () => {
  it("says which socket it tried, keeps trying, and ends with 0 on TERM", async () => {
    const config = file("up.yaml", `docker: {host: "${NO_DOCKER}"}\nadmin: {listen: "unix:${folder}/admin.sock"}\n`);
    const child = smartstack(["up", "-c", config, "--log", "pretty"]);
    await until(() => child.output().includes("trying on"), { what: "the sentence" });
    expect(child.output()).toContain("/nonexistent/docker.sock");
    expect(child.output()).toContain("registry  memory");
    const { code, output } = await finished(["status", "--admin", `unix:${folder}/admin.sock`]);
    expect(code).toBe(0);
    expect(output).toMatch(/docker: .*\/nonexistent\/docker\.sock/);
    kill(child, "SIGTERM");
    expect(await child.exited).toBe(0);
    // Once per transition, not once per attempt.
    expect(child.output().match(/trying on/g)).toHaveLength(1);
  });
});

describe("synapse with a config file", () => {
  it("takes a changed file without a restart, and keeps the last good one", async () => {
    const [first, second] = [await freePort(), await freePort()];
    const [one, two] = [await backend("one"), await backend("two")];
    const config = file("synapse.yaml", synapseConfig({ web: [first, one] }));
    const child = smartstack(["synapse", "-c", config, "--log", "json"]);
    const socket = ["--admin", `unix:${folder}/admin.sock`];
    expect((await finished(["wait", "web", "--timeout", "10s", ...socket])).code).toBe(0);
    expect(await answerOf(first)).toBe("one");

    file("synapse.yaml", synapseConfig({ web: [first, one], api: [second, two] }));
    await until(async () => (await answerOf(second)) === "two", { what: "the second service" });

    file("synapse.yaml", "services: [");
    await until(() => child.output().includes("config.rejected"), { what: "the rejection" });
    expect(await answerOf(first)).toBe("one");

    kill(child, "SIGHUP");
    await until(() => child.output().match(/config\.rejected/g)?.length === 2, { what: "the rejection on SIGHUP" });
    file("synapse.yaml", synapseConfig({ web: [first, two] }));
    await until(async () => (await answerOf(first)) === "two", { what: "the mended file" });
    await until(
      () =>
        answerOf(second).then(
          () => false,
          () => true,
        ),
      { what: "the second listener is gone" },
    );

    for (const line of child.output().trim().split("\n")) expect(JSON.parse(line)).toHaveProperty("msg");
    kill(child, "SIGINT");
    expect(await child.exited).toBe(0);
  });

  it("waits in vain with 2, and drains and undrains over the unix socket", async () => {
    const listen = await freePort();
    const port = await backend("one");
    const config = file("synapse.yaml", synapseConfig({ web: [listen, port] }));
    smartstack(["synapse", "-c", config]);
    const socket = ["--admin", `unix:${folder}/admin.sock`];
    expect((await finished(["wait", "web", ...socket])).code).toBe(0);
    expect(await finished(["wait", "nobody", "--timeout", "500ms", ...socket])).toEqual({
      code: 2,
      output: expect.stringContaining("nobody is not ready after 0.5 s"),
    });
    const id = `127.0.0.1:${port}`;
    const services = JSON.parse((await finished(["status", "--json", ...socket])).output) as {
      services: { backends: { id: string }[] }[];
    };
    const backendId = services.services[0]?.backends[0]?.id ?? id;
    expect((await finished(["drain", backendId, ...socket])).code).toBe(0);
    await until(async () => (await answerOf(listen)) !== "one", { what: "the drained backend takes nothing" });
    expect((await finished(["undrain", backendId, ...socket])).code).toBe(0);
    await until(async () => (await answerOf(listen)) === "one", { what: "the backend takes traffic again" });
    expect((await finished(["drain", "nobody", ...socket])).code).toBe(2);
  });

  it("with workers replaces them on SIGUSR2, and leaves none behind when it is killed", async () => {
    const listen = await freePort();
    const config = file("synapse.yaml", `workers: 2\n${synapseConfig({ web: [listen, await backend("one")] })}`);
    const child = smartstack(["synapse", "-c", config]);
    const socket = ["--admin", `unix:${folder}/admin.sock`];
    const workers = async (): Promise<readonly number[]> => {
      const { output } = await finished(["status", ...socket]);
      return [...output.matchAll(/^worker (\d+): serving/gm)].map(([, pid]) => Number(pid));
    };
    expect((await finished(["wait", "web", ...socket])).code).toBe(0);
    expect(await answerOf(listen)).toBe("one");
    // The first that serves makes the service ready; the other may still be starting.
    await until(async () => (await workers()).length === 2, { what: "both workers serve" });
    const before = await workers();
    kill(child, "SIGUSR2");
    await until(() => child.output().includes("workers.replaced"), { what: "the replacement" });
    const after = await workers();
    expect(after).toHaveLength(2);
    expect(after.some((pid) => before.includes(pid))).toBe(false);
    expect(await answerOf(listen)).toBe("one");
    kill(child, "SIGKILL");
    await until(() => [...before, ...after].every((pid) => !isAlive(pid)), { what: "the end of all workers" });
  });

  it("takes a doubled signal for one, and a later second one for now", async () => {
    const listen = await freePort();
    const config = file("synapse.yaml", synapseConfig({ web: [listen, await backend("one")] }));
    const child = smartstack(["synapse", "-c", config, "--log", "pretty"]);
    await until(async () => (await answerOf(listen)) === "one", { what: "the service" });
    const hanging = fetch(`http://127.0.0.1:${listen}/hang`).catch(() => "ended");
    await until(async () => (await answerOf(listen)) === "one", { what: "still serving" });
    kill(child, "SIGINT");
    kill(child, "SIGINT");
    await until(() => child.output().includes("stopping gracefully"), { what: "the drain" });
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect(child.running()).toBe(true);
    kill(child, "SIGTERM");
    expect(await timed(() => child.exited)).toBeLessThan(1_000);
    expect(await child.exited).toBe(2);
    await hanging;
  });
});

describe("demo", () => {
  const leftovers = (): string[] => readdirSync(tmpdir()).filter((name) => name.startsWith("smartstack-demo-"));

  it("needs no Docker, fails no request, and leaves nothing behind", async () => {
    const before = leftovers();
    const { code, output } = await finished(["demo"], { DOCKER_HOST: NO_DOCKER });
    expect(output).toContain("no usable Docker engine");
    expect(output).toMatch(/\d{3,} requests, 0 failed\./);
    expect(code).toBe(0);
    expect(leftovers()).toEqual(before);
  });

  it("cleans up after Ctrl-C, and says by its exit code that it did not finish", async () => {
    const before = leftovers();
    const child = smartstack(["demo"], { DOCKER_HOST: NO_DOCKER });
    await until(() => child.output().includes("Traffic:"), { what: "the demo runs", timeoutMs: 30_000 });
    kill(child, "SIGINT");
    expect(await child.exited).toBe(2);
    expect(child.output()).toContain("interrupted");
    expect(leftovers()).toEqual(before);
  });
});
