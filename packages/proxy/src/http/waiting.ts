import type { Backend } from "../backend.ts";
import { type Waiter, waitMs } from "../queue.ts";
import type { Conversation } from "./conversation.ts";
import { fail } from "./finish.ts";

/**
 * Lets a request wait until a backend has room for it, in the order in which they came, for as long as the service's
 * queue timeout: then it is answered with 503, as HAProxy does. `tried`: not to be asked again; `go` is its turn.
 */
export function waitForRoom(
  conversation: Conversation,
  full: Backend,
  tried: readonly Backend[],
  go: (conversation: Conversation, backend: Backend | undefined) => void,
): void {
  const { service, surroundings, timeout, wire, requestBody, hash } = conversation;
  const { pool, counters, spec } = service;
  const waiter: Waiter = {
    tried,
    hash,
    go(backend) {
      conversation.waiter = undefined;
      go(conversation, backend);
    },
  };
  if (!pool.queue.join(waiter, full)) {
    counters.queueFull++;
    fail(conversation, 503, pool.describeFull());
    return;
  }
  counters.queued++;
  conversation.waiter = waiter;
  // Where nobody reads it yet, a long body stays with the client.
  if (!requestBody.done) wire.pause();
  surroundings.wheel.arm(timeout, waitMs(spec.timeouts.queueMs));
}

/** Nobody had room for it in time. */
export function waitedTooLong(conversation: Conversation): void {
  const { service } = conversation;
  service.counters.queueTimeouts++;
  fail(conversation, 503, `waited ${service.spec.timeouts.queueMs} ms: ${service.pool.describeFull()}`);
}
