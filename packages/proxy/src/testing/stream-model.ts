import { type Body, BROKEN, beginBody, createBody, feedBody } from "../http/body.ts";
import { forwardRequest, forwardResponse } from "../http/forward.ts";
import { createHead, type Head, UNTIL_CLOSE } from "../http/head.ts";
import { DEFAULT_ORIGIN } from "../http/origin.ts";
import { COMPLETE, NEED_MORE } from "../http/parse-fields.ts";
import { parseRequest, requestStart } from "../http/parse-request.ts";
import { parseResponse } from "../http/parse-response.ts";
import { flushStage, type Receiver } from "../stage.ts";

/** A whole message of a byte stream; the body is decoded. Text is latin1. */
export interface StreamMessage {
  /** Method and target, or the status. */
  readonly line: string;
  readonly body: string;
}

/** What a parser made of a byte stream. */
export interface StreamReading {
  readonly messages: readonly StreamMessage[];
  /** `open`: in wait for more. `last`: a message ended the stream, the rest is unread. `refused`: it was ambiguous. */
  readonly end: "open" | "last" | "refused";
  readonly problem: string;
  /** What goes to the other side. */
  readonly sent: string;
}

/** Parser, body decoder and forwarding together, without connections: what fuzzers and properties run. */
export interface StreamModel {
  readRequests(pieces: readonly Buffer[]): StreamReading;
  /** As answers to GET; `closed`: the connection ended behind the last piece. */
  readResponses(pieces: readonly Buffer[], closed: boolean): StreamReading;
}

interface Direction {
  parse(bytes: Buffer, head: Head): number;
  forward(bytes: Buffer, head: Head, to: Receiver): void;
  line(bytes: Buffer, head: Head): string;
  isLast(head: Head): boolean;
  skips(head: Head): boolean;
}

const REQUEST_EDITS = {
  host: undefined,
  fallbackHost: "backend.test",
  origin: { spec: DEFAULT_ORIGIN, trusted: true, clientAddress: undefined, requestId: undefined },
};
const RESPONSE_EDITS = { connection: undefined, dechunk: false };

const requests: Direction = {
  parse(bytes, head) {
    const start = requestStart(bytes);
    return start === undefined ? NEED_MORE : parseRequest(bytes, start, head);
  },
  forward: (bytes, head, to) => void forwardRequest(bytes, head, REQUEST_EDITS, to),
  line: (bytes, { start, targetEnd }) => bytes.toString("latin1", start, targetEnd),
  isLast: (head) => !head.persistent || head.upgrade,
  skips: () => false,
};

const responses: Direction = {
  parse: (bytes, head) => parseResponse(bytes, 0, head, false),
  forward: (bytes, head, to) => void forwardResponse(bytes, head, RESPONSE_EDITS, to),
  line: (_, head) => String(head.status),
  isLast: (head) => head.status >= 200 && !head.persistent,
  skips: (head) => head.status === 101,
};

export const streamModel: StreamModel = {
  readRequests: (pieces) => read(requests, pieces, false),
  readResponses: (pieces, closed) => read(responses, pieces, closed),
};

function read(direction: Direction, pieces: readonly Buffer[], closed: boolean): StreamReading {
  const messages: StreamMessage[] = [];
  const head = createHead();
  const raw = createBody();
  const decoded = createBody();
  let sent = "";
  let body = "";
  let line: string | undefined;
  let input: Buffer = Buffer.alloc(0);
  let last = false;
  const receiver: Receiver = {
    send(memory, length) {
      sent += memory.bytes.toString("latin1", 0, length);
      return false;
    },
  };
  const end = (how: StreamReading["end"], problem = ""): StreamReading => ({ messages, end: how, problem, sent });

  // One step of what a conversation does with its input; undefined when more is needed.
  function step(): StreamReading | "again" | undefined {
    if (line === undefined) {
      const verdict = direction.parse(input, head);
      if (verdict === NEED_MORE) return undefined;
      if (verdict !== COMPLETE) return end("refused", head.problem);
      if (direction.skips(head)) return end("last");
      line = direction.line(input, head);
      last = direction.isLast(head);
      body = "";
      direction.forward(input, head, receiver);
      flushStage();
      for (const each of [raw, decoded]) beginBody(each, head.framing, head.contentLength, each === decoded);
      input = input.subarray(head.end);
    }
    const used = feed(raw, (text) => {
      sent += text;
    });
    if (used === BROKEN) return end("refused", raw.problem);
    feed(decoded, (text) => {
      body += text;
    });
    input = input.subarray(used);
    if (!raw.done) return undefined;
    messages.push({ line, body });
    line = undefined;
    return last ? end("last") : "again";
  }

  function feed(into: Body, take: (text: string) => void): number {
    return feedBody(into, input, 0, (_, bytes, from, to) => take(bytes.toString("latin1", from, to)), undefined);
  }

  for (const piece of pieces) {
    input = Buffer.concat([input, piece]);
    for (let next = step(); next !== undefined; next = step()) if (next !== "again") return next;
  }
  if (closed && line !== undefined && raw.framing === UNTIL_CLOSE) {
    messages.push({ line, body });
    return end("last");
  }
  return end("open");
}
