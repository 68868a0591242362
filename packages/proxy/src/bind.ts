import { lstat, unlink } from "node:fs/promises";
import { connect, type Server } from "node:net";
import { StackError } from "@smartstack/core";
import { addressOf } from "./backend-address.ts";
import { failureReason } from "./dial.ts";
import type { ListenAddress } from "./snapshot.ts";

/** Makes a server listen on an address. Rejects with the system's error. */
export type Bind = (server: Server, address: ListenAddress) => Promise<void>;

/** `127.0.0.1:3000`, `[::1]:3000`, `unix:/run/web.sock`. */
export function listenText(address: ListenAddress): string {
  return "path" in address ? `unix:${address.path}` : addressOf(address.host, address.port);
}

/** What makes two wishes for an address the same one. Port 0 asks for any free port: two such wishes never are. */
export function listenKey(service: string, address: ListenAddress): string {
  const text = listenText(address);
  return "port" in address && address.port === 0 ? `${service} ${text}` : text;
}

/** Binds the address in this process. */
export const bindHere: Bind = (server, address) => withoutStale(address, () => listen(server, address));

function listen(server: Server, address: ListenAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen("path" in address ? { path: address.path } : { host: address.host, port: address.port }, resolve);
  });
}

export function listenError(address: ListenAddress, error: NodeJS.ErrnoException): StackError {
  const why = LISTEN_REASONS[error.code ?? ""] ?? failureReason(error);
  return new StackError("LISTEN_FAILED", `cannot listen on ${listenText(address)}: ${why}`, {
    side: "config",
    retry: "after-backoff",
  });
}

const LISTEN_REASONS: Readonly<Record<string, string>> = {
  EADDRINUSE: "the address is in use by another process; stop that one or choose another port",
  EACCES: "not permitted; choose a port above 1023 or allow it",
  EADDRNOTAVAIL: "this host has no such address",
  EAFNOSUPPORT: "this host has no such address family",
};

/** Runs `bind`, and once more without the file of a dead server's socket, where that was in its way. */
export async function withoutStale<T>(address: ListenAddress, bind: () => Promise<T>): Promise<T> {
  try {
    return await bind();
  } catch (error) {
    const inUse = (error as NodeJS.ErrnoException).code === "EADDRINUSE";
    if (!inUse || !("path" in address) || !(await removeStale(address.path))) throw error;
    return bind();
  }
}

async function removeStale(path: string): Promise<boolean> {
  const file = await lstat(path);
  if (!file.isSocket() || (await answers(path))) return false;
  await unlink(path);
  return true;
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code !== "ECONNREFUSED"));
  });
}
