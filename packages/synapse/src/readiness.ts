import type { Readiness, ServiceStatus } from "@smartstack/core";
import { STALE_GRACE_MS } from "./routes.ts";
import type { RegistryLink } from "./service-watch.ts";

/** What must hold for /readyz. Pure but for the links' own state. */
export function readinessOf(
  links: readonly RegistryLink[],
  services: readonly ServiceStatus[],
  nowMs: number,
): readonly Readiness[] {
  return [registryReadiness(links, nowMs), ...services.map(serviceReadiness)];
}

function registryReadiness(links: readonly RegistryLink[], nowMs: number): Readiness {
  const states = links.flatMap((link) => link.state() ?? []);
  if (states.length === 0) return { part: "registry", ready: true, reason: "no registry in use" };
  const away = states.filter(({ awaySinceMs }) => awaySinceMs !== undefined);
  // A quick reconnect is no news, but a registry that was never read is not ready from the first moment on.
  const lasting = away.filter(({ awaySinceMs = 0, everRead }) => !everRead || nowMs - awaySinceMs >= STALE_GRACE_MS);
  if (lasting.length === 0)
    return { part: "registry", ready: true, reason: states.map(({ target }) => target).join(", ") };
  return {
    part: "registry",
    ready: false,
    reason: lasting.map(({ target, reason }) => `${target}: ${reason}`).join("; "),
  };
}

function serviceReadiness(service: ServiceStatus): Readiness {
  const part = `service:${service.name}`;
  const usable = service.backends.filter((backend) => backend.usable).length;
  const unbound = service.listeners.filter(({ state }) => state !== "bound");
  if (usable === 0) return { part, ready: false, reason: noBackend(service) };
  if (service.listeners.length > 0 && unbound.length === service.listeners.length)
    return {
      part,
      ready: false,
      reason: `not listening: ${unbound[0]?.address} ${unbound[0]?.reason ?? "not bound yet"}`,
    };
  return { part, ready: true, reason: `${usable} of ${service.backends.length} backends usable` };
}

function noBackend({ backends, problems }: ServiceStatus): string {
  const why = backends[0]?.reason ?? problems[0];
  return why === undefined ? "no backend is known" : `no usable backend: ${why}`;
}
