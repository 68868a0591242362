/** Attempts for one request when no other backend is left to try; also the most for one that may have reached a backend. */
export const ATTEMPTS_MAX = 3;

/** Bytes of a request's body kept for another attempt; a longer body gives the second chance up. */
export const HELD_BYTES_MAX = 128 * 1024;

/** How an attempt ended before its backend had answered a single byte. */
export interface Death {
  /**
   * `connect`: no connection came about, nothing was received. `reset`: reset or broken pipe, the backend's kernel still
   * had bytes that nobody had read. `lost`: reset, and the backend takes no connections any more. `eof`: closed in order,
   * so the backend may have read everything.
   */
  readonly how: "connect" | "reset" | "lost" | "eof";
  /** The connection had carried a request before: its backend may simply have tired of it. */
  readonly reused: boolean;
}

/**
 * Does the retry count against the service's budget? Only what a backend may have worked on is load: a connect that
 * failed and a request that was lost with its process were read by nobody, and a kept connection's end is its age (the
 * retry goes to a new one, so that there is one such at most for each request).
 */
export function isLoad(death: Death): boolean {
  return !death.reused && (death.how === "reset" || death.how === "eof");
}

export interface Retriable {
  /** GET, HEAD or OPTIONS without a body: asking twice changes nothing. */
  readonly idempotent: boolean;
  /** All of the request's body so far can be sent again. */
  readonly held: boolean;
}

/**
 * May the request go to another backend? Others than idempotent ones only where the backend cannot have read them whole:
 * nothing was received, or a kept connection was reset, which is how a backend's idle timeout meets our next request,
 * or the backend's process died with the request in its kernel's queue.
 */
export function mayRetry(request: Retriable, death: Death): boolean {
  if (!request.held) return false;
  if (request.idempotent || death.how === "connect" || death.how === "lost") return true;
  return death.reused && death.how === "reset";
}
