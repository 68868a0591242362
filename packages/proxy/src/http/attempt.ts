import { type Backend, hostHeader } from "../backend.ts";
import { dial, failureReason } from "../dial.ts";
import { clientPreface } from "../preface.ts";
import { sourceHash } from "../request-hash.ts";
import { ATTEMPTS_MAX, type Death, isLoad, mayRetry } from "../retry.ts";
import { mayAffordRetry } from "../service.ts";
import { stage } from "../stage.ts";
import { closeExcess, openUpstream, takeIdle, type Upstream } from "../upstream.ts";
import { NOBODY, type WireOwner } from "../wire.ts";
import { type Conversation, EXCHANGING } from "./conversation.ts";
import { dropExchange, fail } from "./finish.ts";
import { forwardRequest } from "./forward.ts";
import { createHead, type Head } from "./head.ts";
import { heldHead, holdBody, holdHead, sendHeldBody } from "./held.ts";
import { DEFAULT_ORIGIN, isTrusted, newRequestId, type Origin } from "./origin.ts";
import { parseRequest } from "./parse-request.ts";
import { requestHash } from "./request-hash.ts";
import { waitForRoom } from "./waiting.ts";

/** While other backends are left, connects may go on failing this long: one of them may still spare the client an error. */
const TRYING_MS = 5_000;
/** How long after a kept connection's end a reset may show that the request behind it was never read. */
const DOUBT_MS = 50;

/** Bytes of further requests read ahead while one is running. */
export const PIPELINED_BYTES_MAX = 16 * 1024;

const ENDED = "closed the connection without an answer";
const againHead = createHead();

/**
 * Brings the request whose head is `bytes[head.start, head.end)` to a backend. It only stands on the
 * stage when this returns, so that the first bytes of the body leave with it.
 */
export function startExchange(conversation: Conversation, bytes: Buffer, head: Head): void {
  conversation.attempts = 0;
  conversation.startedMs = 0;
  conversation.origin = originOf(conversation);
  conversation.hash = hashOf(conversation, bytes, head);
  holdHead(conversation.held, bytes, head.start, head.end);
  attempt(conversation, bytes, head);
}

function hashOf(conversation: Conversation, bytes: Buffer, head: Head): number {
  const { service, ends, wire } = conversation;
  if (service.spec.balance !== "source") return requestHash(service.spec, bytes, head);
  conversation.sourceHash ??= sourceHash(ends?.source.address ?? wire.peer());
  return conversation.sourceHash;
}

// The same for all requests of most connections.
function originOf(conversation: Conversation): Origin {
  const { service, surroundings, ends, wire, origin: before } = conversation;
  const spec = service.spec.origin ?? DEFAULT_ORIGIN;
  if (before.spec === spec && spec.requestId === undefined) return before;
  const trusted = isTrusted(spec, ends?.source.address ?? wire.peer());
  const requestId = spec.requestId === undefined ? undefined : newRequestId(surroundings.random);
  return { ...before, spec, trusted, requestId };
}

function attempt(conversation: Conversation, bytes: Buffer, head: Head): void {
  const { pool } = conversation.service;
  let { tried }: { tried: readonly Backend[] } = conversation;
  let backend = pool.pick(tried, conversation.hash);
  if (backend === undefined && conversation.attempts > 0 && conversation.attempts < ATTEMPTS_MAX) {
    tried = [];
    backend = pool.pick(tried, conversation.hash);
  }
  if (backend === undefined) failUnasked(conversation);
  else if (pool.admits(backend)) ask(conversation, backend, bytes, head);
  else waitForRoom(conversation, backend, tried, askAfterWait);
}

function failUnasked(conversation: Conversation): void {
  const { service } = conversation;
  service.counters.noBackend++;
  fail(conversation, 503, service.pool.describe());
}

function askAfterWait(conversation: Conversation, backend: Backend | undefined): void {
  const head = heldHead(conversation.held);
  if (backend === undefined || head === undefined) {
    failUnasked(conversation);
    return;
  }
  parseRequest(head, 0, againHead);
  ask(conversation, backend, head, againHead);
  resumeRequest(conversation);
}

function ask(conversation: Conversation, backend: Backend, bytes: Buffer, head: Head): void {
  const { service, surroundings, tried, origin } = conversation;
  const { pool, spec } = service;
  conversation.attempts++;
  tried.push(backend);
  pool.begin(backend);
  conversation.askedMs = pool.asked(backend, conversation.idempotent);
  backend.counters.requests++;
  conversation.backend = backend;
  conversation.doubtful = false;
  const { wheel } = surroundings;
  // A second attempt must not die of another connection's age, and one client's header speaks for no other.
  const kept =
    conversation.attempts === 1 && spec.sendProxy === undefined ? takeIdle(backend, conversation.owner) : undefined;
  if (kept === undefined) closeExcess(backend);
  const { connectMs, serverMs } = spec.timeouts;
  const preface = clientPreface(spec, conversation.ends, conversation.wire);
  const upstream =
    kept ?? openUpstream(backend, conversation.owner, { wheel, connectMs, preface, onFailure: pool.failed });
  conversation.upstream = upstream;
  wheel.arm(conversation.timeout, serverMs);
  const { wire } = upstream;
  const edits = { host: hostFor(spec.host, backend), fallbackHost: hostHeader(backend), origin };
  backend.counters.bytesIn += forwardRequest(bytes, head, edits, wire);
  sendHeldBody(conversation.held, wire);
}

function hostFor(host: "keep" | "backend" | { readonly name: string }, backend: Backend): string | undefined {
  if (host === "keep") return undefined;
  return host === "backend" ? hostHeader(backend) : host.name;
}

/** Sends one range of the request's body on, keeping it for another attempt as long as there may be one. */
export function sendBody({ held, upstream, backend }: Conversation, bytes: Buffer, from: number, to: number): void {
  holdBody(held, bytes, from, to);
  if (upstream === undefined || backend === undefined) return;
  backend.counters.bytesIn += to - from;
  stage(upstream.wire, bytes, from, to);
}

/** The new connection stands. */
export function connected(conversation: Conversation): void {
  const { surroundings, timeout, service } = conversation;
  surroundings.wheel.arm(timeout, service.spec.timeouts.serverMs);
}

/** The backend closed in order before it answered. */
export function endedUnanswered(conversation: Conversation, upstream: Upstream): void {
  if (conversation.idempotent || conversation.held.head === undefined) {
    died(conversation, { how: "eof", reused: upstream.reused }, ENDED);
    return;
  }
  // Its close may have met our request half way. Then the request was answered with a reset, which hides behind the end
  // that came first; a write of nothing brings it out (EPIPE), and sends nothing to a backend that is still there.
  conversation.doubtful = true;
  conversation.surroundings.wheel.arm(conversation.timeout, DOUBT_MS);
  upstream.wire.probe(() => undefined);
}

/** The doubt's time is over: one last look, then the backend counts as having read the request. */
export function endDoubt(conversation: Conversation, upstream: Upstream): void {
  conversation.doubtful = false;
  upstream.wire.probe(() => {
    if (conversation.upstream === upstream) died(conversation, { how: "eof", reused: upstream.reused }, ENDED);
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
  if (!reused) conversation.service.pool.reset(upstream.backend, "connection reset before an answer");
  if (reused || (conversation.idempotent && conversation.attempts < ATTEMPTS_MAX)) {
    died(conversation, { how: "reset", reused }, reason);
  } else lookForBackend(conversation, upstream.backend, reason);
}

/**
 * A new connection was reset under a request that must not be acted on twice, or was often enough. If the backend takes
 * no connections any more, its process died with the request still in its kernel's queue (one that had read it would
 * have closed in order); if it does, it may have refused it on purpose.
 */
function lookForBackend(conversation: Conversation, backend: Backend, reason: string): void {
  const { service, surroundings } = conversation;
  conversation.upstream = undefined;
  const { connectMs } = service.spec.timeouts;
  let gone = true;
  const owner: WireOwner = {
    ...NOBODY,
    wireClosed() {
      // The client may have left meanwhile.
      const waits = conversation.phase === EXCHANGING && conversation.upstream === undefined;
      if (waits && conversation.backend === backend)
        died(conversation, { how: gone ? "lost" : "reset", reused: false }, reason);
    },
  };
  const look = dial(backend, { wheel: surroundings.wheel, connectMs, onFailure: service.pool.failed }, owner, () => {
    gone = false;
    look.destroy();
  });
}

function died(conversation: Conversation, death: Death, reason: string): void {
  const { service, surroundings, backend } = conversation;
  const head = heldHead(conversation.held);
  const retriable = { idempotent: conversation.idempotent, held: head !== undefined };
  dropExchange(conversation);
  if (backend !== undefined && death.how !== "connect") {
    backend.counters.failures++;
    // A kept connection's end is its age.
    if (!death.reused) service.pool.badly(backend, reason);
  }
  if (head === undefined || !mayRetry(retriable, death) || !hasTime(conversation, death)) {
    const status = death.how === "connect" ? 503 : 502;
    if (status === 503) service.counters.noBackend++;
    fail(conversation, status, `backend ${backend?.key ?? "?"}: ${reason}`);
    return;
  }
  if (isLoad(death) && !mayAffordRetry(service, surroundings.clock.monotonic())) {
    fail(conversation, 502, `backend ${backend?.key ?? "?"}: ${reason}; retry budget spent`);
    return;
  }
  if (conversation.startedMs === 0) conversation.startedMs = surroundings.clock.monotonic();
  service.counters.retries++;
  if (backend !== undefined) backend.counters.retries++;
  // The head's offsets are long overwritten: it is read again, which cannot turn out differently.
  parseRequest(head, 0, againHead);
  attempt(conversation, head, againHead);
  resumeRequest(conversation);
}

// A request that may have reached backends must not go round all of them; one that never did may, for a while.
function hasTime(conversation: Conversation, death: Death): boolean {
  if (conversation.attempts < ATTEMPTS_MAX) return true;
  if (death.how !== "connect" && death.how !== "lost") return false;
  const { startedMs, surroundings } = conversation;
  return surroundings.clock.monotonic() - startedMs < TRYING_MS;
}

/** Lets the client send on, unless the backend or the requests waiting behind this one are full. */
export function resumeRequest(conversation: Conversation): void {
  const { upstream, input, wire, waiter, requestBody } = conversation;
  if (waiter !== undefined && !requestBody.done) return;
  if (upstream?.wire.needsDrain === true) return;
  if (input === undefined || input.length < PIPELINED_BYTES_MAX) wire.resume();
}
