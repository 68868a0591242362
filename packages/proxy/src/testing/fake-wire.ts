import type { StageMemory } from "../stage.ts";
import { NOBODY, type Wire } from "../wire.ts";

/** A connection without a network, whose state and events are the test's. */
export interface FakeWire extends Wire {
  /** What ended it from our side, in order. */
  readonly calls: string[];
  destroyed: boolean;
  writable: boolean;
  needsDrain: boolean;
  paused: boolean;
  /** Times it was asked whether the other end is still there. */
  probes: number;
  /** All that was written to it, latin1. */
  sent: string;
  /** Its connection is over. */
  gone(error?: Error): void;
}

export function fakeWire(): FakeWire {
  const calls: string[] = [];
  return {
    owner: NOBODY,
    onGone: undefined,
    destroyed: false,
    writable: true,
    needsDrain: false,
    paused: true,
    probes: 0,
    written: 0,
    sent: "",
    calls,
    peer: () => undefined,
    ends: () => undefined,
    pause(): void {
      this.paused = true;
    },
    resume(): void {
      this.paused = false;
    },
    probe(): void {
      this.probes++;
    },
    send(memory: StageMemory, length: number): boolean {
      this.sent += memory.bytes.toString("latin1", 0, length);
      return false;
    },
    end(): void {
      calls.push("end");
      this.writable = false;
    },
    destroy(): void {
      calls.push("destroy");
      this.destroyed = true;
    },
    reset(): void {
      calls.push("reset");
      this.destroyed = true;
    },
    gone(error): void {
      this.destroyed = true;
      this.owner.wireClosed(error);
    },
  };
}
