import type { BackendStatus, ContainerStatus, ServiceStatus } from "@smartstack/core";

/** Shorter prefixes of a container's id would hit by chance. */
const PREFIX_DIGITS_MIN = 4;

/** Does an operator's word mean this container: by name, whole id, or a prefix of the id? */
export function meansContainer(word: string, container: ContainerStatus): boolean {
  return container.name === word || container.name === `/${word}` || isIdPrefix(word, container.id);
}

/** The same, for a backend, of which a registry knows the first 12 digits of its container's id. */
export function meansBackend(word: string, backend: BackendStatus): boolean {
  if (backend.id === word) return true;
  return backend.container !== undefined && isIdPrefix(word, backend.container);
}

function isIdPrefix(word: string, id: string): boolean {
  if (word.length < PREFIX_DIGITS_MIN || !/^[0-9a-f]+$/.test(word)) return false;
  // The operator may have copied more digits than a registry keeps.
  return id.startsWith(word) || (id.length === 12 && word.startsWith(id));
}

export type Found =
  | { readonly ids: readonly string[] }
  | { readonly ids: readonly []; readonly ambiguous: readonly string[] };

/** The instances of one service that a word means: one by its id, or all of one container. */
export function findInstances(
  word: string,
  service: string,
  services: readonly ServiceStatus[],
  containers: readonly ContainerStatus[],
): Found {
  const backends = services.find(({ name }) => name === service)?.backends ?? [];
  const owned = containers.flatMap((container) =>
    container.registrations.filter((each) => each.service === service).map(({ id }) => ({ id, container })),
  );
  if (backends.some(({ id }) => id === word) || owned.some(({ id }) => id === word)) return { ids: [word] };
  const hits = new Map<string, string>();
  for (const { id, container } of owned) if (meansContainer(word, container)) hits.set(id, container.id.slice(0, 12));
  for (const backend of backends)
    if (meansBackend(word, backend)) hits.set(backend.id, (backend.container ?? "").slice(0, 12));
  const owners = [...new Set(hits.values())];
  return owners.length > 1 ? { ids: [], ambiguous: owners } : { ids: [...hits.keys()] };
}
