/** A head with more bytes than this is refused with 431 (414 when it is the target that is long), as node:http does. */
export const HEAD_BYTES_MAX = 16 * 1024;

/** More header lines than this are refused, as HAProxy does at 101. */
export const HEADERS_MAX = 100;

/** Header names the proxy itself looks at; every other line is passed on unread. */
export const OTHER = 0;
export const HOST_HEADER = 1;
export const CONNECTION = 2;
export const KEEP_ALIVE = 3;
export const CONTENT_LENGTH = 4;
export const TRANSFER_ENCODING = 5;
export const TE = 6;
export const UPGRADE = 7;
export const EXPECT = 8;
export const PROXY_CONNECTION = 9;
export const HTTP2_SETTINGS = 10;
export const X_FORWARDED_FOR = 11;
export const X_FORWARDED_PROTO = 12;

/** Their names. No two are alike in both length and first letter: parse-fields.ts tells them apart by these. */
export const KNOWN_NAMES: ReadonlyMap<string, number> = new Map([
  ["host", HOST_HEADER],
  ["connection", CONNECTION],
  ["keep-alive", KEEP_ALIVE],
  ["content-length", CONTENT_LENGTH],
  ["transfer-encoding", TRANSFER_ENCODING],
  ["te", TE],
  ["upgrade", UPGRADE],
  ["expect", EXPECT],
  ["proxy-connection", PROXY_CONNECTION],
  ["http2-settings", HTTP2_SETTINGS],
  ["x-forwarded-for", X_FORWARDED_FOR],
  ["x-forwarded-proto", X_FORWARDED_PROTO],
]);

/** How a message's body ends. */
export const NO_BODY = 0;
export const BY_LENGTH = 1;
export const CHUNKED = 2;
export const UNTIL_CLOSE = 3;

/** Methods the proxy treats by name. */
export const OTHER_METHOD = 0;
export const GET = 1;
export const HEAD = 2;
export const OPTIONS = 3;
export const CONNECT = 4;
export const TRACE = 5;

/**
 * What a parse found: offsets into the bytes it was given, never copies. One is reused for every message, so whatever
 * must outlive the event that parsed it is copied out.
 */
export interface Head {
  /** The first byte of the start line, and the one behind the blank line. */
  start: number;
  end: number;
  /** Where the header lines begin. */
  linesStart: number;
  minor: 0 | 1;
  method: number;
  methodEnd: number;
  targetStart: number;
  targetEnd: number;
  /** Responses: the status, and where its digits begin. 0 in a request. */
  status: number;
  statusStart: number;
  count: number;
  /** Four numbers a line: name start and end, value start and end. */
  readonly offsets: Int32Array;
  readonly kinds: Uint8Array;
  /** The lines whose kind is not OTHER, in their order. */
  readonly known: Uint8Array;
  knownCount: number;
  /** How many Host lines there are, and the last one's number. */
  hosts: number;
  hostLine: number;
  framing: number;
  contentLength: number;
  /** The sender will take, or send, another message on this connection. */
  persistent: boolean;
  /** A WebSocket upgrade is asked for (request) or granted (response). */
  upgrade: boolean;
  expectsContinue: boolean;
  /** Connection names headers beside close, keep-alive and upgrade. */
  namesHeaders: boolean;
  /** What is wrong, for the refusal's reason. */
  problem: string;
}

export function createHead(): Head {
  return {
    start: 0,
    end: 0,
    linesStart: 0,
    minor: 1,
    method: OTHER_METHOD,
    methodEnd: 0,
    targetStart: 0,
    targetEnd: 0,
    status: 0,
    statusStart: 0,
    count: 0,
    offsets: new Int32Array(HEADERS_MAX * 4),
    kinds: new Uint8Array(HEADERS_MAX),
    known: new Uint8Array(HEADERS_MAX),
    knownCount: 0,
    hosts: 0,
    hostLine: -1,
    framing: NO_BODY,
    contentLength: 0,
    persistent: true,
    upgrade: false,
    expectsContinue: false,
    namesHeaders: false,
    problem: "",
  };
}

export function nameStart(head: Head, line: number): number {
  return head.offsets[line * 4] as number;
}

export function nameEnd(head: Head, line: number): number {
  return head.offsets[line * 4 + 1] as number;
}

export function valueStart(head: Head, line: number): number {
  return head.offsets[line * 4 + 2] as number;
}

export function valueEnd(head: Head, line: number): number {
  return head.offsets[line * 4 + 3] as number;
}

/** The first byte of the next line: of the blank one after the last. */
export function lineEnd(head: Head, line: number): number {
  return line + 1 < head.count ? nameStart(head, line + 1) : head.end - 2;
}
