import type { InstanceState } from "@smartstack/core";
import type { Agent } from "../agent-word.ts";
import type { CloseOptions, ProxyServiceStatus } from "../data-plane.ts";
import type { ListenAddress, ServiceSpec } from "../snapshot.ts";
import type { Place } from "./portion.ts";

/**
 * What control process and workers say to each other, over Node's process channel. Raised whenever a message
 * changes its meaning: a worker may be of newer code than the control process that starts it.
 */
export const PROTOCOL = 1;

export type ToWorker =
  /** The first one: which of how many workers it is. */
  | { readonly kind: "place"; readonly place: Place }
  /** The services that are new or changed, and all names when the set of them changed. */
  | {
      readonly kind: "apply";
      readonly revision: number;
      readonly changed: readonly ServiceSpec[];
      readonly names?: readonly string[];
      readonly clientsMax?: number;
      readonly shedLagMs?: number;
    }
  /** Turns of backends' health, which the control process finds out for all workers. */
  | { readonly kind: "health"; readonly turns: readonly HealthTurn[] }
  /** What the agent of a backend said, which the control process asks for all workers. */
  | { readonly kind: "agent"; readonly service: string; readonly key: string; readonly agent: Agent }
  | { readonly kind: "local"; readonly service: string; readonly key: string; readonly state?: InstanceState }
  /** Answers `listen`: with the bound socket, or with why there is none. */
  | {
      readonly kind: "listening";
      readonly ask: number;
      readonly error?: { readonly code: string; readonly message: string };
    }
  /** With a connection that another worker accepted. */
  | { readonly kind: "adopt"; readonly key: string }
  /** What one worker's share of all clients is now. */
  | { readonly kind: "share"; readonly clients: number }
  /** Drains, then ends the process. */
  | { readonly kind: "close"; readonly options: CloseOptions };

export interface HealthTurn {
  readonly service: string;
  readonly key: string;
  readonly up: boolean;
  readonly reason: string;
}

export interface Load {
  /** Client connections now. */
  readonly clients: number;
  /** Connections from other workers taken so far, to be told from those that are still on their way. */
  readonly adopted: number;
}

export type ToControl =
  | { readonly kind: "hello"; readonly protocol: number }
  | { readonly kind: "listen"; readonly ask: number; readonly key: string; readonly address: ListenAddress }
  /** Every listener of this snapshot is bound, or has failed once. */
  | { readonly kind: "settled"; readonly revision: number }
  /** Live traffic found a backend dead. */
  | { readonly kind: "failed"; readonly service: string; readonly key: string; readonly reason: string }
  /** It begins to turn away what it cannot keep up with, or ends that. */
  | { readonly kind: "overload"; readonly overloaded: boolean }
  /** With a connection beyond this worker's share. */
  | { readonly kind: "over"; readonly key: string; readonly load: Load }
  /** Services of which anything was counted since the last report. */
  | { readonly kind: "report"; readonly load: Load; readonly services: readonly ProxyServiceStatus[] };
