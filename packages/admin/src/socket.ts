import { lstat, unlink } from "node:fs/promises";
import { connect, type ListenOptions, type Server } from "node:net";
import { type Clock, StackError, withDeadline } from "@smartstack/core";
import { type AdminAddress, addressText } from "./address.ts";

const PROBE_MS_MAX = 1_000;

/** Binds once. @throws StackError LISTEN_FAILED */
export async function bindServer(server: Server, address: AdminAddress, clock: Clock): Promise<void> {
  if ("path" in address) await removeStaleSocket(address.path, clock);
  try {
    await listening(server, address);
  } catch (cause) {
    throw failed(`cannot listen on ${addressText(address)}`, cause);
  }
}

function listening(server: Server, address: AdminAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = (): void => {
      server.off("error", broken);
      resolve();
    };
    const broken = (error: Error): void => {
      server.off("listening", done);
      reject(error);
    };
    server.once("listening", done);
    server.once("error", broken);
    if ("path" in address) listenPrivately(server, { path: address.path });
    else server.listen({ host: address.host, port: address.port });
  });
}

/** The socket exists from bind on: a chmod after it would leave a moment in which anybody may connect. */
function listenPrivately(server: Server, options: ListenOptions): void {
  const before = process.umask(0o177);
  try {
    server.listen(options);
  } finally {
    process.umask(before);
  }
}

/** A killed process leaves its socket's file behind, which would be in the way for ever. */
async function removeStaleSocket(path: string, clock: Clock): Promise<void> {
  try {
    if (!(await lstat(path)).isSocket()) throw failed(`${path} is in the way and is no socket: remove it`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
    throw error;
  }
  const probe = withDeadline(answers(path), { clock, ms: PROBE_MS_MAX, what: `probing ${path}`, side: "self" });
  if (await probe) throw failed(`${path} is in use by another process`);
  await unlink(path);
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path });
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "ECONNREFUSED" || error.code === "ENOENT") resolve(false);
      else reject(error);
    });
  });
}

function failed(message: string, cause?: unknown): StackError {
  return new StackError("LISTEN_FAILED", message, { side: "self", retry: "after-backoff", cause });
}
