import type { EventBus } from "@smartstack/core";
import type { Stack } from "../run-stack.ts";

/** The service that the demo shows. */
export const SERVICE = "demo-web";

/** Backends that can be started and killed, and the stack that finds and serves them. */
export interface Fleet {
  /** What stands behind it, for people. */
  readonly about: string;
  readonly stack: Stack;
  start(name: string): Promise<void>;
  /** At once, without a word to the backend. */
  kill(name: string): Promise<void>;
  /** Removes everything that was made. Never rejects. Idempotent. */
  close(): Promise<void>;
}

export interface FleetDeps {
  readonly events: EventBus;
  /** Where the service is to be served: a free port on loopback. */
  readonly port: number;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Says a line. */
  readonly say: (line: string) => void;
}
