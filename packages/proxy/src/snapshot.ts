import type { InstanceState, StatusRange } from "@smartstack/core";
import type { AgentSpec } from "./agents.ts";
import type { LimitsSpec } from "./limits.ts";
import type { OutlierSpec } from "./outlier.ts";
import type { ProxyVersion } from "./proxy-protocol/header.ts";
import type { SourceLimitsSpec } from "./sources.ts";

/** Where a listener accepts: an address and port, or the path of a unix socket. */
export type ListenAddress = { readonly host: string; readonly port: number } | { readonly path: string };

export type BalanceName =
  | "cookie"
  | "ewma"
  | "first"
  | "header"
  | "least_conn"
  | "random"
  | "round_robin"
  | "source"
  | "uri";

/** How the algorithms that hash (source, uri, header, cookie) do it. */
export interface HashSpec {
  /** Of the header, in lower case, or of the cookie. */
  readonly name: string;
  /** For uri: with the query. */
  readonly whole: boolean;
  /** The most one backend may have, percent of an even share; 0 = off. HAProxy's hash-balance-factor. */
  readonly loadFactor: number;
  /** Points on the ring per unit of weight: more spread better; HAProxy has 16. */
  readonly points: number;
}

export const DEFAULT_HASH: HashSpec = { name: "", whole: false, loadFactor: 0, points: 64 };

/** How weights become shares of traffic; see shares.ts. */
export interface SharingSpec {
  /** Where this proxy is: backends of the same zone come first. */
  readonly zone?: string;
  /** Which backups stand in when no other backend is usable: all, or the first, as HAProxy with and without allbackups. */
  readonly backups: "all" | "first";
  /** Each by its name; what is left of 100 percent goes to the backends of no subset. */
  readonly subsets: readonly SubsetSpec[];
  /** In how many milliseconds a backend that comes to others grows to its full weight; 0 = at once. */
  readonly slowStartMs: number;
  /** With a smaller part of them usable, percent, all that are offered get traffic: too few would drown. 0 = off. */
  readonly panicPercent?: number;
}

export interface SubsetSpec {
  readonly name: string;
  /** Of the service's traffic, percent. */
  readonly share: number;
}

export const DEFAULT_SHARING: SharingSpec = { backups: "first", subsets: [], slowStartMs: 0 };

/** How the proxy itself probes backends, beside what the registry says of them. */
export interface CheckSpec {
  readonly type: "tcp" | "http";
  /** `on_doubt`: only while a backend is suspect, ejected, or the view is stale. */
  readonly when: "on_doubt" | "always" | "off";
  readonly intervalMs: number;
  /** While a turn is in the making, or nothing is known yet; default `intervalMs`. */
  readonly fastIntervalMs?: number;
  /** While the backend is down; default `intervalMs`. */
  readonly downIntervalMs?: number;
  readonly timeoutMs: number;
  /** Successive probes that bring a backend up, and that take it down. */
  readonly rise: number;
  readonly fall: number;
  /** The backends expect the PROXY protocol: a probe begins with a header that says it speaks for itself. */
  readonly sendProxy?: ProxyVersion;
  /** Where checks are answered, if not at the backend's own port. */
  readonly port?: number;
  /** For http; default GET. */
  readonly method?: string;
  /** For http; default `/`. */
  readonly path?: string;
  /** For http: beside ours, or in their place. */
  readonly headers?: Readonly<Record<string, string>>;
  /** For http: ranges that pass; default 200 to 399. */
  readonly status?: readonly StatusRange[];
  /** For http: what the body must contain. */
  readonly expect?: string;
}

/** All in milliseconds; 0 = off. */
export interface TimeoutSpec {
  readonly connectMs: number;
  /** Waiting for a backend that has room. */
  readonly queueMs: number;
  /** From the first byte of a request to the end of its head. */
  readonly clientHeadMs: number;
  /** Between requests of one client connection. */
  readonly keepAliveMs: number;
  /** Between bytes of a backend that owes a response. */
  readonly serverMs: number;
  /** Of an upgraded (WebSocket) connection, without bytes in either direction. */
  readonly tunnelMs: number;
  /** Of a TCP connection, without bytes in either direction. */
  readonly tcpIdleMs: number;
  /** Of a TCP or upgraded connection one end of which sends no more, without bytes of the other. */
  readonly halfClosedMs: number;
  /** How long connections to a removed backend may go on. */
  readonly drainMs: number;
}

export const DEFAULT_TIMEOUTS: TimeoutSpec = {
  connectMs: 500,
  queueMs: 5_000,
  clientHeadMs: 10_000,
  keepAliveMs: 60_000,
  serverMs: 60_000,
  tunnelMs: 3_600_000,
  tcpIdleMs: 0,
  halfClosedMs: 3_600_000,
  drainMs: 30_000,
};

export const DEFAULT_CHECK: CheckSpec = {
  type: "tcp",
  when: "on_doubt",
  intervalMs: 2_000,
  timeoutMs: 1_000,
  rise: 2,
  fall: 3,
};

/** Of one listener, in one process. */
export const DEFAULT_CLIENTS_MAX = 16_384;

/** How many retries of requests that a backend may have read are let through; see retry-budget.ts. */
export interface RetryBudgetSpec {
  /** Retries for each request; 0.2 = one for five. */
  readonly ratio: number;
  /** Retries a second whatever the requests, so that a service with little traffic has them too. */
  readonly minPerSecond: number;
}

/** As Finagle and Linkerd have them. */
export const DEFAULT_RETRY_BUDGET: RetryBudgetSpec = { ratio: 0.2, minPerSecond: 10 };

export interface BackendSpec {
  /** The instance's id; health and counters follow it through snapshots. */
  readonly key: string;
  /** An IP address, a name, or `unix:/path` (with port 0). */
  readonly host: string;
  readonly port: number;
  /** 0–256; 0 takes no new traffic. */
  readonly weight: number;
  /** From the registry. Only `up` takes new traffic. */
  readonly state: InstanceState;
  /** Its registration vanished without a word: it still takes traffic, but is probed every second whatever `check.when` says. */
  readonly suspect: boolean;
  /** Takes traffic only when no other can. */
  readonly backup?: boolean;
  readonly zone?: string;
  /** The name of the subset it belongs to. */
  readonly subset?: string;
  /** Its place on a ring of hashes, as HAProxy's server id; absent: made of its key. */
  readonly id?: number;
  /** Requests (http) or connections (tcp) it may have at once, as HAProxy's maxconn of a server. */
  readonly slots?: number;
}

/** How a backend learns where a request comes from. */
export interface OriginSpec {
  /** X-Forwarded-For (the client's address behind those it names), -Proto and -Host (both as the client says, else ours). */
  readonly xForwarded: { readonly for: boolean; readonly proto: boolean; readonly host: boolean };
  /** A line of Forwarded for this hop (RFC 7239). */
  readonly forwarded: boolean;
  /** The name in a line of Via for this hop (RFC 9110 §7.6.3). */
  readonly via: string | undefined;
  /** The header that carries a request's id: the client's, else a new one. */
  readonly requestId: string | undefined;
  /** Addresses and networks (CIDR) whose own word on all of this is believed; what others say of it is left out. */
  readonly trusted: "all" | readonly string[];
}

export interface ServiceSpec {
  readonly name: string;
  readonly mode: "tcp" | "http";
  readonly listen: readonly ListenAddress[];
  /** Connections that one listener of it takes in one process; further ones are closed at once. Default DEFAULT_CLIENTS_MAX. */
  readonly clientsMax?: number;
  /** Absent: a client address may have whatever it asks for. */
  readonly sources?: SourceLimitsSpec;
  readonly balance: BalanceName;
  /** Default: DEFAULT_HASH. */
  readonly hash?: HashSpec;
  /** Default: DEFAULT_SHARING. */
  readonly sharing?: SharingSpec;
  readonly check: CheckSpec;
  readonly timeouts: TimeoutSpec;
  /** For http; default `DEFAULT_RETRY_BUDGET`. */
  readonly retryBudget?: RetryBudgetSpec;
  /** Absent: nobody beside the backends is asked how they are. */
  readonly agent?: AgentSpec;
  /** Absent: a backend gets as many requests and connections as come. */
  readonly limits?: LimitsSpec;
  /** Absent: no backend is ejected for what its answers show. */
  readonly outlier?: OutlierSpec;
  /** The Host header sent on: as the client sent it, the backend's address, or a fixed name. */
  readonly host: "keep" | "backend" | { readonly name: string };
  /** Answers the proxy gives in a backend's place say why. Default true; false hides what they tell of the inside. */
  readonly tellReasons?: boolean;
  /** Every client connection begins with a PROXY protocol header, which says who the client is; others are closed. Default false. */
  readonly acceptProxy?: boolean;
  /** Connections to backends begin with this header. In http mode each then carries one client's request. */
  readonly sendProxy?: ProxyVersion;
  /** What backends are told of a request's origin; default: X-Forwarded-For and -Proto, and every client is believed. */
  readonly origin?: OriginSpec;
  /** The registry cannot be read now: what is known may be old, so `on_doubt` checks run. */
  readonly stale: boolean;
  readonly backends: readonly BackendSpec[];
}

/** One immutable state of everything the proxy serves. Applied whole, by difference from the one before. */
export interface Snapshot {
  readonly revision: number;
  /** Client connections in one process, over all services; further ones are closed at once. Absent: no such limit. */
  readonly clientsMax?: number;
  /** New requests and connections are turned away while the event loop lags this much, milliseconds; absent: never. */
  readonly shedLagMs?: number;
  readonly services: readonly ServiceSpec[];
}
