import { type Clock, type ServiceStatus, sleep } from "@smartstack/core";
import type { AdminClient } from "../admin-client.ts";
import { listIn } from "../answer.ts";
import { plain } from "../lines.ts";
import { table } from "../table.ts";
import type { Terminal } from "../terminal.ts";

const EVERY_MS = 1_000;

interface Sample {
  readonly atMs: number;
  readonly services: readonly ServiceStatus[];
}

/** Shows what each service does right now, anew every second until `signal` aborts; once when the output is no terminal. */
export async function top(terminal: Terminal, client: AdminClient, clock: Clock, signal: AbortSignal): Promise<number> {
  const sample = async (): Promise<Sample> => ({
    services: listIn<ServiceStatus>(await client.get("/api/v1/services"), "services"),
    atMs: clock.monotonic(),
  });
  let before = await sample();
  for (;;) {
    await sleep(clock, EVERY_MS, signal);
    if (signal.aborted) return 0;
    const now = await sample();
    const lines = topLines(before, now).map(plain);
    const { columns } = terminal;
    if (columns !== undefined) terminal.clear();
    for (const line of lines) terminal.print(line.slice(0, columns));
    if (columns === undefined) return 0;
    before = now;
  }
}

/** Rates are over the time between the two samples; a count that went back is that of another run. Pure. */
export function topLines(before: Sample, now: Sample): readonly string[] {
  if (now.services.length === 0) return ["no service is served here"];
  const seconds = Math.max(0.001, (now.atMs - before.atMs) / 1_000);
  const known = new Map(before.services.map((service) => [service.name, service]));
  const rows = now.services.map((service) => {
    const earlier = known.get(service.name);
    const rate = (count: (of: ServiceStatus) => number): string =>
      (Math.max(0, count(service) - (earlier === undefined ? 0 : count(earlier))) / seconds).toFixed(1);
    const usable = service.backends.filter((backend) => backend.usable).length;
    return [
      service.name,
      service.mode,
      rate(served),
      String(service.counters.activeClients),
      rate(errors),
      `${usable}/${service.backends.length}`,
      service.listeners.map(({ address }) => address).join(" ") || "-",
    ];
  });
  return table([["SERVICE", "MODE", "REQ/S", "CLIENTS", "ERR/S", "BACKENDS", "LISTEN"], ...rows]);
}

/** Requests, or with tcp connections. */
function served({ mode, counters }: ServiceStatus): number {
  return mode === "http" ? counters.requests : counters.connections;
}

/** What clients saw fail. */
function errors({ mode, counters }: ServiceStatus): number {
  return mode === "http" ? (counters.responses[5] ?? 0) : counters.noBackend;
}
