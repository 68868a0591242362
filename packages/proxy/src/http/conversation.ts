import type { Backend } from "../backend.ts";
import { NO_HASH } from "../balance/balance.ts";
import { type Ends, plainAddress } from "../ends.ts";
import type { Waiter } from "../queue.ts";
import type { Service, Surroundings } from "../service.ts";
import type { Timeout } from "../timer-wheel.ts";
import { UNTIMED } from "../timing.ts";
import type { Upstream, UpstreamOwner } from "../upstream.ts";
import type { Wire } from "../wire.ts";
import { type Body, createBody } from "./body.ts";
import { createHeld, type Held } from "./held.ts";
import { DEFAULT_ORIGIN, type Origin } from "./origin.ts";

/** Waiting for a request. */
export const IDLE = 0;
/** A request's head has begun. */
export const READING_HEAD = 1;
/** A request is at a backend. */
export const EXCHANGING = 2;
/** Upgraded: bytes pass both ways. */
export const TUNNEL = 3;
/** Answered for the last time; what still comes in is thrown away. */
export const CLOSING = 4;

/**
 * Everything known of one client's HTTP connection and of the one request running on it. A plain record, written by the
 * functions of this folder: connection.ts reads requests, attempt.ts brings them to a backend, response.ts brings the
 * answer back, finish.ts ends the exchange. Pipelined requests wait in `input`.
 */
export interface Conversation {
  readonly wire: Wire;
  readonly service: Service;
  readonly surroundings: Surroundings;
  /** Who a PROXY protocol header said the client is; undefined: its connection knows. */
  readonly ends: Ends | undefined;
  /** What backends are told of the running request's origin. */
  origin: Origin;
  /** One timeout, whose meaning is the phase's. */
  readonly timeout: Timeout;
  /** Takes up the next request in `input`; set by connection.ts. */
  next: () => void;
  owner: UpstreamOwner;
  phase: number;
  /** The client has sent its FIN: it may still read. */
  halfClosed: boolean;
  /** Bytes read from the client and not yet used; within the event that read them they may lie in the read memory. */
  input: Buffer | undefined;

  readonly requestBody: Body;
  idempotent: boolean;
  toHead: boolean;
  clientMinor: 0 | 1;
  clientPersists: boolean;
  expectsContinue: boolean;
  upgrade: boolean;
  /** What another attempt would need. */
  readonly held: Held;
  attempts: number;
  readonly tried: Backend[];
  startedMs: number;
  /** Of what the request is balanced by, and of the client's address once that was asked for. */
  hash: number;
  sourceHash: number | undefined;
  /** Whom the client counts as; set when that is asked for. */
  source: string | undefined;
  /** Monotonic: when the backend was asked; UNTIMED where nobody wants to know. */
  askedMs: number;

  /** Set while no backend has room for the request. */
  waiter: Waiter | undefined;
  backend: Backend | undefined;
  upstream: Upstream | undefined;
  /** A first byte of the answer has come. */
  answered: boolean;
  /** The connection ended in order before an answer: waiting whether a reset follows. */
  doubtful: boolean;
  /** The final response's head was sent on. */
  headSent: boolean;
  interims: number;
  /** A response head that has not come whole. */
  partial: Buffer | undefined;
  readonly responseBody: Body;
  /** After this exchange: may the upstream, and the client's connection, be used again? */
  upstreamPersists: boolean;
  persists: boolean;
}

export function createConversation(
  wire: Wire,
  service: Service,
  surroundings: Surroundings,
  timeout: Timeout,
  owner: UpstreamOwner,
  ends: Ends | undefined,
): Conversation {
  return {
    ends,
    wire,
    service,
    surroundings,
    origin: {
      spec: DEFAULT_ORIGIN,
      trusted: true,
      clientAddress: addressBytes(ends?.source.address ?? wire.peer()),
      requestId: undefined,
    },
    timeout,
    next: () => undefined,
    owner,
    phase: IDLE,
    halfClosed: false,
    input: undefined,
    requestBody: createBody(),
    idempotent: false,
    toHead: false,
    clientMinor: 1,
    clientPersists: true,
    expectsContinue: false,
    upgrade: false,
    held: createHeld(),
    attempts: 0,
    tried: [],
    startedMs: 0,
    hash: NO_HASH,
    sourceHash: undefined,
    source: undefined,
    askedMs: UNTIMED,
    waiter: undefined,
    backend: undefined,
    upstream: undefined,
    answered: false,
    doubtful: false,
    headSent: false,
    interims: 0,
    partial: undefined,
    responseBody: createBody(),
    upstreamPersists: false,
    persists: true,
  };
}

function addressBytes(address: string | undefined): Uint8Array | undefined {
  if (address === undefined) return undefined;
  return Buffer.from(plainAddress(address), "latin1");
}
