import type { Backend } from "./backend.ts";
import { NO_HASH } from "./balance/balance.ts";
import { dial } from "./dial.ts";
import type { Opening } from "./opening.ts";
import { clientPreface } from "./preface.ts";
import { type Waiter, waitMs } from "./queue.ts";
import { sourceHash } from "./request-hash.ts";
import { ATTEMPTS_MAX } from "./retry.ts";
import type { Client, Service, Surroundings } from "./service.ts";
import { createTimeout, type Timeout } from "./timer-wheel.ts";
import { join } from "./tunnel.ts";
import { NOBODY, type Wire, type WireOwner } from "./wire.ts";

/** While other backends are left, connects may go on failing this long. */
const TRYING_MS = 5_000;

/**
 * Joins one client to a backend. Nothing is read from the client before a backend's connection stands, so a failed
 * connect costs the client nothing but time; with no backend left it is closed.
 */
export function serveTcp(client: Wire, service: Service, surroundings: Surroundings, opening: Opening): Client {
  const { wheel, clock } = surroundings;
  const startedMs = clock.monotonic();
  const hash = service.spec.balance === "source" ? sourceHash(opening.ends?.source.address ?? client.peer()) : NO_HASH;
  const tried: Backend[] = [];
  let upstream: Wire | undefined;
  let joined = false;
  let wait: { readonly waiter: Waiter; readonly timeout: Timeout } | undefined;

  function attempt(): void {
    const mayRepeat = tried.length > 0 && tried.length < ATTEMPTS_MAX;
    const inTime = tried.length < ATTEMPTS_MAX || clock.monotonic() - startedMs < TRYING_MS;
    const backend = inTime
      ? (service.pool.pick(tried, hash) ?? (mayRepeat ? service.pool.pick([], hash) : undefined))
      : undefined;
    if (backend === undefined) {
      go(undefined);
      return;
    }
    if (tried.length > 0) {
      service.counters.retries++;
      backend.counters.retries++;
    }
    if (service.pool.admits(backend)) go(backend);
    else waitForRoom(backend);
  }

  function waitForRoom(full: Backend): void {
    const { counters, pool, spec } = service;
    const waiter: Waiter = { tried, hash, go };
    if (!pool.queue.join(waiter, full)) {
      counters.queueFull++;
      client.destroy();
      return;
    }
    counters.queued++;
    const timeout = createTimeout(() => {
      counters.queueTimeouts++;
      client.destroy();
    });
    wait = { waiter, timeout };
    wheel.arm(timeout, waitMs(spec.timeouts.queueMs));
  }

  function endWait(): void {
    if (wait === undefined) return;
    wheel.disarm(wait.timeout);
    service.pool.queue.leave(wait.waiter);
    wait = undefined;
  }

  function go(backend: Backend | undefined): void {
    endWait();
    if (backend === undefined) {
      service.counters.noBackend++;
      client.destroy();
      return;
    }
    tried.push(backend);
    connectTo(backend);
  }

  function connectTo(backend: Backend): void {
    const { connectMs, tcpIdleMs, halfClosedMs } = service.spec.timeouts;
    const { counters } = backend;
    const preface = prefaceOf(client, service, opening);
    const dialOptions = { wheel, connectMs, onFailure: service.pool.failed, preface };
    service.pool.begin(backend);
    const askedMs = service.pool.asked(backend, false);
    let answered = false;
    // Nothing is read from it before it is joined: there is nothing to hear of but its end.
    const owner: WireOwner = {
      ...NOBODY,
      wireClosed(error) {
        service.pool.end(backend);
        upstream = undefined;
        if (joined && !answered && error?.code === "ECONNRESET" && !client.destroyed)
          service.pool.badly(backend, "connection reset before its first byte");
        if (!joined && !client.destroyed) attempt();
      },
    };
    const dialled = dial(backend, dialOptions, owner, () => {
      joined = true;
      service.pool.answered(backend, askedMs);
      join(client, dialled, {
        wheel,
        idleMs: tcpIdleMs,
        halfClosedMs,
        onIn: (count) => {
          counters.bytesIn += count;
        },
        onOut: (count) => {
          counters.bytesOut += count;
          if (answered) return;
          answered = true;
          service.pool.well(backend);
        },
      });
    });
    upstream = dialled;
  }

  const self: Client = {
    isBusy: () => true,
    destroy: () => {
      client.destroy();
      upstream?.destroy();
    },
  };
  service.clients.add(self);
  client.owner = {
    ...NOBODY,
    wireClosed() {
      service.clients.delete(self);
      endWait();
      if (!joined) upstream?.destroy();
    },
  };
  attempt();
  return self;
}

/** What the backend gets before the client's next bytes: who the client is, and what it said already. */
function prefaceOf(client: Wire, service: Service, { ends, early }: Opening): Uint8Array | undefined {
  const header = clientPreface(service.spec, ends, client);
  return header === undefined || early === undefined ? (header ?? early) : Buffer.concat([header, early]);
}
