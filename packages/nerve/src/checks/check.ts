import type { Clock } from "@smartstack/core";
import type { z } from "zod";
import type { EngineVerdict } from "../containers.ts";

/** What one probe needs; a kind takes what it uses. */
export interface ProbeRequest<Options = unknown> {
  readonly host: string;
  readonly port: number;
  /** What this kind's `keys` made of the configuration or the label. */
  readonly options: Options;
  readonly timeoutMs: number;
  /**
   * The address is a port that Docker publishes: its docker-proxy accepts there though nothing may listen behind it,
   * and closes a moment later.
   */
  readonly published: boolean;
  /** The engine's verdict on the container now; undefined for services from configuration. */
  readonly engine: EngineVerdict | undefined;
  readonly clock: Clock;
  /** Nobody waits for the answer any more: give up and close everything. */
  readonly signal: AbortSignal;
}

export interface ProbeResult {
  readonly passed: boolean;
  /** For people: "connected", "status 503", "connect ECONNREFUSED 10.0.0.7:80". */
  readonly reason: string;
  /** What was answered, where that says more than the reason. Bounded and printable. */
  readonly output?: string;
}

/** One kind of check. A new kind is one file with one of these, and one line in the table of index.ts. */
export interface CheckKind<Options = unknown> {
  /** It probes by time, so nerve must be able to reach the address; else it is decided by what the engine says. */
  readonly active: boolean;
  /** Services from configuration may ask for it. */
  readonly inConfig: boolean;
  /** The keys that only this kind has in a configuration, besides those that every check has. */
  readonly keys: z.ZodRawShape;
  /** What of the options cannot go together. */
  problem?(options: Options): string | undefined;
  /** For people, what comes after `type host:port`, such as a path; default nothing. */
  detail?(options: Options): string;
  /** It takes the service for one that speaks plain HTTP; default false. */
  plainHttp?(options: Options): boolean;
  /** The time for one whole probe where the options have a say in it; `timeoutMs` is the general one. */
  timeoutMs?(options: Options, timeoutMs: number): number;
  /** Runs once. Settles within `timeoutMs` and soon after an abort, never rejects, and leaves nothing open behind. */
  probe(request: ProbeRequest<Options>): Promise<ProbeResult>;
}

/** The options that the schemas of `keys` come out as. */
export type OptionsOf<Keys extends z.ZodRawShape> = z.output<z.ZodObject<Keys>>;
