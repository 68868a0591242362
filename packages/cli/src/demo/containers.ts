import { hostname } from "node:os";
import { StackError, systemClock, withDeadline } from "@smartstack/core";
import type Docker from "dockerode";
import type { Stack } from "../run-stack.ts";
import { BACKEND_PROGRAM, CONTAINER_PORT } from "./backend.ts";
import { type Fleet, type FleetDeps, SERVICE } from "./fleet.ts";
import { makeNodeImage } from "./image.ts";
import { startDemoStack } from "./stack.ts";

const CALL_MS_MAX = 8_000;
const PING_MS_MAX = 2_000;
const DEFAULT_HOST = "unix:///var/run/docker.sock";
const LABEL = "demo.smartstack.run";

/**
 * Backends as labelled containers of the local Docker engine.
 * @throws when there is no engine, or none that can run this machine's programs.
 */
export async function containerFleet(deps: FleetDeps): Promise<Fleet> {
  const host = deps.env.DOCKER_HOST || DEFAULT_HOST;
  const docker = await connect(host);
  const run = `${hostname()}-${process.pid}`;
  const image = `smartstack-demo:${process.pid}`;
  const containers = new Map<string, Docker.Container>();
  let stack: Stack | undefined;
  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    await stack?.stop();
    const removals = [...containers.values()].map((container) => container.remove({ force: true }));
    report(await Promise.allSettled(removals.map((removal) => bounded(removal, "removal of a container"))), deps);
    report(
      await Promise.allSettled([bounded(docker.getImage(image).remove({ force: true }), "removal of the image")]),
      deps,
    );
  };
  try {
    deps.say("  packing this machine's Node into an image …");
    await makeNodeImage(docker, image);
    const config = {
      docker: { host, filter: { label: `${LABEL}=${run}` } },
      admin: false,
      synapse: { shutdown_grace: "1s" },
    };
    stack = await startDemoStack("up", "demo.json", JSON.stringify(config), deps);
  } catch (error) {
    await close();
    throw error;
  }
  return {
    about: `containers of the Docker engine at ${host}, found by their labels`,
    stack,
    async start(name) {
      const options = containerOptions(name, image, run, deps.port);
      const container = await bounded(docker.createContainer(options), `creation of ${name}`);
      containers.set(name, container);
      await bounded(container.start(), `start of ${name}`);
    },
    async kill(name) {
      const container = containers.get(name);
      if (container !== undefined) await bounded(container.kill(), `kill of ${name}`);
    },
    close() {
      closing ??= close();
      return closing;
    },
  };
}

function containerOptions(name: string, image: string, run: string, port: number): Docker.ContainerCreateOptions {
  return {
    name: `smartstack-${run}-${name}`,
    Image: image,
    Cmd: [process.execPath, "-e", BACKEND_PROGRAM],
    Env: [`NAME=${name}`, `PORT=${CONTAINER_PORT}`, "HOST=0.0.0.0"],
    ExposedPorts: { [`${CONTAINER_PORT}/tcp`]: {} },
    Labels: {
      [LABEL]: run,
      "smartstack.service": SERVICE,
      "smartstack.listen": String(port),
      "smartstack.mode": "http",
      "smartstack.check": "http:/",
    },
    // A demo that was itself killed leaves containers that end and go by themselves.
    HostConfig: { AutoRemove: true, Init: false },
  };
}

async function connect(host: string): Promise<Docker> {
  if (process.platform !== "linux") throw unusable("containers of this machine's own programs need Linux");
  const target = /^unix:\/\/(\/.+)$/.exec(host)?.[1];
  if (target === undefined) throw unusable(`${host} is no local unix socket`);
  const { default: Client } = await import("dockerode");
  const docker = new Client({ socketPath: target });
  const ping = docker.ping();
  await withDeadline(ping, { clock: systemClock, ms: PING_MS_MAX, what: `ping of ${host}`, side: "docker" });
  return docker;
}

function unusable(why: string): StackError {
  return new StackError("DOCKER_UNREACHABLE", why, { side: "docker", retry: "never" });
}

function bounded<T>(work: Promise<T>, what: string): Promise<T> {
  return withDeadline(work, { clock: systemClock, ms: CALL_MS_MAX, what, side: "docker" });
}

function report(results: readonly PromiseSettledResult<unknown>[], deps: FleetDeps): void {
  for (const result of results) {
    // 404: it is gone already; 409: its automatic removal is under way.
    const code = result.status === "rejected" ? (result.reason as { statusCode?: number }).statusCode : undefined;
    if (result.status === "rejected" && code !== 404 && code !== 409) deps.say(`  ${String(result.reason)}`);
  }
}
