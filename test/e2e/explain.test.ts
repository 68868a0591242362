import { fileURLToPath } from "node:url";
import { until } from "@smartstack/core/testing";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Child, startChild } from "../support/children.ts";
import type { ContainerOptions } from "../support/container.ts";
import type { Engine } from "../support/docker.ts";
import { freePort } from "../support/ports.ts";
import { sharedEngine } from "../support/shared-engine.ts";
import { type StackProcess, startStack } from "./support/stack.ts";

const COMMAND = fileURLToPath(new URL("../../packages/cli/bin/smartstack.js", import.meta.url));
const MARK = "smartstack-explain";
const HOST_PORT = 8_099;

describe("an operator asks why", () => {
  const ids = new Map<string, string>();
  const children: Child[] = [];
  let engine: Engine;
  let stack: StackProcess;
  let listen: number;

  const start = async (name: string, options: ContainerOptions): Promise<void> => {
    const labels = { [MARK]: "1", ...options.labels };
    ids.set(name, await engine.run({ ...options, name: `${MARK}-${name}`, labels }));
  };
  const smartstack = (...args: string[]): Child => {
    const child = startChild(process.execPath, [COMMAND, ...args, "--admin", stack.admin]);
    children.push(child);
    return child;
  };
  const said = async (...args: string[]): Promise<{ readonly code: unknown; readonly text: string }> => {
    const child = smartstack(...args);
    const code = await child.exited;
    return { code, text: child.output() };
  };

  beforeAll(async () => {
    engine = await sharedEngine();
    listen = await freePort();
    const web = { "smartstack.service": "web", "smartstack.listen": String(listen) };
    await start("good", { labels: web, expose: [80], publish: ["80"] });
    await start("several", { labels: web, expose: [80, 81] });
    await start("ignored", { expose: [80] });
    await start("paused", { labels: web, expose: [80] });
    await start("sick", { labels: web, expose: [80], health: { command: "false", retries: 1 } });
    await start("host", {
      labels: { "smartstack.service": "agent", "smartstack.port": String(HOST_PORT), "smartstack.check": "none" },
      network: "host",
      env: { PORT: String(HOST_PORT) },
    });
    await start("unseen", { labels: { ...web, [MARK]: "2" }, expose: [80] });
    await engine.docker("pause", `${MARK}-paused`);
    stack = await startStack("up", {
      docker: { host: engine.host, advertise: engine.hostAddress, filter: { label: `${MARK}=1` } },
    });
    await until(async () => (await stack.ready("web")).status === 200, { what: "web is ready" });
    await until(async () => (await said("explain", `${MARK}-sick`)).text.includes("Docker says unhealthy"), {
      what: "the sick one is known to be sick",
    });
  });

  afterAll(async () => {
    await Promise.all(children.map((child) => child.stop()));
    await stack?.stop();
    await engine?.remove(...ids.values());
  });

  it("status says of every container whether it is registered, where, and why", async () => {
    const { code, text } = await said("status");
    expect(code).toBe(0);
    const address = await engine.address(`${MARK}-good`);
    expect(text).toContain("6 containers: 2 registered, 3 not fully registered, 1 left alone");
    expect(text).toMatch(new RegExp(`${MARK}-good +up +web +${address}:80 +tcp: connected\\n`));
    expect(text).toContain("  address: its own address on network bridge; the registry is read on this machine only\n");
    expect(text).toContain("  named by label smartstack.service=web; port 80/tcp: its only TCP port\n");
    expect(text).toMatch(
      new RegExp(`${MARK}-several +not registered +web.*\n {2}not registered: it exposes several ports \\(80/tcp, 81`),
    );
    expect(text).toContain(`  no smartstack.service label, and no convention names it: ${MARK}-ignored\n`);
    expect(text).toMatch(new RegExp(`${MARK}-paused +not running +web.*\n {2}not registered: .*paused\n`));
    expect(text).toMatch(new RegExp(`${MARK}-sick +down +web .* docker: Docker says unhealthy\n`));
    expect(text).toMatch(
      new RegExp(
        `${MARK}-host +up +agent +${engine.hostAddress}:${HOST_PORT} .*\n {2}address: it uses the host's network`,
      ),
    );
    expect(text).toContain(`web (tcp) listens on 127.0.0.1:${listen} [::1]:${listen}: 1 of 1 backends usable`);
    expect(text).not.toContain(`${MARK}-unseen`);
  });

  it("status of a service shows whoever asks for it in vain", async () => {
    const { text } = await said("status", "web");
    for (const name of ["good", "several", "paused", "sick"]) expect(text).toContain(`${MARK}-${name} `);
    expect(text).toContain("it exposes several ports");
    for (const name of ["host", "ignored"]) expect(text).not.toContain(`${MARK}-${name}`);
  });

  it.each([
    ["good", [/offers web as [0-9a-f]{12}-80/, /named by {2}label smartstack\.service=web; port 80\/tcp: its only/]],
    ["good", [/not {5}published as \d+: not needed, as the registry is read on this machine only/]],
    ["good", [/check {5}tcp \S+:80: up since /, /registry {2}announced as up in memory \(this process\), under web\//]],
    [
      "good",
      [
        /proxy {5}listens on 127\.0\.0\.1:\d+/,
        /proxy {5}gets traffic since .*: not checked, the registry has it; served \d+, failures 0/,
      ],
    ],
    ["several", [/running: not registered as web\n {2}because {3}it exposes several ports \(80\/tcp, 81\/tcp\)/]],
    ["ignored", [/not registered: no smartstack\.service label, and no convention names it/]],
    ["paused", [/not running: not registered as web\n {2}because {3}.*paused/]],
    [
      "sick",
      [/check {5}docker: down since .*: Docker says unhealthy/, /registry {2}not announced.*: its check is down/],
    ],
    ["host", [/address {3}\S+: it uses the host's network; docker\.advertise/, /check {5}none: up/]],
  ])("explains the %s one", async (name, lines) => {
    const { code, text } = await said("explain", `${MARK}-${name}`);
    expect(code).toBe(0);
    for (const line of lines) expect(text).toMatch(line);
  });

  it("explains by id, instance and service, and as JSON", async () => {
    const id = (ids.get("good") ?? "").slice(0, 12);
    for (const name of [id, `${id}-80`])
      expect((await said("explain", name)).text).toContain(`container ${MARK}-good (`);
    const { text } = await said("explain", "web");
    for (const name of ["good", "several", "paused", "sick"]) expect(text).toContain(`container ${MARK}-${name} (`);
    expect(text).toContain("service web (tcp)");
    const json = JSON.parse((await said("explain", id, "--json")).text);
    expect(json).toMatchObject({ found: true, containers: [{ name: `${MARK}-good` }] });
  });

  it("says what may be the cause when nothing is called so", async () => {
    const { code, text } = await said("explain", `${MARK}-unseen`);
    expect(code).toBe(2);
    expect(text).toContain(`nothing here is called ${MARK}-unseen`);
    expect(text).toContain(`docker.filter takes only containers with label=${MARK}=1 from ${engine.host}`);
  });

  it("top shows the services once to what is no terminal", async () => {
    const { code, text } = await said("top");
    expect(code).toBe(0);
    expect(text).toMatch(/web +tcp +0\.0 +0 +0\.0 +1\/1 +127\.0\.0\.1:\d+/);
  });

  it("events tells what happens, and ends by Ctrl-C with 0, or with 2 when the process goes away", async () => {
    const lines = smartstack("events");
    const json = smartstack("events", "--json");
    // A change is seen once both listen, and there is no word for that: so it is made until both have told of it.
    await until(
      async () => {
        await engine.docker("unpause", `${MARK}-paused`);
        await engine.docker("pause", `${MARK}-paused`);
        return [lines, json].every((child) => child.output().includes("withdrawn"));
      },
      { what: "the events", timeoutMs: 20_000 },
    );
    expect(lines.output()).toMatch(/^\d\d:\d\d:\d\d web: [0-9a-f]{12}-80 withdrawn: paused$/m);
    const events = json.output().trim().split("\n");
    expect(events.map((line) => JSON.parse(line))).toContainEqual(
      expect.objectContaining({ name: "instance.withdrawn", at: expect.any(Number) }),
    );
    process.kill(lines.pid, "SIGINT");
    expect(await lines.exited).toBe(0);
    await stack.kill("SIGKILL");
    expect(await json.exited).toBe(2);
    expect(json.output()).toMatch(/smartstack up has gone away: /);
  });
});
