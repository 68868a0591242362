import { connect } from "node:net";
import type { Clock } from "@smartstack/core";
import { hostHeader } from "./backend.ts";
import { unixPath } from "./backend-address.ts";
import type { Probe } from "./checker.ts";
import { failureReason } from "./dial.ts";
import { proxyHeader } from "./proxy-protocol/write.ts";

/** A connection that is dropped this soon was accepted by a middleman (docker-proxy) with nobody behind it. */
const ALIVE_MS = 50;
const STATUS_LINE = /^HTTP\/1\.[01] (\d{3})[ \r]/;

/** Probes by a connect that lives, or by GET and a status from 200 to 399. */
export function createProbe(clock: Clock): Probe {
  return (backend, check, done) => {
    const path = unixPath(backend.host);
    const where = path === undefined ? { host: backend.host, port: backend.port } : { path };
    const socket = connect({ ...where, noDelay: true });
    let heard = "";
    let ended = false;
    const finish = (ok: boolean, reason: string): void => {
      if (ended) return;
      ended = true;
      cancelTimeout();
      cancelAlive();
      socket.destroy();
      done({ ok, reason });
    };
    const cancelTimeout = clock.after(check.timeoutMs, () => finish(false, `no answer within ${check.timeoutMs} ms`), {
      background: true,
    });
    let cancelAlive = (): void => undefined;
    socket.on("connect", () => {
      if (check.sendProxy !== undefined) socket.write(proxyHeader(check.sendProxy, undefined));
      if (check.type === "tcp") cancelAlive = clock.after(ALIVE_MS, () => finish(true, "connected"));
      else {
        socket.write(
          `GET ${check.path ?? "/"} HTTP/1.1\r\nHost: ${hostHeader(backend)}\r\nUser-Agent: smartstack-check\r\nConnection: close\r\n\r\n`,
        );
      }
    });
    socket.on("data", (chunk: Buffer) => {
      if (check.type === "tcp") return finish(true, "answered");
      heard += chunk.toString("latin1");
      if (heard.length < 13) return;
      const status = Number(STATUS_LINE.exec(heard)?.[1] ?? 0);
      if (status === 0) finish(false, "not an HTTP/1 answer");
      else finish(status >= 200 && status < 400, `status ${status}`);
    });
    socket.on("error", (error) => finish(false, failureReason(error)));
    socket.on("close", () => finish(false, "closed without an answer"));
    return () => {
      ended = true;
      cancelTimeout();
      cancelAlive();
      socket.destroy();
    };
  };
}
