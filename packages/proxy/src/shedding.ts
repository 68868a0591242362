import type { Cancel, Clock } from "@smartstack/core";
import { afterTick, CALM } from "./overload.ts";

/** An idle process wakes up for each. */
const TICK_MS = 500;

/** The part of what is new that the process turns away now, as it cannot keep up; 0 = none. */
export interface Shedding {
  share: number;
}

export interface SheddingOptions {
  readonly clock: Clock;
  /** CPU time that this process has used, milliseconds. */
  readonly cpuMs: () => number;
  /** Turning away began (true), or ended. */
  readonly onTurn: (overloaded: boolean) => void;
}

/** Looks at the event loop while it is asked to. */
export interface LoopWatch {
  /** How late its ticks may be, milliseconds; undefined: nobody is turned away. */
  tolerate(lagMs: number | undefined): void;
}

export function watchLoop(shedding: Shedding, { clock, cpuMs, onTurn }: SheddingOptions): LoopWatch {
  let overload = CALM;
  let lagMs: number | undefined;
  let cancel: Cancel | undefined;

  function become(next: typeof CALM): void {
    const turned = next.share > 0 !== overload.share > 0;
    overload = next;
    shedding.share = next.share;
    if (turned) onTurn(next.share > 0);
  }

  function wait(): void {
    const [fromMs, cpuBeforeMs] = [clock.monotonic(), cpuMs()];
    const tick = (): void => {
      const passedMs = clock.monotonic() - fromMs;
      const sample = { lateMs: passedMs - TICK_MS, cpuMs: cpuMs() - cpuBeforeMs, passedMs };
      if (lagMs !== undefined) become(afterTick(overload, sample, lagMs));
      wait();
    };
    cancel = clock.after(TICK_MS, tick, { background: true });
  }

  return {
    tolerate(toleratedMs) {
      lagMs = toleratedMs;
      if (lagMs !== undefined && cancel === undefined) wait();
      if (lagMs !== undefined || cancel === undefined) return;
      cancel();
      cancel = undefined;
      become(CALM);
    },
  };
}

/** CPU time of all threads of this process: the collector's work is work, too. */
export function processCpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}
