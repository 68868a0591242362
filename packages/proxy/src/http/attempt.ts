import type { Backend } from "../backend.ts";
import { dial, failureReason } from "../dial.ts";
import { ATTEMPTS_MAX, type Death, HELD_BYTES_MAX, mayRetry } from "../retry.ts";
import { openUpstream, takeIdle, type Upstream } from "../upstream.ts";
import { type Conversation, EXCHANGING } from "./conversation.ts";
import { dropExchange, fail, forgetHeld } from "./finish.ts";
import { forwardRequest } from "./forward.ts";
import { createHead, type Head } from "./head.ts";
import { parseRequest } from "./parse-request.ts";

/** While other backends are left, connects may go on failing this long: one of them may still spare the client an error. */
const TRYING_MS = 5_000;
/** How long after a kept connection's end a reset may show that the request behind it was never read. */
const DOUBT_MS = 50;

/** Bytes of further requests read ahead while one is running. */
export const PIPELINED_BYTES_MAX = 16 * 1024;

const NO_BYTES = Buffer.alloc(0);
const ENDED = "closed the connection without an answer";
const againHead = createHead();

/**
 * Brings the request whose head is `bytes[head.start, head.end)` to a backend. The upstream is left corked, so that the
 * first bytes of the body leave with the head: uncork it when they are written.
 */
export function startExchange(conversation: Conversation, bytes: Buffer, head: Head): void {
  conversation.attempts = 0;
  conversation.tried.length = 0;
  conversation.startedMs = 0;
  conversation.heldBytes = 0;
  conversation.headBytes = bytes.subarray(head.start, head.end);
  attempt(conversation, bytes, head);
}

function attempt(conversation: Conversation, bytes: Buffer, head: Head): void {
  const { service, surroundings, tried } = conversation;
  const { pool, spec } = service;
  let backend = pool.pick(tried);
  if (backend === undefined && conversation.attempts > 0 && conversation.attempts < ATTEMPTS_MAX) {
    backend = pool.pick([]);
  }
  if (backend === undefined) {
    service.counters.noBackend++;
    fail(conversation, 503, pool.describe());
    return;
  }
  conversation.attempts++;
  tried.push(backend);
  backend.active++;
  backend.counters.requests++;
  conversation.backend = backend;
  conversation.doubtful = false;
  const { wheel } = surroundings;
  // A second attempt must not die of another connection's age.
  const kept = conversation.attempts === 1 ? takeIdle(backend, conversation.owner) : undefined;
  const { connectMs, serverMs } = spec.timeouts;
  const upstream = kept ?? openUpstream(backend, conversation.owner, { wheel, connectMs, onFailure: pool.failed });
  conversation.upstream = upstream;
  wheel.arm(conversation.timeout, serverMs);
  upstream.socket.cork();
  const forwarded = forwardRequest(bytes, head, {
    host: hostFor(spec.host, backend),
    fallbackHost: backend.address,
    clientAddress: conversation.clientAddress,
  });
  backend.counters.bytesIn += forwarded.length;
  upstream.socket.write(forwarded);
  for (const held of conversation.held) upstream.socket.write(held);
}

function hostFor(host: "keep" | "backend" | { readonly name: string }, backend: Backend): string | undefined {
  if (host === "keep") return undefined;
  return host === "backend" ? backend.address : host.name;
}

/** Sends one range of the request's body on, keeping it for another attempt as long as there may be one. */
export function sendBody(conversation: Conversation, bytes: Buffer): void {
  const { upstream, backend } = conversation;
  if (conversation.headBytes !== undefined) {
    conversation.heldBytes += bytes.length;
    if (conversation.heldBytes > HELD_BYTES_MAX) forgetHeld(conversation);
    else conversation.held.push(bytes);
  }
  if (upstream === undefined || backend === undefined) return;
  backend.counters.bytesIn += bytes.length;
  upstream.socket.write(bytes);
}

/** The new connection stands. */
export function connected(conversation: Conversation): void {
  const { surroundings, timeout, service } = conversation;
  surroundings.wheel.arm(timeout, service.spec.timeouts.serverMs);
}

/** The backend closed in order before it answered. */
export function endedUnanswered(conversation: Conversation, upstream: Upstream): void {
  if (conversation.idempotent || conversation.headBytes === undefined) {
    died(conversation, { how: "eof", reused: upstream.reused }, ENDED);
    return;
  }
  // Its close may have met our request half way. Then the request was answered with a reset, which hides behind the end
  // that came first; a write of nothing brings it out (EPIPE), and sends nothing to a backend that is still there.
  conversation.doubtful = true;
  conversation.surroundings.wheel.arm(conversation.timeout, DOUBT_MS);
  upstream.socket.write(NO_BYTES);
}

/** The doubt's time is over: one last look, then the backend counts as having read the request. */
export function endDoubt(conversation: Conversation, upstream: Upstream): void {
  conversation.doubtful = false;
  upstream.socket.write(NO_BYTES, (error) => {
    // With an error, the connection's close follows and says so.
    if (error || conversation.upstream !== upstream) return;
    died(conversation, { how: "eof", reused: upstream.reused }, ENDED);
  });
}

/** The connection is gone before an answer. */
export function closedUnanswered(
  conversation: Conversation,
  upstream: Upstream,
  error: NodeJS.ErrnoException | undefined,
): void {
  const { reused } = upstream;
  const reason = error === undefined ? "connection closed" : failureReason(error);
  if (!upstream.connected) {
    died(conversation, { how: "connect", reused }, reason);
    return;
  }
  if (error?.code !== "ECONNRESET" && error?.code !== "EPIPE") {
    died(conversation, { how: "eof", reused }, reason);
    return;
  }
  // On a kept connection a reset is only its age; on a new one something is wrong with the backend.
  if (!reused) conversation.service.pool.failed(upstream.backend, "connection reset before an answer");
  if (reused || conversation.idempotent) died(conversation, { how: "reset", reused }, reason);
  else lookForBackend(conversation, upstream.backend, reason);
}

/**
 * A new connection was reset under a request that must not be acted on twice. If the backend takes no connections any
 * more, its process died with the request still in its kernel's queue; if it does, it may have refused it on purpose.
 */
function lookForBackend(conversation: Conversation, backend: Backend, reason: string): void {
  const { service, surroundings } = conversation;
  conversation.upstream = undefined;
  const { connectMs } = service.spec.timeouts;
  const look = dial(backend, { wheel: surroundings.wheel, connectMs, onFailure: service.pool.failed });
  let gone = true;
  look.once("connect", () => {
    gone = false;
    look.destroy();
  });
  look.once("close", () => {
    // The client may have left meanwhile.
    const waits = conversation.phase === EXCHANGING && conversation.upstream === undefined;
    if (waits && conversation.backend === backend)
      died(conversation, { how: gone ? "lost" : "reset", reused: false }, reason);
  });
}

function died(conversation: Conversation, death: Death, reason: string): void {
  const { service, surroundings, backend, headBytes } = conversation;
  const retriable = { idempotent: conversation.idempotent, held: headBytes !== undefined };
  dropExchange(conversation);
  if (backend !== undefined && death.how !== "connect") backend.counters.failures++;
  if (headBytes === undefined || !mayRetry(retriable, death) || !hasTime(conversation, death)) {
    const status = death.how === "connect" ? 503 : 502;
    if (status === 503) service.counters.noBackend++;
    fail(conversation, status, `backend ${backend?.key ?? "?"}: ${reason}`);
    return;
  }
  if (conversation.startedMs === 0) conversation.startedMs = surroundings.clock.monotonic();
  service.counters.retries++;
  if (backend !== undefined) backend.counters.retries++;
  // The head's offsets are long overwritten: it is read again, which cannot turn out differently.
  parseRequest(headBytes, 0, againHead);
  attempt(conversation, headBytes, againHead);
  conversation.upstream?.socket.uncork();
  resumeRequest(conversation);
}

// A request that may have reached backends must not go round all of them; one that never did may, for a while.
function hasTime(conversation: Conversation, death: Death): boolean {
  if (conversation.attempts < ATTEMPTS_MAX) return true;
  if (death.how !== "connect") return false;
  const { startedMs, surroundings } = conversation;
  return surroundings.clock.monotonic() - startedMs < TRYING_MS;
}

/** Lets the client send on, unless the backend or the requests waiting behind this one are full. */
export function resumeRequest(conversation: Conversation): void {
  const { upstream, input, socket } = conversation;
  if (upstream?.socket.writableNeedDrain === true) return;
  if (input === undefined || input.length < PIPELINED_BYTES_MAX) socket.resume();
}
