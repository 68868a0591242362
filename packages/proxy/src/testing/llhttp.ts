import { createRequire } from "node:module";
import type { StreamMessage } from "./stream-model.ts";

// Node's own parser is C; this is the way to it that node:http takes, too.
interface NativeParser {
  initialize(kind: number, resource: object): void;
  execute(bytes: Buffer): number | Error;
  finish(): undefined | Error;
  [callback: number]: unknown;
}
interface NativeParserClass {
  new (): NativeParser;
  readonly REQUEST: number;
  readonly RESPONSE: number;
  readonly kOnHeadersComplete: number;
  readonly kOnBody: number;
  readonly kOnMessageComplete: number;
}
const { HTTPParser, methods } = createRequire(import.meta.url)("_http_common") as {
  readonly HTTPParser: NativeParserClass;
  readonly methods: readonly string[];
};

export const METHODS_OF_LLHTTP: ReadonlySet<string> = new Set(methods);

export interface LlhttpReading {
  readonly messages: readonly StreamMessage[];
  /** A message's head is complete, its body is not. */
  readonly unfinished: boolean;
  /** Behind an upgrade it reads nothing. */
  readonly upgraded: boolean;
  readonly error: string | undefined;
}

/** What the parser is told at the end of a head that no body follows. */
const SKIP_BODY = 1;

const parser = new HTTPParser();

type HeadersComplete = [
  major: number,
  minor: number,
  headers: string[],
  method: number,
  url: string,
  status: number,
  text: string,
  upgrade: boolean,
];

/** The messages of a byte stream as llhttp finds them, in its strict mode. `closed`: the connection ended behind it. */
export function readByLlhttp(bytes: Buffer, kind: "requests" | "responses", closed = false): LlhttpReading {
  const messages: StreamMessage[] = [];
  let line: string | undefined;
  let body = "";
  let upgraded = false;
  parser.initialize(kind === "requests" ? HTTPParser.REQUEST : HTTPParser.RESPONSE, {});
  parser[HTTPParser.kOnHeadersComplete] = (...args: HeadersComplete): number => {
    const [, , , method, url, status, , upgrade] = args;
    line = kind === "requests" ? `${methods[method]} ${url}` : String(status);
    body = "";
    upgraded = upgrade;
    // As node:http's client tells it: an interim answer has no body, whatever its headers say (RFC 9112 §6.3).
    return kind === "responses" && status >= 100 && status < 200 && status !== 101 ? SKIP_BODY : 0;
  };
  parser[HTTPParser.kOnBody] = (part: Buffer): void => {
    body += part.toString("latin1");
  };
  parser[HTTPParser.kOnMessageComplete] = (): void => {
    if (line !== undefined) messages.push({ line, body });
    line = undefined;
  };
  const result = parser.execute(bytes);
  const ended = closed && typeof result === "number" ? parser.finish() : undefined;
  const failure = result instanceof Error ? result : ended;
  const { code, reason } = (failure ?? {}) as { readonly code?: string; readonly reason?: string };
  const error = code === undefined ? undefined : `${code} ${reason}`;
  return { messages, unfinished: line !== undefined, upgraded, error };
}
