import type { Backend } from "../backend.ts";
import { flushStage, stage } from "../stage.ts";
import { join } from "../tunnel.ts";
import type { Upstream } from "../upstream.ts";
import { BROKEN, beginBody, feedBody } from "./body.ts";
import { type Conversation, TUNNEL } from "./conversation.ts";
import { complete, cutOffBy, failBy } from "./finish.ts";
import { forwardResponse } from "./forward.ts";
import { CHUNKED, createHead, UNTIL_CLOSE } from "./head.ts";
import { letGo } from "./held.ts";
import { COMPLETE, NEED_MORE } from "./parse-fields.ts";
import { parseResponse } from "./parse-response.ts";

/** Interim (1xx) responses before the final one; a backend that sends more is not answering. */
const INTERIMS_MAX = 16;
const STILL_IN_HEAD = -1;

const head = createHead();

/** Bytes of the backend's answer. */
export function receive(conversation: Conversation, upstream: Upstream, chunk: Buffer): void {
  const { wire, surroundings, service, timeout } = conversation;
  if (!conversation.answered) service.pool.answered(upstream.backend, conversation.askedMs);
  conversation.answered = true;
  letGo(conversation.held);
  upstream.backend.counters.bytesOut += chunk.length;
  if (conversation.headSent) receiveBody(conversation, upstream.backend, chunk, 0);
  else {
    const bytes = conversation.partial === undefined ? chunk : Buffer.concat([conversation.partial, chunk]);
    const bodyStart = receiveHead(conversation, upstream, bytes);
    if (bodyStart !== STILL_IN_HEAD) receiveBody(conversation, upstream.backend, bytes, bodyStart);
  }
  if (conversation.upstream !== upstream || conversation.phase === TUNNEL) return;
  surroundings.wheel.arm(timeout, service.spec.timeouts.serverMs);
  flushStage();
  if (wire.needsDrain) upstream.wire.pause();
}

function receiveHead(conversation: Conversation, upstream: Upstream, bytes: Buffer): number {
  let at = 0;
  while (at < bytes.length) {
    const verdict = parseResponse(bytes, at, head, conversation.toHead);
    if (verdict === NEED_MORE) break;
    if (verdict !== COMPLETE) {
      failBy(conversation, upstream.backend, 502, head.problem);
      return STILL_IN_HEAD;
    }
    if (head.status >= 200) {
      beginFinal(conversation, upstream.backend, bytes);
      return head.end;
    }
    if (head.status === 101) {
      switchProtocols(conversation, upstream, bytes);
      return STILL_IN_HEAD;
    }
    if (++conversation.interims > INTERIMS_MAX) {
      failBy(conversation, upstream.backend, 502, `more than ${INTERIMS_MAX} interim responses`);
      return STILL_IN_HEAD;
    }
    // HTTP/1.0 knows no interim responses (RFC 9110 §15.2).
    if (conversation.clientMinor === 1) {
      forwardResponse(bytes, head, { connection: undefined, dechunk: false }, conversation.wire);
    }
    at = head.end;
  }
  conversation.partial = at < bytes.length ? Buffer.from(bytes.subarray(at)) : undefined;
  return STILL_IN_HEAD;
}

function beginFinal(conversation: Conversation, backend: Backend, bytes: Buffer): void {
  const { service, wire, clientMinor, requestBody } = conversation;
  const dechunk = head.framing === CHUNKED && clientMinor === 0;
  const endsWithConnection = head.framing === UNTIL_CLOSE || dechunk;
  conversation.partial = undefined;
  conversation.headSent = true;
  conversation.upstreamPersists = head.persistent && head.framing !== UNTIL_CLOSE;
  // An answer before the body's end: the client may stop in the middle of it, or never begin when it waits for a 100.
  conversation.persists = conversation.clientPersists && !endsWithConnection && requestBody.done && !service.draining;
  const statusClass = Math.floor(head.status / 100);
  service.counters.responses[statusClass] = (service.counters.responses[statusClass] as number) + 1;
  if (statusClass === 5) service.pool.badly(backend, `status ${head.status}`);
  else service.pool.well(backend);
  const connection = conversation.persists ? (clientMinor === 0 ? "keep-alive" : undefined) : "close";
  forwardResponse(bytes, head, { connection, dechunk }, wire);
  beginBody(conversation.responseBody, head.framing, head.contentLength, dechunk);
}

function receiveBody(conversation: Conversation, backend: Backend, bytes: Buffer, from: number): void {
  const end = feedBody(conversation.responseBody, bytes, from, toClient, conversation);
  if (end === BROKEN) {
    cutOffBy(conversation, backend);
    return;
  }
  if (!conversation.responseBody.done) return;
  // Bytes behind the answer belong to no request: whoever came next would get them.
  if (end < bytes.length) conversation.upstreamPersists = false;
  complete(conversation);
}

function toClient(conversation: Conversation, bytes: Buffer, from: number, to: number): void {
  stage(conversation.wire, bytes, from, to);
}

/** The backend has sent its last byte, after the answer began. */
export function endedAnswering(conversation: Conversation, upstream: Upstream): void {
  const { responseBody, headSent } = conversation;
  if (!headSent) {
    failBy(conversation, upstream.backend, 502, "closed within the response's head");
    return;
  }
  if (responseBody.framing !== UNTIL_CLOSE) {
    cutOffBy(conversation, upstream.backend);
    return;
  }
  responseBody.done = true;
  complete(conversation);
}

/** The connection broke after the answer began. */
export function closedAnswering(conversation: Conversation, upstream: Upstream): void {
  if (conversation.headSent) {
    cutOffBy(conversation, upstream.backend);
    return;
  }
  failBy(conversation, upstream.backend, 502, "connection lost within the response's head");
}

// 101: from here on the bytes are the two ends' own, in both directions.
function switchProtocols(conversation: Conversation, upstream: Upstream, bytes: Buffer): void {
  const { wire, service, surroundings, timeout, input } = conversation;
  if (!conversation.upgrade || !conversation.requestBody.done || !head.upgrade) {
    failBy(conversation, upstream.backend, 502, "switched to a protocol nobody asked for");
    return;
  }
  conversation.phase = TUNNEL;
  service.pool.well(upstream.backend);
  conversation.headSent = true;
  conversation.input = undefined;
  service.counters.responses[1] = (service.counters.responses[1] as number) + 1;
  surroundings.wheel.disarm(timeout);
  forwardResponse(bytes, head, { connection: "upgrade", dechunk: false }, wire);
  stage(wire, bytes, head.end, bytes.length);
  if (input !== undefined) stage(upstream.wire, input, 0, input.length);
  const { counters } = upstream.backend;
  join(wire, upstream.wire, {
    wheel: surroundings.wheel,
    idleMs: service.spec.timeouts.tunnelMs,
    halfClosedMs: service.spec.timeouts.halfClosedMs,
    onIn: (count) => {
      counters.bytesIn += count;
    },
    onOut: (count) => {
      counters.bytesOut += count;
    },
  });
  if (conversation.halfClosed) upstream.wire.end();
}
