import { PREFIX, type Said } from "../label-keys.ts";
import type { Convention } from "./convention.ts";

/** By compose, and by a swarm, whose tasks carry no label of compose. */
const SERVICE_LABELS = ["com.docker.compose.service", "com.docker.swarm.service.name"] as const;

/** `docker-compose run` makes them: they carry all labels of the service, and are none of its instances. */
export function isOneOff(labels: Readonly<Record<string, string>>): boolean {
  return labels["com.docker.compose.oneoff"]?.toLowerCase() === "true";
}

/** The name that compose, or the swarm, knows the container's service by, whatever its project. */
export function composeName(labels: Readonly<Record<string, string>>): Said | undefined {
  const label = SERVICE_LABELS.find((key) => (labels[key]?.trim() ?? "") !== "");
  const name = label === undefined ? undefined : labels[label]?.trim();
  return name === undefined ? undefined : { value: name, shown: `label ${label}=${name}` };
}

/** Names a container by its compose, or swarm, service when it opts in with `smartstack.port`. */
export const compose: Convention = {
  env: undefined,
  read({ labels }) {
    const name = (labels[`${PREFIX}port`] ?? "").trim() === "" ? undefined : composeName(labels);
    return { keys: new Map(name === undefined ? [] : [["service", name]]), warnings: [] };
  },
};
