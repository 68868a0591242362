import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { type Child, onProcessEnd, startChild, untilReady } from "./children.ts";

export interface HaProxy {
  readonly child: Child;
  readonly pid: number;
  stop(): Promise<void>;
}

/** Starts a real HAProxy, in the foreground, with this configuration; ready when `port` accepts. */
export async function startHaProxy(config: string, port: number, host = "127.0.0.1"): Promise<HaProxy> {
  const folder = mkdtempSync(path.join(tmpdir(), "smartstack-haproxy-"));
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  const forget = onProcessEnd(remove);
  const file = path.join(folder, "haproxy.cfg");
  // HAProxy takes a last line without its end for a cut-off file.
  writeFileSync(file, `${config}\n`);
  const child = startChild("/usr/sbin/haproxy", ["-db", "-f", file]);
  const stop = async (): Promise<void> => {
    await child.stop();
    forget();
    remove();
  };
  try {
    await untilReady(child, "haproxy", () => accepts(host, port));
  } catch (error) {
    await stop();
    throw error;
  }
  return { child, pid: child.pid, stop };
}

function accepts(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, host);
    const end = (result: boolean): void => {
      socket.destroy();
      resolve(result);
    };
    socket.once("connect", () => end(true));
    socket.once("error", () => end(false));
  });
}
