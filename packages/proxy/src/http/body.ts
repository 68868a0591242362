import { afterExtensionByte, EXTENSION_BROKEN, EXTENSION_START, mayEndExtension } from "./chunk-extension.ts";
import * as h from "./head.ts";
import { COMPLETE, NEED_MORE, parseFields } from "./parse-fields.ts";
import { CR, equalsWord, HEX_VALUE, LF, SEMICOLON } from "./tables.ts";

/** Chunk extensions of one message; they are dropped, so anything long can only be an attack (CVE-2024-22019). */
const EXTENSION_BYTES_MAX = 4 * 1024;
/** Trailers of one message, held until they are whole. */
const TRAILER_BYTES_MAX = 4 * 1024;
/** 13 hex digits stay below 2^53. */
const SIZE_DIGITS_MAX = 13;

const SIZE = 0;
const EXTENSION = 1;
const SIZE_LF = 2;
const DATA = 3;
const DATA_CR = 4;
const DATA_LF = 5;
const TRAILER = 6;

/**
 * Where a message's body ends. The bytes themselves pass through untouched, but for chunk extensions, which are left
 * out, and for the framing, which is left out when `decode` is set (a chunked answer to an HTTP/1.0 client).
 */
export interface Body {
  framing: number;
  decode: boolean;
  done: boolean;
  /** Why `feedBody` returned BROKEN. */
  problem: string;
  /** Bytes left of the body, or of the present chunk. */
  remaining: number;
  state: number;
  digits: number;
  extension: number;
  extensionBytes: number;
  trailer: Buffer | undefined;
}

/** The sender broke the framing: nothing behind this point can be trusted. */
export const BROKEN = -1;

const trailerHead = h.createHead();

export function createBody(): Body {
  return {
    framing: h.NO_BODY,
    decode: false,
    done: true,
    problem: "",
    remaining: 0,
    state: SIZE,
    digits: 0,
    extension: EXTENSION_START,
    extensionBytes: 0,
    trailer: undefined,
  };
}

export function beginBody(body: Body, framing: number, length: number, decode: boolean): void {
  body.framing = framing;
  body.decode = decode;
  body.remaining = framing === h.BY_LENGTH ? length : 0;
  body.done = framing === h.NO_BODY || (framing === h.BY_LENGTH && length === 0);
  body.problem = "";
  body.state = SIZE;
  body.digits = 0;
  body.extensionBytes = 0;
  body.trailer = undefined;
}

/** Takes `bytes[from, to)` to send on. */
export type Emit<T> = (target: T, bytes: Buffer, from: number, to: number) => void;

/**
 * Feeds `bytes` from `from` on, giving what belongs to the body to `emit`. Returns the offset behind the body's last
 * byte (the end of `bytes` while the body goes on), or BROKEN.
 */
export function feedBody<T>(body: Body, bytes: Buffer, from: number, emit: Emit<T>, target: T): number {
  if (body.done) return from;
  switch (body.framing) {
    case h.BY_LENGTH: {
      const to = Math.min(bytes.length, from + body.remaining);
      body.remaining -= to - from;
      body.done = body.remaining === 0;
      emitRange(bytes, from, to, emit, target);
      return to;
    }
    case h.CHUNKED:
      return feedChunked(body, bytes, from, emit, target);
    default:
      emitRange(bytes, from, bytes.length, emit, target);
      return bytes.length;
  }
}

function emitRange<T>(bytes: Buffer, from: number, to: number, emit: Emit<T>, target: T): void {
  if (from < to) emit(target, bytes, from, to);
}

function feedChunked<T>(body: Body, bytes: Buffer, from: number, emit: Emit<T>, target: T): number {
  let pos = from;
  // The range to emit begins at `run`; everything before it was emitted or left out.
  let run = from;
  while (pos < bytes.length) {
    if (body.state === DATA) {
      const to = Math.min(bytes.length, pos + body.remaining);
      if (body.decode) emitRange(bytes, pos, to, emit, target);
      body.remaining -= to - pos;
      pos = to;
      if (body.remaining === 0) body.state = DATA_CR;
    } else if (body.state === TRAILER) {
      if (body.trailer === undefined && bytes[pos] === CR && bytes[pos + 1] === LF) {
        body.done = true;
        pos += 2;
        break;
      }
      if (!body.decode) emitRange(bytes, run, pos, emit, target);
      return feedTrailer(body, bytes, pos, emit, target);
    } else {
      const byte = bytes[pos] as number;
      if (body.state === SIZE && byte === SEMICOLON && body.digits > 0) {
        if (!body.decode) emitRange(bytes, run, pos, emit, target);
        body.state = EXTENSION;
        body.extension = EXTENSION_START;
      } else if (body.state === EXTENSION && byte === CR && mayEndExtension(body.extension)) {
        run = pos;
        body.state = SIZE_LF;
      } else if (!step(body, byte)) return BROKEN;
      pos++;
    }
  }
  if (!body.decode && body.state !== EXTENSION) emitRange(bytes, run, pos, emit, target);
  return pos;
}

// One byte of chunk framing. False when it may not stand there.
function step(body: Body, byte: number): boolean {
  switch (body.state) {
    case SIZE: {
      if (byte === CR && body.digits > 0) {
        body.state = SIZE_LF;
        return true;
      }
      const value = HEX_VALUE[byte] as number;
      if (value === 255 || ++body.digits > SIZE_DIGITS_MAX) return broken(body, "malformed chunk size");
      body.remaining = body.remaining * 16 + value;
      return true;
    }
    case EXTENSION:
      body.extension = afterExtensionByte(body.extension, byte);
      if (body.extension === EXTENSION_BROKEN) return broken(body, "malformed chunk extension");
      return ++body.extensionBytes <= EXTENSION_BYTES_MAX || broken(body, "chunk extensions too long");
    case SIZE_LF:
      if (byte !== LF) return broken(body, "chunk size not followed by CRLF");
      body.digits = 0;
      body.state = body.remaining === 0 ? TRAILER : DATA;
      return true;
    case DATA_CR:
      if (byte !== CR) return broken(body, "chunk not followed by CRLF");
      body.state = DATA_LF;
      return true;
    default:
      if (byte !== LF) return broken(body, "chunk not followed by CRLF");
      body.state = SIZE;
      return true;
  }
}

function broken(body: Body, problem: string): false {
  body.problem = problem;
  return false;
}

// Trailers are rare and short: held until they are whole, so that a forbidden one stops the message's end.
function feedTrailer<T>(body: Body, bytes: Buffer, from: number, emit: Emit<T>, target: T): number {
  const heldBefore = body.trailer?.length ?? 0;
  const rest = bytes.subarray(from);
  const all = body.trailer === undefined ? rest : Buffer.concat([body.trailer, rest]);
  const verdict = parseFields(all, 0, Math.min(all.length, TRAILER_BYTES_MAX), trailerHead);
  if (verdict === NEED_MORE && all.length < TRAILER_BYTES_MAX) {
    body.trailer = Buffer.from(all);
    return bytes.length;
  }
  if (verdict !== COMPLETE) {
    body.problem = verdict === NEED_MORE ? "trailers too long" : "malformed trailer";
    return BROKEN;
  }
  for (let line = 0; line < trailerHead.count; line++) {
    if (!isForbiddenTrailer(all, line)) continue;
    body.problem = "forbidden trailer";
    return BROKEN;
  }
  body.trailer = undefined;
  body.done = true;
  if (!body.decode) emitRange(all, 0, trailerHead.end, emit, target);
  return from + trailerHead.end - heldBefore;
}

const FORBIDDEN_TRAILERS: readonly string[] = [
  "authorization",
  "proxy-authorization",
  "cookie",
  "set-cookie",
  "expect",
  "range",
  "trailer",
  "content-encoding",
  "content-range",
  "content-type",
  "cache-control",
  "forwarded",
];

// Framing, routing and authentication must stand in the head, where they were judged (RFC 9110 §6.5.1).
function isForbiddenTrailer(bytes: Buffer, line: number): boolean {
  if (trailerHead.kinds[line] !== h.OTHER) return true;
  const start = h.nameStart(trailerHead, line);
  const end = h.nameEnd(trailerHead, line);
  return FORBIDDEN_TRAILERS.some((name) => equalsWord(bytes, start, end, name));
}
