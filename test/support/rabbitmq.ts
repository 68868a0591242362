import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { type Child, onProcessEnd, startChild, untilReady } from "./children.ts";
import { accepts } from "./etcd.ts";
import { freePorts } from "./ports.ts";
import { signal } from "./processes.ts";

const HOST = "127.0.0.1";

export interface RabbitMq {
  readonly port: number;
  /** Its log so far. */
  log(): string;
  freeze(): void;
  thaw(): void;
  stop(): Promise<void>;
}

/** Starts RabbitMQ on both loopbacks, with its guest user; resolves when it accepts, which takes about ten seconds. */
export async function startRabbitMq(): Promise<RabbitMq> {
  const [port = 0, epmdPort = 0, distPort = 0] = await freePorts(3);
  const folder = mkdtempSync(path.join(tmpdir(), "smartstack-rabbitmq-"));
  const remove = (): void => rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  const forget = onProcessEnd(remove);
  // Erlang would start one as a daemon of the machine, and leave it.
  const epmd = startChild("epmd", ["-port", String(epmdPort), "-address", HOST]);
  writeFileSync(
    path.join(folder, "rabbitmq.conf"),
    `listeners.tcp.1 = ${HOST}:${port}\nlisteners.tcp.2 = ::1:${port}\nlog.console = true\n`,
  );
  // Debian's wrapper would change the user; this is what it runs.
  const broker = startChild("/usr/lib/rabbitmq/bin/rabbitmq-server", [], {
    cwd: folder,
    env: { ...process.env, ...settings(folder, epmdPort, distPort, port) },
  });
  const stop = async (): Promise<void> => {
    await Promise.all([end(broker), end(epmd)]);
    forget();
    remove();
  };
  try {
    await untilReady(broker, "rabbitmq", async () => (await accepts(`${HOST}:${port}`)) && opened(broker), 50_000);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    port,
    log: broker.output,
    freeze: () => signal(-broker.pid, "SIGSTOP"),
    thaw: () => signal(-broker.pid, "SIGCONT"),
    stop,
  };
}

function opened(broker: Child): boolean {
  return broker.output().includes("Server startup complete");
}

function settings(folder: string, epmdPort: number, distPort: number, port: number): Record<string, string> {
  return {
    HOME: folder,
    ERL_EPMD_PORT: String(epmdPort),
    // Then the broker's process is the one that was started, not a child of a shell.
    RUNNING_UNDER_SYSTEMD: "true",
    RABBITMQ_NODENAME: `test-${port}@localhost`,
    RABBITMQ_DIST_PORT: String(distPort),
    RABBITMQ_CONF_ENV_FILE: "/dev/null",
    RABBITMQ_CONFIG_FILE: path.join(folder, "rabbitmq"),
    RABBITMQ_MNESIA_BASE: path.join(folder, "data"),
    RABBITMQ_LOG_BASE: path.join(folder, "log"),
    RABBITMQ_LOGS: "-",
    RABBITMQ_ENABLED_PLUGINS_FILE: path.join(folder, "plugins"),
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: `-kernel inet_dist_use_interface {127,0,0,1} +S 1:1`,
  };
}

async function end(child: Child): Promise<void> {
  // Its shutdown is orderly and slow, and nobody needs its data.
  await child.stop(0);
}
