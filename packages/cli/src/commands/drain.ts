import type {
  BackendStatus,
  Clock,
  ContainerStatus,
  RegistrationStatus,
  ServiceStatus,
  StackStatus,
} from "@smartstack/core";
import type { AdminClient } from "../admin-client.ts";
import { expectOk, listIn } from "../answer.ts";
import type { Terminal } from "../terminal.ts";
import { askUntil } from "./ask-until.ts";
import { type InstanceName, setState } from "./set-state.ts";

export interface DrainOptions {
  /** Back to up after this time; as the admin API reads it. */
  readonly forTime: string | undefined;
  /** Return only when it is drained, and give up after this long. */
  readonly waitMs: number | undefined;
}

/** What a running process shows of the instances it knows. */
export interface Shown {
  readonly services: readonly ServiceStatus[];
  readonly containers: readonly ContainerStatus[];
  readonly readiness: StackStatus["readiness"];
}

/**
 * Drains what an operator named. With `waitMs` it returns when a proxy in that process sends the instance nothing new
 * and has nothing of it in progress, and a nerve has the state in the registry. Exit code 0, or 2.
 */
export async function drain(
  terminal: Terminal,
  client: AdminClient,
  named: string,
  { forTime, waitMs }: DrainOptions,
  clock: Clock,
): Promise<number> {
  const instances = await setState(terminal, client, named, "draining", forTime);
  if (instances.length === 0) return 2;
  if (waitMs === undefined) return 0;
  const missing = async (): Promise<string | undefined> =>
    undrained(instances, await look(client)).join("; ") || undefined;
  const reason = await askUntil(missing, waitMs, clock);
  if (reason !== undefined) {
    terminal.error(`${named} is not drained after ${waitMs / 1_000} s: ${reason}`);
    return 2;
  }
  terminal.print(`${named} is drained`);
  return 0;
}

async function look(client: AdminClient): Promise<Shown> {
  return {
    services: listIn<ServiceStatus>(await client.get("/api/v1/services"), "services"),
    containers: listIn<ContainerStatus>(await client.get("/api/v1/containers"), "containers"),
    readiness: expectOk<StackStatus>(await client.get("/api/v1/status")).readiness,
  };
}

/** What keeps these instances from being drained, in words; an instance that is not shown any more is gone. Pure. */
export function undrained(instances: readonly InstanceName[], shown: Shown): readonly string[] {
  const isAnnouncing = shown.readiness.every(({ part, ready }) => part !== "announce" || ready);
  return instances.flatMap(({ service, id }) => {
    const backend = shown.services.find(({ name }) => name === service)?.backends.find((each) => each.id === id);
    const registration = shown.containers
      .flatMap(({ registrations }) => registrations)
      .find((each) => each.service === service && each.id === id);
    const reasons = [
      backend === undefined ? undefined : whyRouted(backend),
      registration === undefined ? undefined : whyOffered(registration, isAnnouncing),
    ];
    return reasons.flatMap((reason) => (reason === undefined ? [] : [`${id} ${reason}`]));
  });
}

function whyRouted({ state, local = "up", counters }: BackendStatus): string | undefined {
  // Not `usable`: a backend that is merely down gets requests when there is no other.
  if (state === "up" && local === "up") return "still takes requests";
  return counters.active === 0 ? undefined : `has ${counters.active} requests or connections in progress`;
}

function whyOffered(registration: RegistrationStatus, isAnnouncing: boolean): string | undefined {
  const { announcedState, health } = registration;
  if (announcedState !== undefined) return announcedState === "up" ? "still lies in the registry as up" : undefined;
  return isAnnouncing && health !== "up" ? undefined : "waits for the registry";
}
