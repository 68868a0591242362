import { connect } from "node:net";
import type { CheckKind, ProbeRequest, ProbeResult } from "./check.ts";

/** docker-proxy accepts before it knows whether anything listens behind it, and closes within this time if not. */
const OUTLIVE_MS = 50;

/** Passes when a TCP connection comes about, and behind a published port when it is still open 50 ms later. */
export const tcp: CheckKind = { active: true, inConfig: true, probe };

function probe({ host, port, timeoutMs, published, clock }: ProbeRequest): Promise<ProbeResult> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const finish = (passed: boolean, reason: string): void => {
      cancelTimeout();
      cancelOutlive();
      socket.destroy();
      resolve({ passed, reason });
    };
    let cancelOutlive = (): void => undefined;
    const cancelTimeout = clock.after(timeoutMs, () => finish(false, `no connection within ${timeoutMs} ms`));
    socket.on("connect", () => {
      if (!published) finish(true, "connected");
      else cancelOutlive = clock.after(Math.min(OUTLIVE_MS, timeoutMs - 1), () => finish(true, "connected"));
    });
    socket.on("error", (error) => finish(false, error.message));
    // A server that speaks first and then closes was there; one that closes without a word was docker-proxy.
    socket.on("data", () => finish(true, "connected"));
    socket.on("close", () => finish(false, "closed at once: nothing listens behind the published port"));
  });
}
