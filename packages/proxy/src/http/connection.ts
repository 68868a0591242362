import type { Opening } from "../opening.ts";
import type { Client, Service, Surroundings } from "../service.ts";
import { flushStage } from "../stage.ts";
import { createTimeout } from "../timer-wheel.ts";
import type { UpstreamOwner } from "../upstream.ts";
import type { Wire } from "../wire.ts";
import { admitted } from "./admission.ts";
import {
  closedUnanswered,
  connected,
  endedUnanswered,
  PIPELINED_BYTES_MAX,
  resumeRequest,
  sendBody,
  startExchange,
} from "./attempt.ts";
import { BROKEN, beginBody, feedBody } from "./body.ts";
import {
  CLOSING,
  type Conversation,
  createConversation,
  EXCHANGING,
  IDLE,
  READING_HEAD,
  TUNNEL,
} from "./conversation.ts";
import { closeGently, dropExchange, fail } from "./finish.ts";
import { createHead, GET, HEAD, HEAD_BYTES_MAX, NO_BODY, OPTIONS } from "./head.ts";
import { letGo } from "./held.ts";
import { COMPLETE, NEED_MORE } from "./parse-fields.ts";
import { parseRequest, requestStart } from "./parse-request.ts";
import { closedAnswering, endedAnswering, receive } from "./response.ts";
import { LF } from "./tables.ts";
import { timedOut } from "./timed-out.ts";

/** How often a client that ended its side is looked at: nothing is read of it any more, so nothing tells that it is gone. */
const HALF_CLOSED_LOOK_MS = 500;
/** The first byte of a TLS record: a client that wants TLS does not understand an HTTP answer. */
const TLS_HANDSHAKE = 0x16;

const head = createHead();

/** Speaks HTTP/1 with one client until its connection ends. */
export function serveHttp(wire: Wire, service: Service, surroundings: Surroundings, opening: Opening): Client {
  const timeout = createTimeout(() => timedOut(conversation));
  const owner: UpstreamOwner = {
    upstreamConnected: () => connected(conversation),
    upstreamData: (bytes) => {
      if (conversation.upstream !== undefined) receive(conversation, conversation.upstream, bytes);
    },
    upstreamEnded: () => upstreamEnded(conversation),
    upstreamClosed: (error) => upstreamClosed(conversation, error),
    upstreamDrained: () => progress(conversation, () => resumeRequest(conversation)),
  };
  const conversation = createConversation(wire, service, surroundings, timeout, owner, opening.ends);
  let reading = false;

  // Requests are taken up in a loop, never by recursion: a thousand pipelined ones must not deepen the stack.
  conversation.next = () => {
    if (reading) return;
    reading = true;
    while (readRequest(conversation));
    reading = false;
    const waiting = conversation.phase === IDLE || conversation.phase === READING_HEAD;
    if (waiting && conversation.halfClosed) closeGently(conversation);
    else if (conversation.phase !== CLOSING) resumeRequest(conversation);
  };

  const gone = createTimeout(() => {
    if (conversation.phase !== EXCHANGING) return;
    // A client that is not there any more resets the connection on the first bytes it is sent.
    if (!wire.needsDrain) wire.probe(() => undefined);
    if (!wire.destroyed) surroundings.wheel.arm(gone, HALF_CLOSED_LOOK_MS);
  });

  wire.owner = {
    wireData: (bytes) => clientData(conversation, bytes),
    wireEnded() {
      conversation.halfClosed = true;
      if (conversation.phase !== EXCHANGING) closeGently(conversation);
      // A client may end its side behind its last request, and is served; in the middle of one it may not.
      else if (conversation.requestBody.done) surroundings.wheel.arm(gone, HALF_CLOSED_LOOK_MS);
      else endedEarly(conversation);
    },
    wireDrained: () => progress(conversation, () => conversation.upstream?.wire.resume()),
    wireClosed() {
      surroundings.wheel.disarm(gone);
      clientClosed(conversation);
      service.clients.delete(client);
    },
  };
  const client: Client = {
    isBusy: () =>
      (conversation.phase !== IDLE && conversation.phase !== CLOSING) ||
      // An answer's last bytes still wait for the client to read.
      wire.needsDrain,
    destroy: () => wire.destroy(),
  };
  service.clients.add(client);
  surroundings.wheel.arm(timeout, service.spec.timeouts.keepAliveMs);
  wire.resume();
  if (opening.early !== undefined) clientData(conversation, opening.early);
  return client;
}

function clientData(conversation: Conversation, chunk: Buffer): void {
  if (conversation.phase === CLOSING) return;
  if (conversation.phase === EXCHANGING) {
    duringExchange(conversation, chunk);
    return;
  }
  conversation.input = conversation.input === undefined ? chunk : Buffer.concat([conversation.input, chunk]);
  // Without a line's end no head can have become complete or long enough to refuse.
  if (conversation.phase === READING_HEAD && conversation.input.length < HEAD_BYTES_MAX && !chunk.includes(LF)) {
    keepInput(conversation, chunk);
    return;
  }
  conversation.next();
  keepInput(conversation, chunk);
}

// What is not used by the end of the event would be overwritten by the next one.
function keepInput(conversation: Conversation, chunk: Buffer): void {
  const { input } = conversation;
  if (input !== undefined && input.buffer === chunk.buffer) conversation.input = Buffer.from(input);
}

function duringExchange(conversation: Conversation, chunk: Buffer): void {
  let rest = chunk;
  if (!conversation.requestBody.done) {
    const end = feedRequest(conversation, chunk, 0);
    if (end === BROKEN || end === chunk.length) return;
    rest = chunk.subarray(end);
  }
  conversation.input = conversation.input === undefined ? Buffer.from(rest) : Buffer.concat([conversation.input, rest]);
  if (conversation.input.length >= PIPELINED_BYTES_MAX) conversation.wire.pause();
}

function feedRequest(conversation: Conversation, bytes: Buffer, from: number): number {
  const { requestBody, surroundings, timeout, service } = conversation;
  if (conversation.waiter === undefined) surroundings.wheel.arm(timeout, service.spec.timeouts.serverMs);
  const end = feedBody(requestBody, bytes, from, sendBody, conversation);
  if (end === BROKEN) {
    const tooLong = requestBody.problem.endsWith("too long");
    fail(conversation, tooLong ? 413 : 400, requestBody.problem);
    return end;
  }
  flushStage();
  if (conversation.upstream?.wire.needsDrain === true) conversation.wire.pause();
  return end;
}

/** Takes one request from `input`. True when another may be waiting behind it. */
function readRequest(conversation: Conversation): boolean {
  const { input, service, surroundings, timeout } = conversation;
  if (input === undefined || (conversation.phase !== IDLE && conversation.phase !== READING_HEAD)) return false;
  const start = requestStart(input);
  if (start === undefined) return false;
  if (input[start] === TLS_HANDSHAKE) {
    conversation.wire.destroy();
    return false;
  }
  const verdict = parseRequest(input, start, head);
  if (verdict === NEED_MORE) {
    if (conversation.phase === IDLE) surroundings.wheel.arm(timeout, service.spec.timeouts.clientHeadMs);
    conversation.phase = READING_HEAD;
    return false;
  }
  if (verdict !== COMPLETE) {
    conversation.toHead = false;
    fail(conversation, verdict, head.problem);
    return false;
  }
  beginRequest(conversation, input);
  return true;
}

function beginRequest(conversation: Conversation, input: Buffer): void {
  const { requestBody, service } = conversation;
  const { end, method, framing } = head;
  conversation.phase = EXCHANGING;
  conversation.toHead = method === HEAD;
  conversation.idempotent = framing === NO_BODY && (method === GET || method === HEAD || method === OPTIONS);
  conversation.clientMinor = head.minor;
  conversation.clientPersists = head.persistent;
  conversation.expectsContinue = head.expectsContinue;
  conversation.upgrade = head.upgrade;
  service.counters.requests++;
  beginBody(requestBody, framing, head.contentLength, false);
  const bodyBehind = !requestBody.done && end < input.length;
  conversation.input = end < input.length && !bodyBehind ? input.subarray(end) : undefined;
  if (admitted(conversation)) startExchange(conversation, input, head);
  if (bodyBehind && conversation.phase === EXCHANGING) {
    const bodyEnd = feedRequest(conversation, input, end);
    if (bodyEnd !== BROKEN && bodyEnd < input.length) conversation.input = input.subarray(bodyEnd);
  }
  if (conversation.halfClosed && conversation.phase === EXCHANGING && !requestBody.done) endedEarly(conversation);
}

function endedEarly(conversation: Conversation): void {
  fail(conversation, 400, "the request's body ended early");
}

function upstreamEnded(conversation: Conversation): void {
  const { upstream } = conversation;
  if (upstream === undefined || conversation.phase === TUNNEL) return;
  if (conversation.answered) endedAnswering(conversation, upstream);
  else endedUnanswered(conversation, upstream);
}

function upstreamClosed(conversation: Conversation, error: NodeJS.ErrnoException | undefined): void {
  const { upstream } = conversation;
  // In a tunnel the joined sockets close each other.
  if (upstream === undefined || conversation.phase === TUNNEL) return;
  if (conversation.answered) closedAnswering(conversation, upstream);
  else closedUnanswered(conversation, upstream, error);
}

function clientClosed(conversation: Conversation): void {
  conversation.surroundings.wheel.disarm(conversation.timeout);
  // The tunnel still brings its last bytes to the backend, then closes on its own.
  if (conversation.phase === TUNNEL) conversation.upstream = undefined;
  dropExchange(conversation);
  conversation.phase = CLOSING;
  conversation.input = undefined;
  letGo(conversation.held);
}

// Bytes left one side's buffer: nobody is stuck.
function progress(conversation: Conversation, then: () => void): void {
  if (conversation.phase !== EXCHANGING) return;
  // Who waits for room waits no longer than for that.
  if (conversation.waiter === undefined)
    conversation.surroundings.wheel.arm(conversation.timeout, conversation.service.spec.timeouts.serverMs);
  then();
}
