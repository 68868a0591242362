import { type ContainerStatus, type InstanceState, type ServiceStatus, StackError } from "@smartstack/core";
import type { AdminClient } from "../admin-client.ts";
import { expectOk, listIn } from "../answer.ts";
import type { Terminal } from "../terminal.ts";

/** One instance of one service, as the admin API addresses it. */
export interface InstanceName {
  readonly service: string;
  readonly id: string;
}

/**
 * Sets the state of what an operator named: an instance id, a container's name, or the beginning of a container's id.
 * @returns those instances; none, and says so, when nothing here is known by that name.
 */
export async function setState(
  terminal: Terminal,
  client: AdminClient,
  named: string,
  state: InstanceState,
  forTime: string | undefined,
): Promise<readonly InstanceName[]> {
  const services = listIn<ServiceStatus>(await client.get("/api/v1/services"), "services");
  const containers = listIn<ContainerStatus>(await client.get("/api/v1/containers"), "containers");
  const found = instancesNamed(named, services, containers);
  if (found.length === 0) {
    terminal.error(
      `${named} is no instance id, container name or container-id prefix that is known here; see smartstack status`,
    );
    return [];
  }
  for (const { service, id } of found) {
    const path = `/api/v1/services/${encodeURIComponent(service)}/instances/${encodeURIComponent(id)}/state`;
    expectOk(await client.put(path, { state, ...(forTime === undefined ? {} : { for: forTime }) }));
    terminal.print(`${service}: ${id} is ${state}${forTime === undefined ? "" : ` for ${forTime}`}`);
  }
  return found;
}

/**
 * Exact matches win over prefixes. Pure.
 * @throws StackError CONFIG_INVALID when a prefix fits several containers.
 */
export function instancesNamed(
  named: string,
  services: readonly ServiceStatus[],
  containers: readonly ContainerStatus[],
): readonly InstanceName[] {
  const all = new Map<
    string,
    InstanceName & { readonly container: string | undefined; readonly name: string | undefined }
  >();
  for (const { name, backends } of services)
    for (const { id, container } of backends)
      all.set(`${name}/${id}`, { service: name, id, container, name: undefined });
  for (const { id: container, name, registrations } of containers)
    for (const { service, id } of registrations) all.set(`${service}/${id}`, { service, id, container, name });
  const instances = [...all.values()];
  const exact = instances.filter(
    (each) => each.id === named || each.name === named || each.name === `/${named}` || each.container === named,
  );
  if (exact.length > 0) return exact.map(({ service, id }) => ({ service, id }));
  const byPrefix = instances.filter((each) => isPrefix(named, each.container));
  const owners = new Set(byPrefix.map((each) => each.container?.slice(0, 12)));
  if (owners.size > 1)
    throw new StackError("CONFIG_INVALID", `${named} fits several containers: ${[...owners].join(", ")}`, {
      side: "config",
      retry: "never",
    });
  return byPrefix.map(({ service, id }) => ({ service, id }));
}

function isPrefix(named: string, container: string | undefined): boolean {
  if (container === undefined || !/^[0-9a-f]{4,64}$/.test(named)) return false;
  // A registry carries 12 digits of an id of which an operator may have copied all 64.
  return container.startsWith(named) || named.startsWith(container);
}
