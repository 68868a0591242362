import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock, withDeadline } from "@smartstack/core";
import type { Role } from "../config.ts";
import type { Stack } from "../run-stack.ts";
import { BACKEND_PROGRAM } from "./backend.ts";
import { type Fleet, type FleetDeps, SERVICE } from "./fleet.ts";
import { freePort } from "./free-port.ts";
import { startDemoStack } from "./stack.ts";

const START_MS_MAX = 5_000;

/**
 * Without Docker: each backend is a small process with a nerve of its own, as if on a host of its own, that announces
 * it from a configuration file in a registry of files.
 */
export async function processFleet(deps: FleetDeps): Promise<Fleet> {
  const folder = mkdtempSync(join(tmpdir(), "smartstack-demo-"));
  const registry = { type: "file", prefix: join(folder, "registry"), ttl: "3s" };
  const children = new Map<string, ChildProcess>();
  const stacks: Stack[] = [];
  let closing: Promise<void> | undefined;
  const launch = async (role: Role, name: string, config: unknown): Promise<Stack> => {
    const file = join(folder, `${name}.json`);
    const text = JSON.stringify(config, null, 2);
    writeFileSync(file, text);
    const stack = await startDemoStack(role, file, text, deps);
    stacks.push(stack);
    return stack;
  };
  const end = async (): Promise<void> => {
    // The first is the proxy: it ends before what it serves from.
    for (const stack of stacks) await stack.stop();
    for (const child of children.values()) child.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  };
  const close = (): Promise<void> => {
    closing ??= end();
    return closing;
  };
  const services = { [SERVICE]: { proxy: { listen: `127.0.0.1:${deps.port}`, mode: "http" } } };
  try {
    const stack = await launch("synapse", "synapse", { registry, admin: false, services, shutdown_grace: "1s" });
    return {
      about: "small processes on this machine, announced from config files in a registry of files",
      stack,
      async start(name) {
        const port = await freePort();
        const child = spawn(process.execPath, ["-e", BACKEND_PROGRAM], {
          env: { NAME: name, PORT: String(port), HOST: "127.0.0.1", PARENT: "1" },
          stdio: ["pipe", "pipe", "inherit"],
        });
        children.set(name, child);
        await ready(child, name);
        const service = { host: "127.0.0.1", port, checks: [{ type: "http", uri: "/" }], check_interval: "500ms" };
        const nerve = { instance_id: name, registry, docker: false, admin: false, services: { [SERVICE]: service } };
        await launch("nerve", name, nerve);
      },
      async kill(name) {
        children.get(name)?.kill("SIGKILL");
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

function ready(child: ChildProcess, name: string): Promise<void> {
  const said = new Promise<void>((resolve, reject) => {
    child.stdout?.once("data", () => resolve());
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`${name} ended with ${code}`)));
  });
  return withDeadline(said, { clock: systemClock, ms: START_MS_MAX, what: `start of ${name}`, side: "backend" });
}
