import type { BackendCounters, InstanceState, ListenerStatus, ServiceCounters } from "@smartstack/core";
import type { Snapshot } from "./snapshot.ts";

/** The proxy's part of a backend's status; synapse adds what the registry knows. */
export interface ProxyBackendStatus {
  readonly key: string;
  readonly health: "up" | "down" | "unchecked";
  readonly usable: boolean;
  /** Its share beside the others' after zones, backups, subsets and slow start; 0 while it gets no traffic. */
  readonly effectiveWeight: number;
  /** Why it is usable or not, in words: "up", "3 probes failed: connect refused", "draining (registry)". */
  readonly reason: string;
  /** Wall clock: when `usable` last changed. */
  readonly sinceMs: number;
  readonly local?: InstanceState;
  /** Requests (http) or connections (tcp) it may have at once; absent: any number. */
  readonly slots?: number;
  readonly counters: BackendCounters;
}

export interface ProxyServiceStatus {
  readonly name: string;
  readonly revision: number;
  readonly listeners: readonly ListenerStatus[];
  readonly backends: readonly ProxyBackendStatus[];
  readonly counters: ServiceCounters;
}

export interface CloseOptions {
  /** How long running requests and connections may go on, milliseconds. */
  readonly graceMs: number;
  /** Keep accepting while draining, as the app beside us may still need to call out; default true. */
  readonly acceptWhileDraining?: boolean;
  /** Kept client connections without a request may live out their timeout, as their clients may be about to send; default false. */
  readonly waitForKept?: boolean;
}

/** The embedded data plane. Knows nothing of registries. */
export interface Proxy {
  /** Takes the new state at once for pools; listeners are bound and unbound in the background, and retried when their address is taken. */
  apply(snapshot: Snapshot): void;
  /** Resolves once every listener of the applied snapshot is bound or has failed once. */
  settled(): Promise<void>;
  status(): readonly ProxyServiceStatus[];
  /** An operator's word for this proxy alone; undefined takes it back. False when there is no such backend. */
  setLocalState(service: string, key: string, state: InstanceState | undefined): boolean;
  /** Drains, then closes everything. Idempotent; a second call with graceMs 0 ends at once. */
  close(options: CloseOptions): Promise<void>;
}

/** A backend's health turned: by probes, or by passive observation. */
export type HealthListener = (change: {
  readonly service: string;
  readonly key: string;
  readonly up: boolean;
  readonly reason: string;
}) => void;
