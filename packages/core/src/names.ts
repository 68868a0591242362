import { StackError } from "./errors.ts";

const SERVICE_NAME = /^[A-Za-z0-9]([A-Za-z0-9._-]{0,126}[A-Za-z0-9])?$/;
const INSTANCE_ID = /^[A-Za-z0-9._-]{1,128}$/;
const NODE_NAME = /^[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9])?$/;

/** Why `name` cannot be a service's name, or undefined when it can. Case is kept; nothing is ever mangled into shape. */
export function serviceNameProblem(name: string): string | undefined {
  if (SERVICE_NAME.test(name)) return undefined;
  return `service name ${JSON.stringify(name)} must be 1–128 letters, digits, ".", "_" or "-", beginning and ending with a letter or digit`;
}

/** Why `id` cannot be an instance's id, or undefined when it can. "." and ".." would escape a file registry's folder. */
export function instanceIdProblem(id: string): string | undefined {
  if (INSTANCE_ID.test(id) && id !== "." && id !== "..") return undefined;
  return `instance id ${JSON.stringify(id)} must be 1–128 letters, digits, ".", "_" or "-"`;
}

/** Why `node` cannot name a node, or undefined when it can. */
export function nodeNameProblem(node: string): string | undefined {
  if (NODE_NAME.test(node)) return undefined;
  return `node name ${JSON.stringify(node)} must be 1–64 letters, digits, ".", "_" or "-", beginning and ending with a letter or digit`;
}

/** @throws StackError NAME_INVALID, with the reason in its message. */
export function assertServiceName(name: string): void {
  const problem = serviceNameProblem(name);
  if (problem !== undefined) throw new StackError("NAME_INVALID", problem, { side: "config", retry: "never" });
}

/** @throws StackError NAME_INVALID, with the reason in its message. */
export function assertInstanceId(id: string): void {
  const problem = instanceIdProblem(id);
  if (problem !== undefined) throw new StackError("NAME_INVALID", problem, { side: "config", retry: "never" });
}

/** `<container 12 hex>-<port>`, with `-udp` behind it for UDP, which has its own port space. */
export function containerInstanceId(containerId: string, port: number, protocol: "tcp" | "udp" = "tcp"): string {
  return `${containerId.slice(0, 12)}-${port}${protocol === "udp" ? "-udp" : ""}`;
}

/** `<node>-<port>`: the id of an instance that comes from configuration. */
export function nodeInstanceId(node: string, port: number): string {
  return `${node}-${port}`;
}
