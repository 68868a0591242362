import type { EventBus, Registry } from "@smartstack/core";
import type { Child } from "../support/children.ts";

/** What the conformance suite needs of a kind of registry: one real server, and ways round the driver. */
export interface RegistryHarness {
  /** Lease or session time that `open` uses, milliseconds. */
  readonly ttlMs: number;
  /** Killed with -9 → gone within this, milliseconds. */
  readonly goneMs: number;
  /** How long cases wait for what must happen soon; 10 s unless the suite itself is under test. */
  readonly waitMs?: number;
  /** The layout knows no node entries: nobody waits for one. */
  readonly nodeless?: true;
  /** A prefix of its own for one case. */
  fresh(): RegistryBench | Promise<RegistryBench>;
  stop(): Promise<void>;
}

export interface RegistryBench {
  /** A new driver object, as another process would have it; its lease or session time is the harness's unless given. */
  open(ttlMs?: number): Promise<Registry>;
  readonly events: EventBus;
  /** Everything under the prefix, read without the driver: path → text. */
  read(): Promise<Map<string, string>>;
  /** The longest id that the layout's keys have room for; 128 if absent. */
  readonly idCharsMax?: number;
  /** Writes (or, for undefined, deletes) without the driver. */
  foreign(path: string, text: string | undefined): Promise<void>;
  /** Deletes the whole prefix, and whatever the registry needs of it. */
  wipe(): Promise<void>;
  /** Runs a process that announces `count` instances of `service` as `node`, and resolves when they are announced. */
  owner?(node: string, service: string, count: number): Promise<{ readonly kill: () => void }>;
  /** Runs a process that announces as `node`, writes to `web`, and watches; `stray`: it leaves a failure to nobody. */
  survivor?(node: string, stray?: "stray"): Promise<Child>;
  readonly server?: ServerControl;
  /** Removes what the case left. */
  done(): Promise<void>;
}

/** What can be done to a server. */
export interface ServerControl {
  /** kill -9 */
  kill(): Promise<void>;
  /** Starts it again on the same address and data. */
  start(): Promise<void>;
  /** `foreign` works while it is away, as it does for a server that only this client cannot reach. */
  readonly changesWhileAway?: boolean;
  /** Answers nobody, keeps its connections. Absent where there is no such state. */
  freeze?(): Promise<void>;
  thaw?(): Promise<void>;
}
