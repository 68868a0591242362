import { existsSync } from "node:fs";
import { chown, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { command } from "./command.ts";
import { startServer, type TestServer } from "./etcd.ts";
import { freePort } from "./ports.ts";

/** Debian 12's; its programs are not on the path. */
const BIN = "/usr/lib/postgresql/15/bin";
const HOST = "127.0.0.1";
/** PostgreSQL refuses to run as root. Debian's nobody and nogroup. */
const NOBODY = 65_534;

/** Whom it lets in, and how; anyone else may not even try. */
const ACCESS = `
host all postgres all scram-sha-256
host all trusted all trust
`;

export interface Postgres extends TestServer {
  readonly port: number;
  /** What it does from its next start on: as a standby without hot standby it lets nobody in, as while it recovers. */
  becomeStandby(): Promise<void>;
}

/** Starts PostgreSQL on both loopbacks; resolves when it takes sessions, or refuses them as a standby. */
export async function startPostgres(): Promise<Postgres> {
  const port = await freePort();
  let folder = "";
  const server = await startServer("postgres", `${HOST}:${port}`, undefined, async (dir) => {
    folder = dir;
    const data = join(dir, "data");
    if (!existsSync(data)) await initialise(dir, data);
    const settings = {
      port,
      listen_addresses: `${HOST},::1`,
      unix_socket_directories: "",
      hot_standby: "off",
      fsync: "off",
      shared_buffers: "16MB",
    };
    const args = Object.entries(settings).flatMap(([key, value]) => ["-c", `${key}=${value}`]);
    const [file, ...rest] = unprivileged([join(BIN, "postgres"), "-D", data, ...args]);
    return { command: file ?? "", args: rest, ready: () => answers(port) };
  });
  return {
    ...server,
    port,
    becomeStandby: () => writeFile(join(folder, "data", "standby.signal"), ""),
  };
}

async function initialise(dir: string, data: string): Promise<void> {
  if (process.getuid?.() === 0) await chown(dir, NOBODY, NOBODY);
  const [file, ...args] = unprivileged([join(BIN, "initdb"), "-D", data, "-U", "postgres", "-A", "trust", "--no-sync"]);
  await command(file ?? "", args, { cwd: "/" });
  await writeFile(join(data, "pg_hba.conf"), ACCESS);
}

/** As root: the command as nobody. The order to die with its parent does not outlive a change of user, so it is given anew. */
function unprivileged(command: readonly string[]): readonly string[] {
  if (process.getuid?.() !== 0) return command;
  const user = [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups"];
  return ["/usr/bin/setpriv", ...user, "--pdeathsig=KILL", "--", ...command];
}

/** By its own pg_isready: 0 takes sessions, 1 refuses them. */
async function answers(port: number): Promise<boolean> {
  try {
    await command(join(BIN, "pg_isready"), ["-h", HOST, "-p", String(port), "-t", "2"], { timeoutMs: 5_000 });
    return true;
  } catch (error) {
    return String(error).includes("rejecting connections");
  }
}
