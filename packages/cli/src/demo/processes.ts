import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock, withDeadline } from "@smartstack/core";
import type { Stack } from "../run-stack.ts";
import { BACKEND_PROGRAM } from "./backend.ts";
import { type Fleet, type FleetDeps, SERVICE } from "./fleet.ts";
import { freePort } from "./free-port.ts";
import { startDemoStack } from "./stack.ts";

const START_MS_MAX = 5_000;

interface Running {
  readonly child: ChildProcess;
  readonly nerve: Stack;
}

/**
 * Without Docker: each backend is a small process with a nerve of its own, as if on a host of its own, that announces
 * it from a configuration file in a registry of files.
 */
export async function processFleet(deps: FleetDeps): Promise<Fleet> {
  const folder = mkdtempSync(join(tmpdir(), "smartstack-demo-"));
  const registry = { type: "file", prefix: join(folder, "registry"), ttl: "3s" };
  const running = new Map<string, Running>();
  const written = (name: string, config: unknown): [file: string, text: string] => {
    const file = join(folder, `${name}.json`);
    const text = JSON.stringify(config, null, 2);
    writeFileSync(file, text);
    return [file, text];
  };
  const stack = await startDemoStack(
    "synapse",
    ...written("synapse", {
      registry,
      admin: false,
      services: { [SERVICE]: { proxy: { listen: `127.0.0.1:${deps.port}`, mode: "http" } } },
      shutdown_grace: "1s",
    }),
    deps,
  );
  let closing: Promise<void> | undefined;
  return {
    about: "small processes on this machine, announced from config files in a registry of files",
    stack,
    async start(name) {
      const port = await freePort();
      const child = spawn(process.execPath, ["-e", BACKEND_PROGRAM], {
        env: { NAME: name, PORT: String(port), HOST: "127.0.0.1", PARENT: "1" },
        stdio: ["pipe", "pipe", "inherit"],
      });
      await ready(child, name);
      const service = { host: "127.0.0.1", port, checks: [{ type: "http", uri: "/" }], check_interval: "500ms" };
      const config = { instance_id: name, registry, docker: false, admin: false, services: { [SERVICE]: service } };
      const nerve = await startDemoStack("nerve", ...written(name, config), deps);
      running.set(name, { child, nerve });
    },
    async kill(name) {
      running.get(name)?.child.kill("SIGKILL");
    },
    close() {
      closing ??= end(stack, running, folder);
      return closing;
    },
  };
}

async function end(stack: Stack, running: ReadonlyMap<string, Running>, folder: string): Promise<void> {
  await stack.stop();
  await Promise.all([...running.values()].map(({ nerve }) => nerve.stop()));
  for (const { child } of running.values()) child.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
}

function ready(child: ChildProcess, name: string): Promise<void> {
  const said = new Promise<void>((resolve, reject) => {
    child.stdout?.once("data", () => resolve());
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`${name} ended with ${code}`)));
  });
  return withDeadline(said, { clock: systemClock, ms: START_MS_MAX, what: `start of ${name}`, side: "backend" });
}
