import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import type { ContainerStatus, ServiceStatus } from "@smartstack/core";
import { until } from "@smartstack/core/testing";
import { type Child, startChild } from "../../support/children.ts";
import type { Engine } from "../../support/docker.ts";
import { freePort } from "../../support/ports.ts";

/** The built command. */
export const COMMAND = fileURLToPath(new URL("../../../packages/cli/bin/smartstack.js", import.meta.url));

/** What an operator needs to change something. */
const ADMIN_TOKEN = "test-token";

export type Role = "up" | "nerve" | "synapse";

/** One running `smartstack` process: the built command, as users run it. */
export interface StackProcess {
  readonly role: Role;
  readonly child: Child;
  readonly admin: string;
  readonly configFile: string;
  services(): Promise<readonly ServiceStatus[]>;
  containers(): Promise<readonly ContainerStatus[]>;
  /** The status code of /readyz and its body. */
  ready(service?: string): Promise<{ readonly status: number; readonly body: string }>;
  /** Runs an operator's command against it: its exit code, and what it wrote. */
  operate(...args: string[]): Promise<{ readonly code: number | NodeJS.Signals; readonly output: string }>;
  /** Ends it by `signal` and resolves when it is gone. */
  kill(signal: NodeJS.Signals): Promise<void>;
  /** Starts the same command with the same configuration again. */
  again(): Promise<StackProcess>;
  stop(): Promise<void>;
}

/**
 * Starts the command with a configuration file of its own and an admin API on a free port; resolves once that answers.
 * `on`: on that engine's host, as far as the network goes; default: on this machine.
 */
export async function startStack(
  role: Role,
  config: Readonly<Record<string, unknown>>,
  on?: Pick<Engine, "enter" | "hostAddress">,
): Promise<StackProcess> {
  const folder = mkdtempSync(path.join(tmpdir(), "smartstack-e2e-"));
  const configFile = path.join(folder, `${role}.json`);
  const admin = `http://${on?.hostAddress ?? "127.0.0.1"}:${await freePort()}`;
  const listen = admin.slice("http://".length);
  writeFileSync(configFile, JSON.stringify({ ...config, admin: { token: ADMIN_TOKEN, listen } }));
  return launch(role, folder, configFile, admin, on?.enter ?? []);
}

async function launch(
  role: Role,
  folder: string,
  configFile: string,
  admin: string,
  enter: readonly string[],
): Promise<StackProcess> {
  const [command = "", ...args] = [...enter, process.execPath, COMMAND, role, "-c", configFile, "--log", "json"];
  const child = startChild(command, args);
  const get = async (route: string): Promise<Response> => fetch(admin + route, { signal: AbortSignal.timeout(2_000) });
  const json = async <T>(route: string): Promise<T> => (await (await get(route)).json()) as T;
  await until(async () => (child.running() ? (await get("/healthz")).ok : true), {
    what: `smartstack ${role} answers on ${admin}`,
    timeoutMs: 15_000,
  });
  if (!child.running()) throw new Error(`smartstack ${role} ended at once:\n${child.output()}`);
  return {
    role,
    child,
    admin,
    configFile,
    services: async () => (await json<{ services: ServiceStatus[] }>("/api/v1/services")).services,
    containers: async () => (await json<{ containers: ContainerStatus[] }>("/api/v1/containers")).containers,
    async ready(service) {
      const response = await get(service === undefined ? "/readyz" : `/readyz?service=${service}`);
      return { status: response.status, body: await response.text() };
    },
    async operate(...args) {
      const operator = startChild(process.execPath, [COMMAND, ...args, "--admin", admin, "--token", ADMIN_TOKEN]);
      return { code: await operator.exited, output: operator.output() };
    },
    async kill(signal) {
      process.kill(child.pid, signal);
      await child.exited;
    },
    again: () => launch(role, folder, configFile, admin, enter),
    async stop() {
      await child.stop(10_000);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
