import type { Socket } from "node:net";
import type { Backend } from "./backend.ts";
import { dial } from "./dial.ts";
import { ATTEMPTS_MAX } from "./retry.ts";
import type { Client, Service, Surroundings } from "./service.ts";
import { join } from "./tunnel.ts";

/** While other backends are left, connects may go on failing this long. */
const TRYING_MS = 5_000;

/**
 * Joins one client to a backend. Nothing is read from the client before a backend's connection stands, so a failed
 * connect costs the client nothing but time; with no backend left it is closed.
 */
export function serveTcp(socket: Socket, service: Service, surroundings: Surroundings): Client {
  const { wheel, clock } = surroundings;
  const startedMs = clock.monotonic();
  const tried: Backend[] = [];
  let upstream: Socket | undefined;

  function attempt(): void {
    const mayRepeat = tried.length > 0 && tried.length < ATTEMPTS_MAX;
    const inTime = tried.length < ATTEMPTS_MAX || clock.monotonic() - startedMs < TRYING_MS;
    const backend = inTime ? (service.pool.pick(tried) ?? (mayRepeat ? service.pool.pick([]) : undefined)) : undefined;
    if (backend === undefined) {
      service.counters.noBackend++;
      socket.destroy();
      return;
    }
    if (tried.length > 0) {
      service.counters.retries++;
      backend.counters.retries++;
    }
    tried.push(backend);
    connectTo(backend);
  }

  function connectTo(backend: Backend): void {
    const { connectMs, tcpIdleMs } = service.spec.timeouts;
    const dialled = dial(backend, { wheel, connectMs, onFailure: service.pool.failed });
    let connected = false;
    upstream = dialled;
    backend.active++;
    dialled.once("connect", () => {
      connected = true;
      const { counters } = backend;
      join(socket, dialled, {
        wheel,
        idleMs: tcpIdleMs,
        onIn: (count) => {
          counters.bytesIn += count;
        },
        onOut: (count) => {
          counters.bytesOut += count;
        },
      });
    });
    dialled.once("close", () => {
      backend.active--;
      if (!connected && !socket.destroyed) attempt();
    });
  }

  const client: Client = {
    isBusy: () => true,
    destroy: () => {
      socket.destroy();
      upstream?.destroy();
    },
  };
  service.clients.add(client);
  // What failed shows in the close that follows.
  socket.on("error", () => undefined);
  socket.once("close", () => {
    service.clients.delete(client);
    if (upstream?.connecting === true) upstream.destroy();
  });
  attempt();
  return client;
}
