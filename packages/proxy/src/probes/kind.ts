import { connect, type Socket } from "node:net";
import type { Clock } from "@smartstack/core";
import type { Backend } from "../backend.ts";
import { unixPath } from "../backend-address.ts";
import { proxyHeader } from "../proxy-protocol/write.ts";
import type { CheckSpec } from "../snapshot.ts";

/** One probe while it runs. */
export interface Probing {
  readonly clock: Clock;
  readonly backend: Pick<Backend, "host" | "port" | "address">;
  readonly check: CheckSpec;
  /** The first call counts. The reason is only read when not ok. */
  finish(ok: boolean, reason: string): void;
  /** The same, for an error of a socket. */
  failed(error: NodeJS.ErrnoException): void;
  /** Called at the probe's end, however it ends. */
  onEnd(clean: () => void): void;
}

/** One way to probe: begins, and calls `finish` in the end. Its timeout is kept for it. */
export type ProbeKind = (probing: Probing) => void;

/** A connection to the backend, or to the port that answers checks for it, that has introduced itself. */
export function probeSocket({ backend, check }: Probing): Socket {
  const path = unixPath(backend.host);
  const socket = connect(
    path === undefined
      ? { host: backend.host, port: check.port ?? backend.port, noDelay: true }
      : { path, noDelay: true },
  );
  if (check.sendProxy !== undefined) socket.write(proxyHeader(check.sendProxy, undefined));
  return socket;
}
