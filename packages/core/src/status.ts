import type { InstanceState } from "./instance.ts";
import type { RegistryStatus } from "./registry.ts";

/**
 * What the running parts show of themselves: the shapes behind `status`, the admin API and the metrics. Every verdict
 * carries its reason. Times are wall-clock milliseconds since the epoch.
 */
export interface ServiceStatus {
  readonly name: string;
  readonly mode: "tcp" | "http";
  readonly listeners: readonly ListenerStatus[];
  readonly backends: readonly BackendStatus[];
  /** The view is served without its registry: since when, and why. */
  readonly stale?: { readonly sinceMs: number; readonly reason: string };
  /** Problems that keep the service or some of its instances from being served. */
  readonly problems: readonly string[];
  readonly counters: ServiceCounters;
}

export interface ListenerStatus {
  readonly address: string;
  readonly state: "bound" | "failed" | "pending";
  readonly reason?: string;
}

/** `usable` is the verdict the proxy routes by; the other fields say how it came about. */
export interface BackendStatus {
  readonly id: string;
  readonly address: string;
  /** As it was declared. */
  readonly weight: number;
  /** Its share beside the others' after zones, backups, subsets and slow start; 0 while it gets no traffic. */
  readonly effectiveWeight: number;
  readonly state: InstanceState;
  /** Set here, at this proxy only, by an operator. */
  readonly local?: InstanceState;
  readonly suspect: boolean;
  readonly health: "up" | "down" | "unchecked";
  readonly usable: boolean;
  readonly reason: string;
  readonly sinceMs: number;
  readonly node?: string;
  readonly container?: string;
  readonly zone?: string;
  /** Requests (http) or connections (tcp) it may have at once; absent: any number. */
  readonly slots?: number;
  readonly counters: BackendCounters;
}

export interface BackendCounters {
  readonly active: number;
  readonly connections: number;
  readonly requests: number;
  readonly failures: number;
  /** Times it was taken out for what its answers showed. */
  readonly ejections: number;
  readonly retries: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
}

/** Of a backend that got nothing yet. */
export const NO_BACKEND_COUNTERS: BackendCounters = {
  active: 0,
  connections: 0,
  requests: 0,
  failures: 0,
  ejections: 0,
  retries: 0,
  bytesIn: 0,
  bytesOut: 0,
};

export interface ServiceCounters {
  readonly activeClients: number;
  readonly connections: number;
  readonly requests: number;
  /** By status class: 1xx … 5xx at index 1 … 5. */
  readonly responses: readonly number[];
  /** Answered by the proxy itself because no backend could. */
  readonly noBackend: number;
  readonly retries: number;
  /** Requests answered with 502 because retries had become too large a part of the traffic. */
  readonly retryBudgetSpent: number;
  /** Waiting now for a backend that has room, and all that ever had to. */
  readonly waiting: number;
  readonly queued: number;
  /** Turned away: waited too long, or too many waited already. */
  readonly queueTimeouts: number;
  readonly queueFull: number;
  /** Connections closed unserved: their listener or the process had its fill, or they did not begin with the PROXY protocol header asked for. */
  readonly refused: number;
  /** Requests answered with 429, and connections closed, because one client address had or asked for too many. */
  readonly sourceLimited: number;
  /** Requests answered with 503, and connections closed, because the process could not keep up. */
  readonly shed: number;
}

/** Of a service that has not been served yet. */
export const NO_SERVICE_COUNTERS: ServiceCounters = {
  activeClients: 0,
  connections: 0,
  requests: 0,
  responses: [0, 0, 0, 0, 0, 0],
  noBackend: 0,
  waiting: 0,
  queued: 0,
  queueTimeouts: 0,
  queueFull: 0,
  refused: 0,
  sourceLimited: 0,
  shed: 0,
  retries: 0,
  retryBudgetSpent: 0,
};

/** One container, or one service from configuration, as nerve sees it. */
export interface ContainerStatus {
  /** The full container id; for services from configuration, the instance id. */
  readonly id: string;
  readonly name: string;
  readonly image?: string;
  readonly running: boolean;
  readonly registrations: readonly RegistrationStatus[];
  /** The names of the services that it asks to be registered as, whether it is or not. */
  readonly asks: readonly string[];
  /** Why it is left alone: it asks for nothing. */
  readonly ignored?: string;
  /** Why nothing, or not everything, that it asks for is registered. */
  readonly refusals: readonly string[];
  readonly warnings: readonly string[];
}

export interface RegistrationStatus {
  readonly service: string;
  readonly id: string;
  /** The label, the convention or the configuration that gave the service's name and the port, in words. */
  readonly namedBy: string;
  readonly address: string;
  /** Why this address, in words. */
  readonly addressReason: string;
  /** The other addresses it has, each with the reason why it is not this one. */
  readonly otherAddresses: readonly string[];
  readonly check: string;
  readonly health: "starting" | "up" | "down";
  readonly state: InstanceState;
  /** It lies in the registry now. */
  readonly announced: boolean;
  /** The state it lies there with; behind `state` until the registry has taken that. */
  readonly announcedState?: InstanceState;
  readonly reason: string;
  /** What its check was last answered, or what its command wrote, where that says more than the reason. Bounded. */
  readonly output?: string;
  readonly sinceMs: number;
}

/** What must hold for /readyz; each part names its reason when it does not. */
export interface Readiness {
  readonly part: string;
  readonly ready: boolean;
  readonly reason: string;
}

export interface StackStatus {
  readonly role: "up" | "nerve" | "synapse";
  readonly node?: string;
  readonly version: string;
  readonly startedMs: number;
  readonly registries: readonly RegistryStatus[];
  readonly readiness: readonly Readiness[];
  /** What is out of sight by configuration, in sentences. */
  readonly unseen: readonly string[];
  /** The processes of the data path, where it has its own. */
  readonly workers?: readonly WorkerStatus[];
}

export interface WorkerStatus {
  readonly pid: number;
  /** `retired`: replaced, and serving what it has to its end. */
  readonly state: "starting" | "serving" | "retired";
  readonly startedMs: number;
  /** Client connections. */
  readonly clients: number;
}
