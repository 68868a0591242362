import { Counter, collectDefaultMetrics, Gauge, Registry } from "prom-client";
import type { EventCounts } from "./event-counts.ts";
import type { AdminSources } from "./sources.ts";

type Metric = Counter<string> | Gauge<string>;

/** Prometheus' text format. */
export interface MetricsText {
  readonly text: string;
  readonly type: string;
}

/** Renders the sources as they are at each call. Labels name services, backends and registries that exist then: they are bounded by what runs. */
export function metricFamilies(sources: AdminSources, events: EventCounts): () => Promise<MetricsText> {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const gauge: MakeGauge = (name, help, labelNames = []) =>
    new Gauge({ name: `smartstack_${name}`, help, labelNames, registers: [registry] });
  const counter: MakeCounter = (name, help, labelNames = []) =>
    new Counter({ name: `smartstack_${name}`, help, labelNames, registers: [registry] });
  const collect = [
    eventMetrics(events, gauge, counter),
    processMetrics(sources, gauge),
    registryMetrics(sources, gauge, counter),
    serviceMetrics(sources, gauge, counter),
    backendMetrics(sources, gauge, counter),
    containerMetrics(sources, gauge),
  ];
  return async () => {
    for (const each of collect) each();
    return { text: await registry.metrics(), type: registry.contentType };
  };
}

type MakeGauge = (name: string, help: string, labelNames?: readonly string[]) => Gauge<string>;
type MakeCounter = (name: string, help: string, labelNames?: readonly string[]) => Counter<string>;

/** What only events tell. */
function eventMetrics(events: EventCounts, gauge: MakeGauge, counter: MakeCounter): () => void {
  const all = counter("events_total", "Transitions of any kind, by event name", ["event"]);
  const rejected = counter("registry_documents_rejected_total", "Registry documents that did not parse");
  const drift = counter("docker_drift_total", "Differences to Docker's list that no event had told");
  // Made at the first word of Docker: a process that does not watch it must not show it as away.
  let docker: Gauge<string> | undefined;
  const revision = gauge("view_revision", "Number of the view that the proxy routes by");
  const backends = gauge("view_backends", "Backends in that view");
  return () => {
    for (const metric of [all, rejected, drift]) metric.reset();
    for (const [event, count] of events.byName()) all.inc({ event }, count);
    rejected.inc(events.byName().get("registry.document_rejected") ?? 0);
    drift.inc(events.byName().get("docker.drift") ?? 0);
    const connected = events.dockerConnected();
    if (connected !== undefined) {
      docker ??= gauge("docker_connected", "1 while every Docker engine answers");
      docker.set(connected ? 1 : 0);
    }
    revision.set(events.view().revision);
    backends.set(events.view().backends);
  };
}

function processMetrics(sources: AdminSources, gauge: MakeGauge): () => void {
  const info = gauge("info", "Always 1", ["version", "role", "node"]);
  const started = gauge("start_time_seconds", "When this process started, Unix time");
  const ready = gauge("ready", "1 while /readyz answers 200");
  let workers: Gauge<string> | undefined;
  return () => {
    const status = sources.status();
    info.reset();
    if (status.workers !== undefined) {
      workers ??= gauge("workers", "Processes of the data path; a retired one was replaced and has clients left", [
        "state",
      ]);
      for (const state of ["starting", "serving", "retired"])
        workers.set({ state }, status.workers.filter((worker) => worker.state === state).length);
    }
    info.set({ version: status.version, role: status.role, node: status.node ?? "" }, 1);
    started.set(status.startedMs / 1_000);
    ready.set(status.readiness.every((part) => part.ready) ? 1 : 0);
  };
}

/** One series for each registry that this process has opened. */
function registryMetrics(sources: AdminSources, gauge: MakeGauge, counter: MakeCounter): () => void {
  const labels = ["type", "target"];
  const connected = gauge("registry_connected", "1 while the registry answers", labels);
  const ttl = gauge("registry_ttl_seconds", "Granted lease or session time", labels);
  const staleness = gauge("registry_staleness_seconds", "Since what is known of it was last proved true", labels);
  const revision = gauge("registry_revision", "Its own count of changes, as far as it has been seen", labels);
  const loads = counter("registry_loads_total", "Times everything was read: at first, and after each doubt", labels);
  const batches = counter("registry_watch_batches_total", "News that watchers were told, loads among them", labels);
  const writes = counter("registry_writes_total", "Writes and deletes that it took", labels);
  const failures = counter("registry_write_failures_total", "Writes and deletes that it did not take", labels);
  const all: readonly Metric[] = [connected, ttl, staleness, revision, loads, batches, writes, failures];
  return () => {
    for (const metric of all) metric.reset();
    for (const { type, target, counters, ...status } of sources.status().registries) {
      const label = { type, target };
      connected.set(label, status.connected ? 1 : 0);
      if (status.ttlMs !== undefined) ttl.set(label, status.ttlMs / 1_000);
      if (status.stalenessMs !== undefined) staleness.set(label, status.stalenessMs / 1_000);
      if (status.revision !== undefined) revision.set(label, status.revision);
      loads.inc(label, counters.loads);
      batches.inc(label, counters.batches);
      writes.inc(label, counters.writes);
      failures.inc(label, counters.writeFailures);
    }
  };
}

function serviceMetrics(sources: AdminSources, gauge: MakeGauge, counter: MakeCounter): () => void {
  const labels = ["service"];
  const clients = gauge("service_active_clients", "Open client connections", labels);
  const connections = counter("service_connections_total", "Accepted client connections", labels);
  const requests = counter("service_requests_total", "HTTP requests", labels);
  const responses = counter("service_responses_total", "HTTP responses by status class", ["service", "class"]);
  const noBackend = counter("service_no_backend_total", "Answered by the proxy because no backend could", labels);
  const retries = counter("service_retries_total", "Attempts beyond the first", labels);
  const spent = counter("service_retry_budget_spent_total", "Answered with 502 for want of retry budget", labels);
  const waiting = gauge("service_queue_waiting", "Requests or clients that wait for a backend with room", labels);
  const queued = counter("service_queued_total", "Requests or clients that had to wait for room", labels);
  const queueTimeouts = counter("service_queue_timeouts_total", "Turned away after they had waited", labels);
  const queueFull = counter("service_queue_full_total", "Turned away as too many waited already", labels);
  const refused = counter(
    "service_refused_total",
    "Closed unserved: listener or process full, or no PROXY protocol header",
    labels,
  );
  const limited = counter(
    "service_source_limited_total",
    "Requests answered with 429, and connections closed, as their client address had too many",
    labels,
  );
  const shed = counter(
    "service_shed_total",
    "Requests answered with 503, and connections closed, as the process could not keep up",
    labels,
  );
  const stale = gauge("service_stale", "1 while the view is served without its registry", labels);
  const listening = gauge("service_listeners", "Listeners by state", ["service", "state"]);
  const all: readonly Metric[] = [
    ...[clients, connections, requests, responses],
    ...[noBackend, retries, spent, refused, limited, shed, stale, listening],
    ...[waiting, queued, queueTimeouts, queueFull],
  ];
  return () => {
    for (const metric of all) metric.reset();
    for (const { name: service, counters, listeners, stale: since } of sources.services()) {
      clients.set({ service }, counters.activeClients);
      connections.inc({ service }, counters.connections);
      requests.inc({ service }, counters.requests);
      noBackend.inc({ service }, counters.noBackend);
      retries.inc({ service }, counters.retries);
      spent.inc({ service }, counters.retryBudgetSpent);
      waiting.set({ service }, counters.waiting);
      queued.inc({ service }, counters.queued);
      queueTimeouts.inc({ service }, counters.queueTimeouts);
      queueFull.inc({ service }, counters.queueFull);
      refused.inc({ service }, counters.refused);
      limited.inc({ service }, counters.sourceLimited);
      shed.inc({ service }, counters.shed);
      stale.set({ service }, since === undefined ? 0 : 1);
      for (let digit = 1; digit <= 5; digit++)
        responses.inc({ service, class: `${digit}xx` }, counters.responses[digit] ?? 0);
      for (const { state } of listeners) listening.inc({ service, state });
    }
  };
}

function backendMetrics(sources: AdminSources, gauge: MakeGauge, counter: MakeCounter): () => void {
  const labels = ["service", "backend"];
  const usable = gauge("backend_usable", "1 while it gets traffic", labels);
  const suspect = gauge("backend_suspect", "1 while its registration is missing without a word", labels);
  const weight = gauge("backend_weight", "Its share of traffic, as declared", labels);
  const effective = gauge("backend_effective_weight", "Its share of traffic now", labels);
  const active = gauge("backend_active", "Requests or connections in progress", labels);
  const connections = counter("backend_connections_total", "Connections opened to it", labels);
  const requests = counter("backend_requests_total", "Requests sent to it", labels);
  const failures = counter("backend_failures_total", "Failed connections and requests", labels);
  const ejections = counter("backend_ejections_total", "Times it was taken out for what its answers showed", labels);
  const retries = counter("backend_retries_total", "Attempts that were made again elsewhere", labels);
  const received = counter("backend_received_bytes_total", "Bytes read from it", labels);
  const sent = counter("backend_sent_bytes_total", "Bytes written to it", labels);
  const all: readonly Metric[] = [
    usable,
    suspect,
    weight,
    effective,
    active,
    connections,
    requests,
    failures,
    ejections,
    retries,
    received,
    sent,
  ];
  return () => {
    for (const metric of all) metric.reset();
    for (const { name: service, backends } of sources.services()) {
      for (const { id: backend, counters, ...status } of backends) {
        const label = { service, backend };
        usable.set(label, status.usable ? 1 : 0);
        suspect.set(label, status.suspect ? 1 : 0);
        weight.set(label, status.weight);
        effective.set(label, status.effectiveWeight);
        active.set(label, counters.active);
        connections.inc(label, counters.connections);
        requests.inc(label, counters.requests);
        failures.inc(label, counters.failures);
        ejections.inc(label, counters.ejections);
        retries.inc(label, counters.retries);
        received.inc(label, counters.bytesOut);
        sent.inc(label, counters.bytesIn);
      }
    }
  };
}

function containerMetrics(sources: AdminSources, gauge: MakeGauge): () => void {
  const announced = gauge("instances_announced", "Instances of this node in the registry now");
  const down = gauge("instances_down", "Instances of this node that are kept out of the registry");
  const refused = gauge("containers_refused", "Containers that asked to be registered and were not");
  return () => {
    const containers = sources.containers();
    const registrations = containers.flatMap((container) => container.registrations);
    announced.set(registrations.filter((each) => each.announced).length);
    down.set(registrations.filter((each) => !each.announced).length);
    refused.set(containers.filter((container) => container.refusals.length > 0).length);
  };
}
