/**
 * Every code an error of this project can carry, with what it means. Codes are stable: scripts and alerts match on them.
 */
export const ERROR_CODES = {
  CONFIG_INVALID: "a configuration file or value is wrong",
  NAME_INVALID: "a service, instance or node name breaks the naming rule",
  DOCUMENT_INVALID: "a registry document does not parse",
  DOCKER_UNREACHABLE: "the Docker engine does not answer",
  DOCKER_FAILED: "the Docker engine answered with an error",
  DOCKER_EVENTS_LOST: "the Docker engine's list shows what no event had told",
  REGISTRY_UNREACHABLE: "the registry does not answer in time",
  REGISTRY_FAILED: "the registry answered with an error",
  REGISTRY_SESSION_LOST: "the lease or session that holds our entries is gone",
  REGISTRY_FENCED: "another nerve took this node id over",
  REGISTRY_WATCH_LOST: "a watch broke or may have missed something",
  HOST_UNREADABLE: "this machine's own place in the network cannot be read",
  LISTEN_FAILED: "a listener's address cannot be bound",
  DEADLINE: "an operation did not finish in the time it was given",
  CLOSED: "the object was closed while the operation waited",
  INTERNAL: "a broken invariant of this program",
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

/** Whose fault it is: what an operator looks at first. */
export type ErrorSide = "config" | "docker" | "registry" | "backend" | "client" | "self";

/** May the caller try again? `after-backoff` is what keepAlive does; `never` ends the loop. */
export type Retry = "never" | "at-once" | "after-backoff";

export interface ErrorOptions {
  readonly side: ErrorSide;
  readonly retry: Retry;
  readonly cause?: unknown;
}

/** The one error type that crosses package boundaries: a stable code, whose side it is, and whether a retry can help. */
export class StackError extends Error {
  readonly code: ErrorCode;
  readonly side: ErrorSide;
  readonly retry: Retry;

  constructor(code: ErrorCode, message: string, options: ErrorOptions) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "StackError";
    this.code = code;
    this.side = options.side;
    this.retry = options.retry;
  }
}

/** Recognises our errors by shape, so that two copies of this package in one process still understand each other. */
export function isStackError(error: unknown): error is StackError {
  return error instanceof Error && typeof (error as Partial<StackError>).code === "string" && "retry" in error;
}

/** One line for a log or a status page: the message, then its causes, never a stack trace. */
export function describeError(error: unknown): string {
  const parts: string[] = [];
  let current: unknown = error;
  // Causes can be circular in the wild; four levels are more than any of ours has.
  for (let depth = 0; depth < 4 && current !== undefined && current !== null; depth++) {
    const text = messageOf(current);
    if (text !== "" && !parts.some((part) => part.includes(text))) parts.push(text);
    current = current instanceof Error ? current.cause : undefined;
  }
  return parts.join(": ") || "unknown error";
}

function messageOf(value: unknown): string {
  if (value instanceof AggregateError && value.message === "")
    return [...new Set(value.errors.map(messageOf))].join(", ");
  const text = value instanceof Error ? value.message || value.name : String(value);
  return text.trim().replace(/\s*\n\s*/g, "; ");
}
