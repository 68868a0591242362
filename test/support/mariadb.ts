import { existsSync } from "node:fs";
import { join } from "node:path";
import { command } from "./command.ts";
import { startServer, type TestServer } from "./etcd.ts";
import { freePort } from "./ports.ts";

const HOST = "127.0.0.1";

export interface MariaDb extends TestServer {
  readonly port: number;
  /** Runs statements as root and returns what they print. */
  sql(statements: string): Promise<string>;
}

/** Starts MariaDB on both loopbacks, with an empty root password; resolves when it answers. */
export async function startMariaDb(options: readonly string[] = []): Promise<MariaDb> {
  const port = await freePort();
  const client = (file: string, ...args: readonly string[]): Promise<string> =>
    command(file, ["--no-defaults", "-h", HOST, "-P", String(port), "-u", "root", ...args], { timeoutMs: 10_000 });
  // As root it demands to be told whom to run as; in a test's folder that may be root.
  const user = process.getuid?.() === 0 ? ["--user=root"] : [];
  const server = await startServer("mariadb", `${HOST}:${port}`, undefined, async (dir) => {
    const data = join(dir, "data");
    if (!existsSync(data)) {
      const install = ["--no-defaults", `--datadir=${data}`, "--auth-root-authentication-method=normal"];
      await command("mariadb-install-db", [...install, "--skip-test-db", ...user]);
    }
    return {
      command: "mariadbd",
      args: [
        "--no-defaults",
        ...user,
        `--datadir=${data}`,
        `--socket=${join(dir, "s")}`,
        `--pid-file=${join(dir, "pid")}`,
        `--port=${port}`,
        `--bind-address=${HOST},::1`,
        "--innodb-buffer-pool-size=16M",
        "--innodb-flush-log-at-trx-commit=0",
        ...options,
      ],
      ready: async () => (await client("mariadb-admin", "ping")).includes("alive"),
    };
  });
  return { ...server, port, sql: (statements) => client("mariadb", "-N", "-e", statements) };
}
