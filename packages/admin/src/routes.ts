import type { IncomingMessage } from "node:http";
import { describeError, durationMs, INSTANCE_STATES, type InstanceState, isStackError } from "@smartstack/core";
import { type Answer, Refused, readJson } from "./answer.ts";
import { explain } from "./explain.ts";
import { findInstances } from "./find.ts";
import type { AdminSources } from "./sources.ts";

export interface RouteRequest {
  /** The path's variable segments, decoded. */
  readonly params: readonly string[];
  readonly query: URLSearchParams;
  readonly message: IncomingMessage;
}

export interface RouteDeps {
  readonly sources: AdminSources;
  readonly metrics: () => Promise<{ readonly text: string; readonly type: string }>;
}

/** A handler answers, or takes the response over ("events"). */
export interface Route {
  readonly method: "GET" | "PUT";
  /** Segments; ":" stands for any one. */
  readonly path: string;
  readonly handle: ((request: RouteRequest, deps: RouteDeps) => Answer | Promise<Answer>) | "events";
}

/** One line a route. A route that is not GET changes something and needs the right to. */
export const ROUTES: readonly Route[] = [
  { method: "GET", path: "/healthz", handle: () => ok({ status: "ok" }) },
  { method: "GET", path: "/readyz", handle: ready },
  { method: "GET", path: "/metrics", handle: metrics },
  { method: "GET", path: "/api/v1/status", handle: (_, { sources }) => ok(sources.status()) },
  { method: "GET", path: "/api/v1/services", handle: (_, { sources }) => ok({ services: sources.services() }) },
  { method: "GET", path: "/api/v1/services/:", handle: oneService },
  { method: "GET", path: "/api/v1/containers", handle: (_, { sources }) => ok({ containers: sources.containers() }) },
  { method: "GET", path: "/api/v1/explain", handle: explainName },
  { method: "GET", path: "/api/v1/events", handle: "events" },
  { method: "GET", path: "/api/v1/config", handle: (_, { sources }) => ok(sources.config() ?? null) },
  { method: "PUT", path: "/api/v1/services/:/instances/:/state", handle: setState },
];

/** How long a state may be set for; longer is meant for good. */
const STATE_MS_MAX = 366 * 86_400_000;

function ok(body: unknown): Answer {
  return { status: 200, body };
}

function ready({ query }: RouteRequest, { sources }: RouteDeps): Answer {
  const parts = sources.readiness(query.get("service") ?? undefined);
  const allReady = parts.every((part) => part.ready);
  return { status: allReady ? 200 : 503, body: { ready: allReady, parts } };
}

async function metrics(_: RouteRequest, deps: RouteDeps): Promise<Answer> {
  const { text, type } = await deps.metrics();
  return { status: 200, body: text, type };
}

function oneService({ params }: RouteRequest, { sources }: RouteDeps): Answer {
  const service = sources.services().find(({ name }) => name === params[0]);
  if (service === undefined) throw new Refused(404, `no service ${params[0]} is known here`);
  return ok(service);
}

function explainName({ query }: RouteRequest, { sources }: RouteDeps): Answer {
  const name = query.get("name");
  if (name === null || name === "") throw new Refused(400, "say whom to explain: /api/v1/explain?name=…");
  const [status, services, containers] = [sources.status(), sources.services(), sources.containers()];
  const explanation = explain(name, { status, services, containers });
  return { status: explanation.found ? 200 : 404, body: explanation };
}

async function setState({ params, message }: RouteRequest, { sources }: RouteDeps): Promise<Answer> {
  const [service = "", word = ""] = params;
  const { state, forMs } = stateChange(await readJson(message));
  const found = findInstances(word, service, sources.services(), sources.containers());
  if ("ambiguous" in found) throw new Refused(409, `${word} fits several containers: ${found.ambiguous.join(", ")}`);
  // An id that no status shows may still be known to whoever sets it.
  const ids = found.ids.length > 0 ? found.ids : [word];
  const changed = ids.filter((id) => {
    try {
      return sources.setState(service, id, state, forMs);
    } catch (error) {
      throw isStackError(error) ? new Refused(409, describeError(error)) : error;
    }
  });
  if (changed.length === 0) throw new Refused(404, `service ${service} has no instance ${word} here`);
  return ok({ service, instances: changed, state, ...(forMs === undefined ? {} : { for_seconds: forMs / 1_000 }) });
}

function stateChange(body: Record<string, unknown>): { readonly state: InstanceState; readonly forMs?: number } {
  const unknown = Object.keys(body).find((key) => key !== "state" && key !== "for");
  if (unknown !== undefined) throw new Refused(400, `unknown key ${JSON.stringify(unknown)}, expected state and for`);
  const state = INSTANCE_STATES.find((known) => known === body.state);
  if (state === undefined) throw new Refused(400, `state must be one of ${INSTANCE_STATES.join(", ")}`);
  if (body.for === undefined) return { state };
  const forMs = typeof body.for === "string" || typeof body.for === "number" ? durationMs(body.for) : undefined;
  if (forMs === undefined || forMs <= 0 || forMs > STATE_MS_MAX)
    throw new Refused(400, 'for must be a time such as "5m" or a number of seconds');
  return { state, forMs };
}
