import { isStackError, StackError } from "@smartstack/core";
import {
  EtcdAuthenticationFailedError,
  EtcdLeaseInvalidError,
  EtcdPermissionDeniedError,
  GRPCResourceExhastedError,
} from "etcd3";
import { sessionLost, unreachable } from "../session.ts";

/** What to do, by words of etcd, Node's TLS and OpenSSL. */
const ADVICE: readonly (readonly [pattern: RegExp, advice: string])[] = [
  [
    /self[- ]signed|unable to (verify|get)/i,
    "set registry.tls.ca_file to the authority that signed etcd's certificate",
  ],
  [/altname|Hostname\/IP does not match/i, "set registry.tls.server_name to a name in etcd's certificate"],
  [
    /certificate required|bad certificate|handshake failure/i,
    "etcd asks for a client's certificate: set registry.tls.cert_file and key_file",
  ],
  [/wrong version number|packet length too long/i, "etcd does not speak TLS there: remove registry.tls"],
  [/user name is empty/, "etcd asks for a user: set registry.auth"],
  [/authentication is not enabled/, "etcd has no users: remove registry.auth"],
];

/** A failed call as one of our errors, with what to do about it. */
export function etcdError(what: string, error: unknown, username: string | undefined): StackError {
  if (error instanceof EtcdLeaseInvalidError) return sessionLost("the lease is gone", error);
  if (isStackError(error) && error.code !== "DEADLINE") return error;
  if (error instanceof EtcdAuthenticationFailedError)
    return refusal(`${what}: wrong user or password for ${username}; see registry.auth`, error);
  if (error instanceof EtcdPermissionDeniedError)
    return refusal(
      `${what}: ${username ?? "nobody"} may not; grant it readwrite on the prefix with a slash behind`,
      error,
    );
  const advice = ADVICE.find(([pattern]) => pattern.test(String(error)))?.[1];
  return unreachable(advice === undefined ? what : `${what}: ${advice}`, error);
}

function refusal(message: string, cause: unknown): StackError {
  return new StackError("REGISTRY_FAILED", message, { side: "config", retry: "after-backoff", cause });
}

/** The answer was larger than what one message may hold. */
export function isTooLarge(error: unknown): boolean {
  return isStackError(error) && error.cause instanceof GRPCResourceExhastedError;
}
