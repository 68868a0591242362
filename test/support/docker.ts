import { spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { until } from "@smartstack/core/testing";
import { onProcessEnd } from "./children.ts";
import { type CommandOptions, command } from "./command.ts";
import { type ContainerOptions, runArguments } from "./container.ts";
import { createNetwork, insideNetwork, networkOfSlot } from "./engine-network.ts";
import { removeEngine } from "./engine-remains.ts";
import { type Slot, takeSlot } from "./engine-slot.ts";
import { alive, readPid, signal as sendSignal } from "./processes.ts";

/**
 * A real Docker engine of the tests' own. It lives in a network namespace: containers' addresses are reached from here
 * by a route, published ports at `hostAddress`, not at this machine's localhost.
 */
export interface Engine {
  readonly slot: Slot;
  readonly socket: string;
  /** For DOCKER_HOST: "unix://…". */
  readonly host: string;
  /** The engine's host, from here: where published ports are, and what its nerve advertises. */
  readonly hostAddress: string;
  /** This machine, from the engine's containers. */
  readonly outsideAddress: string;
  /** What to put before a command so that it runs in the network of the engine's host. */
  readonly enter: readonly string[];
  /** Runs the docker command against this engine; what it printed, trimmed. @throws Error with its output. */
  docker(...args: string[]): Promise<string>;
  /** Runs docker-compose against this engine. */
  compose(args: readonly string[], options?: CommandOptions): Promise<string>;
  /** Starts a container in the background; its full id. */
  run(options?: ContainerOptions): Promise<string>;
  /** The container's address in a network, or in its only one. */
  address(container: string, network?: string): Promise<string>;
  /** Removes containers by force; those that are already gone are fine. */
  remove(...containers: string[]): Promise<void>;
  /**
   * Stops the engine, by default gracefully, which stops its containers too, and starts it again. After KILL the
   * containers run on until the new engine comes.
   */
  restart(signal?: "SIGTERM" | "SIGKILL"): Promise<void>;
  /** Stops it; `start` brings it back with the same containers and networks. */
  halt(signal?: "SIGTERM" | "SIGKILL"): Promise<void>;
  start(): Promise<void>;
  /** What the engine logged. */
  log(): string;
}

export interface OwnEngine extends Engine {
  /** Takes the engine away with everything in it. */
  stop(): void;
}

// Debian's, in preference to another one in the PATH, so that all machines test with the same client.
const DOCKER = existsSync("/usr/bin/docker") ? "/usr/bin/docker" : "docker";
const START_MS = 30_000;
const STOP_MS = 30_000;

/**
 * Starts an engine that ends with this process, however that ends; after a KILL, the next start takes its remains away.
 * Several may run on one machine. Needs root and Debian's docker.io.
 */
export async function startDocker(): Promise<OwnEngine> {
  if (process.getuid?.() !== 0) throw new Error("a test engine needs root: run the tests as root");
  const slot = takeSlot(DOCKER);
  const remove = (): void => removeEngine(slot.folder, slot.number, DOCKER);
  const forget = onProcessEnd(remove);
  mkdirSync(path.join(slot.folder, "client"));
  const network = networkOfSlot(slot.number);
  createNetwork(network);
  writeFileSync(
    path.join(slot.folder, "daemon.json"),
    JSON.stringify({
      hosts: [`unix://${slot.folder}/docker.sock`],
      "data-root": path.join(slot.folder, "data"),
      "exec-root": path.join(slot.folder, "exec"),
      pidfile: path.join(slot.folder, "pid"),
      bip: network.bridge,
      "default-address-pools": [network.pool],
    }),
  );
  const engine = openEngine(slot);
  await engine.start();
  return {
    ...engine,
    stop() {
      forget();
      remove();
    },
  };
}

/** A handle on the engine in a slot, which another process may have started. */
export function openEngine(slot: Slot): Engine {
  const { folder } = slot;
  const network = networkOfSlot(slot.number);
  const socket = path.join(folder, "docker.sock");
  const host = `unix://${socket}`;
  const env = { ...process.env, DOCKER_HOST: host, DOCKER_CONFIG: path.join(folder, "client"), DOCKER_BUILDKIT: "0" };
  const logFile = path.join(folder, "log");
  const docker = async (...args: string[]): Promise<string> =>
    (await command(DOCKER, args, { env, timeoutMs: 120_000 })).trim();

  const start = async (): Promise<void> => {
    const log = openSync(logFile, "a");
    const [enter, ...args] = [...insideNetwork(network), "dockerd", "--config-file", path.join(folder, "daemon.json")];
    const daemon = spawn(enter, args, {
      detached: true,
      stdio: ["ignore", log, log],
    });
    daemon.once("error", (error) => writeFileSync(logFile, `cannot run dockerd: ${error.message}\n`, { flag: "a" }));
    daemon.unref();
    closeSync(log);
    const answers = (): Promise<string> => docker("version", "--format", "{{.Server.Version}}");
    await until(answers, {
      what: `the engine in ${folder} answers; see its log`,
      timeoutMs: START_MS,
      everyMs: 50,
    }).catch((error: unknown) => {
      throw new Error(`dockerd did not start:\n${readFileSync(logFile, "utf8").slice(-2_000)}`, { cause: error });
    });
  };

  const halt = async (signal: "SIGTERM" | "SIGKILL" = "SIGTERM"): Promise<void> => {
    const containerdPidFile = path.join(folder, "exec/containerd/containerd.pid");
    const dockerd = readPid(path.join(folder, "pid"));
    const containerd = readPid(containerdPidFile);
    if (dockerd === undefined) throw new Error(`the engine in ${folder} does not run`);
    sendSignal(dockerd, signal);
    const gone = (): boolean => !alive(dockerd) && (containerd === undefined || !alive(containerd));
    await until(gone, { what: `dockerd ${dockerd} is gone after ${signal}`, timeoutMs: STOP_MS });
    // Where nobody reaps the killed containerd, the next dockerd would take it for a running one, and wait for it.
    rmSync(containerdPidFile, { force: true });
  };

  return {
    slot,
    socket,
    host,
    hostAddress: network.inside,
    outsideAddress: network.outside,
    enter: insideNetwork(network),
    docker,
    compose: (args, options) =>
      command("docker-compose", args, { timeoutMs: 180_000, ...options, env: { ...env, ...options?.env } }),
    run: async (options = {}) => docker(...runArguments(options)),
    async address(container, name) {
      const format = "{{json .NetworkSettings.Networks}}";
      const networks = JSON.parse(await docker("inspect", "--format", format, container)) as Record<
        string,
        { IPAddress: string }
      >;
      const found = name === undefined ? Object.values(networks)[0] : networks[name];
      if (!found?.IPAddress) throw new Error(`container ${container} has no address in ${name ?? "any network"}`);
      return found.IPAddress;
    },
    async remove(...containers) {
      if (containers.length > 0) await docker("rm", "--force", "--volumes", ...containers).catch(ignoreMissing);
    },
    async restart(signal) {
      await halt(signal);
      await start();
    },
    halt,
    start,
    log: () => readFileSync(logFile, "utf8"),
  };
}

function ignoreMissing(error: unknown): void {
  if (!/No such container|already in progress/i.test(String(error))) throw error;
}
