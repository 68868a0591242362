import { PREFIX, type Said } from "../label-keys.ts";
import type { Convention } from "./convention.ts";

const SERVICE = "com.docker.compose.service";

/** `docker-compose run` makes them: they carry all labels of the service, and are none of its instances. */
export function isOneOff(labels: Readonly<Record<string, string>>): boolean {
  return labels["com.docker.compose.oneoff"]?.toLowerCase() === "true";
}

/** The name that compose knows the container's service by, whatever its project. */
export function composeName(labels: Readonly<Record<string, string>>): Said | undefined {
  const name = labels[SERVICE]?.trim();
  return name === undefined || name === "" ? undefined : { value: name, shown: `label ${SERVICE}=${name}` };
}

/** Names a container by its compose service when it opts in with `smartstack.port`. */
export const compose: Convention = {
  env: undefined,
  read({ labels }) {
    const name = (labels[`${PREFIX}port`] ?? "").trim() === "" ? undefined : composeName(labels);
    return { keys: new Map(name === undefined ? [] : [["service", name]]), warnings: [] };
  },
};
