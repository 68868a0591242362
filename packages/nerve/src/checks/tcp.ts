import { connect } from "node:net";
import { attempt } from "./attempt.ts";
import type { CheckKind, ProbeRequest, ProbeResult } from "./check.ts";
import { lookupOf } from "./lookup.ts";

/** docker-proxy accepts before it knows whether anything listens behind it, and closes within this time if not. */
const OUTLIVE_MS = 50;

/** Passes when a TCP connection comes about, and behind a published port when it is still open 50 ms later. */
export const tcp: CheckKind = { active: true, inConfig: true, keys: {}, probe };

function probe(request: ProbeRequest): Promise<ProbeResult> {
  const { host, port, timeoutMs, published, clock } = request;
  return attempt(
    request,
    ({ defer, late }) =>
      new Promise((resolve, reject) => {
        late(`no connection within ${timeoutMs} ms`);
        const socket = connect({ host, port, lookup: lookupOf(request) });
        defer(() => socket.destroy());
        const pass = (): void => resolve({ passed: true, reason: "connected" });
        socket.on("connect", () => {
          if (published) defer(clock.after(Math.min(OUTLIVE_MS, timeoutMs - 1), pass));
          else pass();
        });
        socket.on("error", reject);
        // A server that speaks first and then closes was there; one that closes without a word was docker-proxy.
        socket.on("data", pass);
        socket.on("close", () =>
          resolve({ passed: false, reason: "closed at once: nothing listens behind the published port" }),
        );
      }),
  );
}
