import { createHash } from "node:crypto";
import { nodeNameProblem, type Random } from "@smartstack/core";

/** The first 12 hex digits of the engine id's SHA-256: stable for the host, and says nothing about it. */
export function engineNode(engineId: string): string {
  return createHash("sha256").update(engineId).digest("hex").slice(0, 12);
}

/** Without Docker: the instance_id, else the host's name; what cannot name a node is hashed. */
export function configNode(instanceId: string | undefined, hostname: string): string {
  const name = instanceId ?? hostname;
  return nodeNameProblem(name) === undefined ? name : engineNode(name);
}

/** A nonce for one run of a nerve: 16 hex digits. */
export function bootNonce(random: Random): string {
  const half = (): string =>
    Math.floor(random() * 2 ** 32)
      .toString(16)
      .padStart(8, "0");
  return half() + half();
}
