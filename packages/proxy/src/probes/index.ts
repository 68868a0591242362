import type { Clock } from "@smartstack/core";
import type { Probe } from "../checker.ts";
import { failureReason, isOurFault } from "../dial.ts";
import type { ProbeResult } from "../health.ts";
import type { CheckSpec } from "../snapshot.ts";
import { http } from "./http.ts";
import type { ProbeKind } from "./kind.ts";
import { shareProbes } from "./shared.ts";
import { tcp } from "./tcp.ts";

/** Every way to probe, by its name in configuration: sorted, one line each. A new one is a file beside this one and a line here. */
const KINDS: Readonly<Record<CheckSpec["type"], ProbeKind>> = {
  http,
  tcp,
};

/** Probes as each check says, within its timeout; those of several services that are the same are one. */
export function createProbe(clock: Clock): Probe {
  return shareProbes(probeOnce(clock), clock);
}

function probeOnce(clock: Clock): Probe {
  return (backend, check, done) => {
    const cleaners: (() => void)[] = [];
    let ended = false;
    const end = (): void => {
      ended = true;
      for (const clean of cleaners) clean();
    };
    const conclude = (result: ProbeResult): void => {
      if (ended) return;
      end();
      done(result);
    };
    const finish = (ok: boolean, reason: string): void => conclude({ ok, reason });
    const late = (): void => finish(false, `no answer within ${check.timeoutMs} ms`);
    cleaners.push(clock.after(check.timeoutMs, late, { background: true }));
    KINDS[check.type]({
      clock,
      backend,
      check,
      finish,
      failed: (error) => conclude({ ok: false, reason: failureReason(error), ours: isOurFault(error) }),
      onEnd(clean) {
        if (ended) clean();
        else cleaners.push(clean);
      },
    });
    return end;
  };
}
