import type { TestServer } from "./etcd.ts";

/** Servers that elect a leader, on loopback; every link between two of them, and to clients, can be cut. */
export interface Ensemble {
  readonly members: readonly Member[];
  /** For clients, each through a proxy that `cutOff` holds up. */
  readonly endpoints: readonly string[];
  /** @throws Error when there is none. */
  leader(): Promise<Member>;
  stop(): Promise<void>;
}

export interface Member {
  readonly name: string;
  /** The server itself, past all proxies. */
  readonly server: TestServer;
  /** Nothing reaches it nor leaves it, neither to the others nor to clients; its connections stay. */
  cutOff(): void;
  /** Its links to the other members only. */
  cutOffFromMembers(): void;
  heal(): void;
}
