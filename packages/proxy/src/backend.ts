import type { InstanceState } from "@smartstack/core";
import type { Agent } from "./agent-word.ts";
import { addressOf, unixPath } from "./backend-address.ts";
import { type Candidate, newNotes } from "./balance/balance.ts";
import type { Gradient } from "./gradient.ts";
import { type Health, UNCHECKED } from "./health.ts";
import { UNLIMITED } from "./limits.ts";
import { nothingSeen, type Seen } from "./outlier.ts";
import type { BackendSpec, CheckSpec } from "./snapshot.ts";
import type { Upstream } from "./upstream.ts";
import type { Wire } from "./wire.ts";

/** One backend as the proxy holds it; it stays the same object through every snapshot that keeps its key and address. */
export interface Backend extends Candidate {
  readonly key: string;
  readonly host: string;
  readonly port: number;
  /** `host:port`, IPv6 in brackets. */
  readonly address: string;
  spec: BackendSpec;
  /** Its share of traffic now, beside the others' (see shares.ts); 0 while it gets none. */
  weight: number;
  active: number;
  /** So many requests or connections it may have at once; see limits.ts. */
  slots: number;
  /** Connections it may have, idle ones included. */
  wiresMax: number;
  /** Set while that is found out. */
  gradient: Gradient | undefined;
  health: Health;
  /** What its answers showed of it. */
  readonly seen: Seen;
  /** Set while it is out for what its answers showed. */
  ejection: Ejection | undefined;
  /** What the agent beside it said, where one is asked. */
  agent: Agent | undefined;
  /** An operator's word for this proxy alone. */
  local: InstanceState | undefined;
  /** The verdict, derived from all of the above by `judge`. */
  usable: boolean;
  reason: string;
  /** Wall clock: when `usable` last changed. */
  sinceMs: number;
  /** The same, monotonic. */
  turnedMs: number;
  /** Monotonic: when its slow start began; -Infinity: it has none. */
  rampFromMs: number;
  /** No longer in the snapshot: what it has may finish. */
  removed: boolean;
  readonly counters: Counters;
  /** Every connection to it, so that the end of its drain can close them. */
  readonly wires: Set<Wire>;
  /** Keep-alive connections waiting for a request, the last used at the end. */
  readonly idle: Upstream[];
}

export interface Ejection {
  readonly reason: string;
  /** Its time is over, and a probe decides. */
  readonly probed: boolean;
}

interface Counters {
  connections: number;
  requests: number;
  failures: number;
  ejections: number;
  retries: number;
  bytesIn: number;
  bytesOut: number;
}

export function createBackend(spec: BackendSpec, check: CheckSpec, nowMs: number): Backend {
  return {
    key: spec.key,
    host: spec.host,
    port: spec.port,
    address: addressOf(spec.host, spec.port),
    spec,
    id: spec.id,
    weight: 0,
    active: 0,
    slots: UNLIMITED,
    wiresMax: UNLIMITED,
    gradient: undefined,
    notes: newNotes(),
    // Checked always = not trusted before: one failed first probe is enough, as HAProxy starts its servers.
    health: check.when === "always" ? { ...UNCHECKED, streak: check.fall - 1 } : UNCHECKED,
    seen: nothingSeen(),
    ejection: undefined,
    agent: undefined,
    local: undefined,
    usable: false,
    reason: "",
    sinceMs: nowMs,
    turnedMs: Number.NEGATIVE_INFINITY,
    rampFromMs: Number.NEGATIVE_INFINITY,
    removed: false,
    counters: { connections: 0, requests: 0, failures: 0, ejections: 0, retries: 0, bytesIn: 0, bytesOut: 0 },
    wires: new Set(),
    idle: [],
  };
}

/** Is it on its way out, so that what it still has may only finish? Weight 0 alone is not: it may come back any time. */
export function isLeaving(backend: Backend): boolean {
  return backend.removed || backend.spec.state !== "up" || (backend.local !== undefined && backend.local !== "up");
}

/** Its declared weight, or the part of it that its agent wants. */
export function weightOf({ spec, agent }: Backend): number {
  return agent?.percent === undefined ? spec.weight : (spec.weight * agent.percent) / 100;
}

/** May it take new traffic by what the registry, the operator and its agent say, whatever its health? */
export function isOffered(backend: Backend): boolean {
  return (
    !isLeaving(backend) && weightOf(backend) > 0 && (backend.agent === undefined || backend.agent.admin === "ready")
  );
}

/** Does this proxy probe or eject it at all? */
export function isChecked(backend: Backend, check: CheckSpec): boolean {
  return check.when !== "off" || backend.spec.suspect;
}

/** Is it usable, and why (not)? The registry's state first, then the operator's, then weight and agent, then health, then what traffic showed. */
export function judge(backend: Backend): { readonly usable: boolean; readonly reason: string } {
  if (backend.removed) return { usable: false, reason: "removed" };
  if (backend.spec.state !== "up") return { usable: false, reason: `${backend.spec.state} (registry)` };
  if (backend.local !== undefined && backend.local !== "up")
    return { usable: false, reason: `${backend.local} (local)` };
  if (backend.spec.weight === 0) return { usable: false, reason: "weight 0" };
  const { agent } = backend;
  if (agent !== undefined && agent.admin !== "ready") return { usable: false, reason: `${agent.admin} (agent)` };
  if (agent?.percent === 0) return { usable: false, reason: "weight 0 (agent)" };
  if (backend.health.status === "down") return { usable: false, reason: backend.health.reason };
  if (agent?.up === false) return { usable: false, reason: `${agent.text} (agent)` };
  if (backend.ejection !== undefined) return { usable: false, reason: backend.ejection.reason };
  if (backend.spec.suspect) return { usable: true, reason: "suspect: its registration vanished, probed every second" };
  return { usable: true, reason: backend.health.status === "up" ? "up" : backend.health.reason };
}

/** What a backend is called in a Host header that names it: a unix socket has no name. */
export function hostHeader(backend: Pick<Backend, "host" | "address">): string {
  return unixPath(backend.host) === undefined ? backend.address : "localhost";
}
