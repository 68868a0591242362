import type { Clock } from "@smartstack/core";
import type { EngineHealth } from "../containers.ts";

/** What one probe needs; a kind takes what it uses. */
export interface ProbeRequest {
  readonly host: string;
  readonly port: number;
  /** For http. */
  readonly path: string;
  /** For http: the body must contain it. */
  readonly expect: string | undefined;
  readonly timeoutMs: number;
  /**
   * The address is a port that Docker publishes: its docker-proxy accepts there though nothing may listen behind it,
   * and closes a moment later.
   */
  readonly published: boolean;
  /** The engine's verdict on the container now; undefined for services from configuration. */
  readonly engineHealth: EngineHealth | undefined;
  readonly clock: Clock;
}

export interface ProbeResult {
  readonly passed: boolean;
  /** For people: "connected", "status 503", "connect ECONNREFUSED 10.0.0.7:80". */
  readonly reason: string;
}

/** One kind of check. A new kind is one file with one of these, and one line in the table of index.ts. */
export interface CheckKind {
  /** It opens connections, so nerve must be able to reach the address; else it is decided by what the engine says. */
  readonly active: boolean;
  /** Services from configuration may ask for it. */
  readonly inConfig: boolean;
  /** Runs once. Settles within `timeoutMs`, never rejects, and leaves nothing open behind. */
  probe(request: ProbeRequest): Promise<ProbeResult>;
}
