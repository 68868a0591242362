import { duration, port, serviceNameProblem } from "@smartstack/core";
import { DEFAULT_CLIENTS_MAX, DEFAULT_RETRY_BUDGET, DEFAULT_TIMEOUTS, type TimeoutSpec } from "@smartstack/proxy";
import { z } from "zod";
import { agent } from "./agent-config.ts";
import { balance, sharingKeys } from "./balance-config.ts";
import { check } from "./check-config.ts";
import { discovery } from "./discovery-config.ts";
import { limits } from "./limits-config.ts";
import { listen } from "./listen.ts";
import { OFF } from "./off.ts";
import { origin } from "./origin-config.ts";
import { outlier } from "./outlier-config.ts";
import { shed } from "./shed-config.ts";
import { sourceKeys } from "./source-config.ts";

/** What discovered services may ask for, both ends included. */
export interface PortRange {
  readonly from: number;
  readonly to: number;
}

export type DefaultServer = z.output<typeof defaultServer>;
export type ServiceConfig = z.output<typeof service>;
export type SynapseConfig = z.output<typeof synapseConfig>;
export type ProxySettings = z.output<typeof proxySettings>;

const weight = z.int().min(0).max(256);

const defaultServer = z
  .strictObject({
    /** For people; the backend's id is its address. */
    name: z.string().optional(),
    /** An address, a name, or `unix:/path`. */
    host: z.string().min(1),
    port: port.optional(),
    weight: weight.default(1),
    /** Takes traffic only when no other can. */
    backup: z.boolean().default(false),
    /** Requests (http) or connections (tcp) it may have at once, in place of a larger limit of the service. */
    max_connections: z.int().min(1).max(1_000_000).optional(),
    zone: z.string().min(1).optional(),
    labels: z.record(z.string(), z.string()).optional(),
    /** Its place on a ring of hashes, as HAProxy's server id. */
    id: z.int().min(1).max(2_147_483_647).optional(),
  })
  .superRefine(({ host, port: given }, context) => {
    const unix = host.startsWith("unix:");
    if (unix === (given === undefined)) return;
    const message = unix ? "a unix socket has no port: leave it out" : "expected a port, 1 to 65535";
    context.addIssue({ code: "custom", path: ["port"], message });
  })
  .transform((value) => ({ ...value, port: value.port ?? 0 }));

const timeouts = z
  .strictObject({
    connect: duration({ minMs: 1 }).default(DEFAULT_TIMEOUTS.connectMs),
    queue: duration().default(DEFAULT_TIMEOUTS.queueMs),
    client_head: duration().default(DEFAULT_TIMEOUTS.clientHeadMs),
    keep_alive: duration().default(DEFAULT_TIMEOUTS.keepAliveMs),
    server: duration().default(DEFAULT_TIMEOUTS.serverMs),
    tunnel: duration().default(DEFAULT_TIMEOUTS.tunnelMs),
    tcp_idle: duration().default(DEFAULT_TIMEOUTS.tcpIdleMs),
    half_closed: duration().default(DEFAULT_TIMEOUTS.halfClosedMs),
    drain: duration().default(DEFAULT_TIMEOUTS.drainMs),
  })
  .transform(
    (value): TimeoutSpec => ({
      connectMs: value.connect,
      queueMs: value.queue,
      clientHeadMs: value.client_head,
      keepAliveMs: value.keep_alive,
      serverMs: value.server,
      tunnelMs: value.tunnel,
      tcpIdleMs: value.tcp_idle,
      halfClosedMs: value.half_closed,
      drainMs: value.drain,
    }),
  );

/** Both 0: no request that a backend may have read is tried again. */
const retryBudget = z.strictObject({
  ratio: z.number().min(0).max(10).default(DEFAULT_RETRY_BUDGET.ratio),
  min_per_second: z.int().min(0).max(100_000).default(DEFAULT_RETRY_BUDGET.minPerSecond),
});

const host = z
  .string()
  .regex(/^[A-Za-z0-9._:[\]-]{1,255}$/, 'expected "keep", "backend" or a host name')
  .transform((value) => (value === "keep" || value === "backend" ? (value as "keep" | "backend") : { name: value }));

const proxySettings = z
  .strictObject({
    /** Absent: the port that the service's instances publish, on loopback. */
    listen: listen.optional(),
    /** Absent: what most instances say, else tcp. */
    mode: z.enum(["http", "tcp"]).optional(),
    /** Of each of its listeners, in each process; what is more is closed at once. */
    max_connections: z.int().min(1).max(1_000_000).default(DEFAULT_CLIENTS_MAX),
    ...sourceKeys,
    balance: balance.prefault("round_robin"),
    ...sharingKeys,
    check: check.prefault({}),
    /** Asks an agent beside each backend how it is. */
    agent: agent.optional(),
    /** None unless asked for. */
    limits: limits.optional(),
    /** Off unless asked for. */
    outlier: outlier.optional(),
    timeouts: timeouts.prefault({}),
    retry_budget: retryBudget.prefault({}),
    host: host.prefault("keep"),
    origin: origin.optional(),
    /** Answers in a backend's place say why: in their text and in X-Smartstack-Reason. */
    tell_reasons: z.boolean().default(true),
    /** Clients speak the PROXY protocol, version 1 or 2, and those that do not are closed. */
    accept_proxy: z.boolean().default(false),
    /** Backends are told in it who the client is. */
    send_proxy: z.enum(["v1", "v2"]).optional(),
  })
  .superRefine(({ mode, limits: asked }, context) => {
    if (mode !== "tcp") return;
    const message = "tcp knows no requests: it needs mode http, or max_connections in its place";
    if (asked?.requestsMax !== undefined)
      context.addIssue({ code: "custom", path: ["limits", "max_requests"], message });
    if (asked?.adaptive !== undefined) context.addIssue({ code: "custom", path: ["limits", "adaptive"], message });
  })
  .superRefine(({ mode, balance: { algorithm } }, context) => {
    if (mode !== "tcp" || !["uri", "header", "cookie"].includes(algorithm)) return;
    const message = `${algorithm} is read from requests: it needs mode http`;
    context.addIssue({ code: "custom", path: ["balance"], message });
  });

const service = z.strictObject({
  discovery: discovery.prefault({ method: "registry" }),
  default_servers: z.array(defaultServer).max(1_000).default([]),
  proxy: proxySettings.prefault({}),
});

const services = z.record(z.string(), service).superRefine((value, context) => {
  for (const name of Object.keys(value)) {
    const problem = serviceNameProblem(name);
    if (problem !== undefined) context.addIssue({ code: "custom", path: [name], message: problem });
  }
});

const portRange = z.string().transform((text, context): PortRange => {
  const match = /^\s*(\d{1,5})\s*(?:-\s*(\d{1,5})\s*)?$/.exec(text);
  const from = Number(match?.[1]);
  const to = Number(match?.[2] ?? match?.[1]);
  if (match !== null && from >= 1 && from <= to && to <= 65_535) return { from, to };
  context.addIssue({ code: "custom", message: 'expected a port or a range of ports, such as "1024-65535"' });
  return z.NEVER;
});

/** Globs over service names: `*` is any run of characters, `?` one. Empty = nothing is discovered. */
const discover = z
  .union([z.string(), z.array(z.string())])
  .transform((value): readonly string[] => (typeof value === "string" ? (OFF.test(value) ? [] : [value]) : value));

const WORKERS_MAX = 64;

/** Synapse's own keys; times come out in milliseconds. */
export const synapseConfig = z.strictObject({
  services: services.default({}),
  /** Absent: what the command that reads it prefers. */
  discover: discover.optional(),
  listen_ports: portRange.prefault("1024-65535"),
  /** A folder for the last view. */
  cache: z
    .string()
    .min(1)
    .transform((value) => (OFF.test(value) ? undefined : value))
    .optional(),
  /** Where this proxy is: instances of the same zone come first. */
  zone: z.string().min(1).optional(),
  hold: duration({ minMs: 1_000 }).default(300_000),
  shutdown_grace: duration().default(8_000),
  /** `at_once` refuses new connections as soon as the stop begins; `after_drain` serves them until the end. */
  stop_accepting: z.enum(["after_drain", "at_once"]).default("after_drain"),
  /** Client connections over all services; workers divide them. Absent: no such limit. */
  max_connections: z.int().min(1).max(10_000_000).optional(),
  /** What is new is turned away, in part, while a process lags behind by so much. */
  shed: shed.prefault("on"),
  /** Processes that the data path runs in; absent: this one. */
  workers: z.union([z.literal("auto"), z.int().min(1).max(WORKERS_MAX)]).optional(),
  /** How long a replaced worker may serve the connections it has. */
  worker_drain: duration().default(12 * 3_600_000),
});

/** How a service is proxied that no config file names. */
export const DISCOVERED: ProxySettings = proxySettings.parse({});
