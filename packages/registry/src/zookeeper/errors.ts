import { describeError, StackError } from "@smartstack/core";
import zookeeper from "node-zookeeper-client";
import { sessionLost, unreachable } from "../session.ts";

/** The server's own code of an error, when it is one. */
export function codeOf(error: unknown): number | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "number" ? error.code : undefined;
}

/** An error of the library, or a deadline, as one of ours. `what` names server, call and path. */
export function asStackError(what: string, error: unknown): StackError {
  if (error instanceof StackError) return error.code === "DEADLINE" ? unreachable(what, error) : error;
  const { SESSION_EXPIRED, CONNECTION_LOSS, NO_AUTH } = zookeeper.Exception;
  if (codeOf(error) === SESSION_EXPIRED) return sessionLost("the ZooKeeper session has expired", error);
  if (codeOf(error) === CONNECTION_LOSS) return unreachable(what, error);
  return codeOf(error) === NO_AUTH
    ? failed(
        what,
        "not allowed by the node's access control list; give the registry a user that is, or change the list",
        error,
      )
    : failed(what, error);
}

/** Did an access control list refuse the call? */
export function isForbidden(error: unknown): boolean {
  return codeOf(error instanceof StackError ? error.cause : error) === zookeeper.Exception.NO_AUTH;
}

/** Was a node missing that the call needs? */
export function isMissing(error: unknown): boolean {
  return codeOf(error instanceof StackError ? error.cause : error) === zookeeper.Exception.NO_NODE;
}

function failed(what: string, reason: unknown, cause: unknown = reason): StackError {
  const message = `${what}: ${describeError(reason)}`;
  return new StackError("REGISTRY_FAILED", message, { side: "registry", retry: "after-backoff", cause });
}
