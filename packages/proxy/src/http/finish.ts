import type { Backend } from "../backend.ts";
import { flushStage, stage } from "../stage.ts";
import { dropUpstream, releaseUpstream } from "../upstream.ts";
import { cannedResponse } from "./canned.ts";
import { CLOSING, type Conversation, IDLE } from "./conversation.ts";
import { UNTIL_CLOSE } from "./head.ts";
import { letGo } from "./held.ts";

/**
 * How long a client may go on sending after our last answer. Closing at once would answer what is still on its way with
 * a reset, and the reset would take our answer out of the client's hands (RFC 9112 §9.6).
 */
const LINGER_MS = 2_000;

/** The answer is complete: keep what may be kept, and go on with the next request. */
export function complete(conversation: Conversation): void {
  const { upstream, requestBody } = conversation;
  const whole = requestBody.done;
  conversation.upstream = undefined;
  if (upstream !== undefined) {
    if (conversation.upstreamPersists && whole) releaseUpstream(upstream);
    else dropUpstream(upstream);
  }
  endExchange(conversation);
  if (conversation.persists && whole) waitForRequest(conversation);
  else if (conversation.clientPersists || !conversation.idempotent) closeGently(conversation);
  else closeAsAsked(conversation);
}

// The client said that this request was its last, and it had no body: nothing can be on its way that a close would
// answer with a reset.
function closeAsAsked(conversation: Conversation): void {
  const { wire, input } = conversation;
  flushStage();
  if (input !== undefined || wire.needsDrain) {
    closeGently(conversation);
    return;
  }
  conversation.phase = CLOSING;
  wire.destroy();
}

/**
 * Answers in a backend's place. When its answer has begun, nothing can be put right: the client is cut off.
 * `retryAfterS` goes with 429 and 503: when to come again, in seconds.
 */
export function fail(conversation: Conversation, status: number, reason: string, retryAfterS = 1): void {
  dropExchange(conversation);
  if (conversation.headSent) {
    cutOff(conversation);
    return;
  }
  const { service, wire } = conversation;
  const persists =
    (status === 429 || (status >= 502 && status <= 504)) &&
    conversation.clientPersists &&
    conversation.clientMinor === 1 &&
    conversation.requestBody.done &&
    !service.draining;
  service.counters.responses[Math.floor(status / 100)] =
    (service.counters.responses[Math.floor(status / 100)] as number) + 1;
  const told = service.spec.tellReasons === false ? undefined : reason;
  const answer = cannedResponse({ status, reason: told, close: !persists, headOnly: conversation.toHead, retryAfterS });
  stage(wire, answer, 0, answer.length);
  endExchange(conversation);
  if (persists) waitForRequest(conversation);
  else closeGently(conversation);
}

/** The same, by a backend's fault. */
export function failBy(conversation: Conversation, backend: Backend, status: 502 | 504, problem: string): void {
  conversation.service.pool.badly(backend, problem);
  fail(conversation, status, `backend ${backend.key}: ${problem}`);
}

/** The same, by a backend's fault, after the answer began. */
export function cutOffBy(conversation: Conversation, backend: Backend): void {
  conversation.service.pool.badly(backend, "its answer broke off");
  cutOff(conversation);
}

/** The answer broke off: the client must see that it is not whole. */
export function cutOff(conversation: Conversation): void {
  const { framing, decode } = conversation.responseBody;
  dropExchange(conversation);
  endExchange(conversation);
  conversation.phase = CLOSING;
  // An answer that ends with its connection looks whole unless the connection ends in a reset.
  if (framing === UNTIL_CLOSE || decode) conversation.wire.reset();
  else conversation.wire.destroy();
}

/** Takes backend and upstream off the conversation, closing the connection. */
export function dropExchange(conversation: Conversation): void {
  const { upstream, backend, service, waiter } = conversation;
  conversation.upstream = undefined;
  conversation.backend = undefined;
  if (waiter !== undefined) {
    conversation.waiter = undefined;
    service.pool.queue.leave(waiter);
  }
  if (upstream !== undefined) dropUpstream(upstream);
  if (backend !== undefined) service.pool.end(backend);
}

function endExchange(conversation: Conversation): void {
  const { backend, service } = conversation;
  if (backend !== undefined) service.pool.end(backend);
  conversation.backend = undefined;
  letGo(conversation.held);
  conversation.partial = undefined;
  // Setting its length is a call into the engine.
  while (conversation.tried.length > 0) conversation.tried.pop();
  conversation.answered = false;
  conversation.doubtful = false;
  conversation.headSent = false;
  conversation.interims = 0;
}

function waitForRequest(conversation: Conversation): void {
  const { surroundings, service, timeout, input, halfClosed } = conversation;
  conversation.phase = IDLE;
  if (halfClosed && input === undefined) {
    closeGently(conversation);
    return;
  }
  surroundings.wheel.arm(timeout, service.spec.timeouts.keepAliveMs);
  conversation.next();
}

/** Closes after what was written, reading on for a while. */
export function closeGently(conversation: Conversation): void {
  const { wire, surroundings, timeout, service } = conversation;
  conversation.phase = CLOSING;
  conversation.input = undefined;
  // A client that reads slowly must get all of its answer first.
  surroundings.wheel.arm(timeout, service.spec.timeouts.serverMs);
  wire.end(() => {
    if (!wire.destroyed) surroundings.wheel.arm(timeout, LINGER_MS);
  });
  wire.resume();
}
