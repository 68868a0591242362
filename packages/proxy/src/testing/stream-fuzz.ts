import type { Random } from "@smartstack/core";
import { type LlhttpReading, METHODS_OF_LLHTTP, readByLlhttp } from "./llhttp.ts";
import { madeStream, mutate, randomPieces } from "./stream-grammar.ts";
import type { StreamMessage, StreamModel, StreamReading } from "./stream-model.ts";

/** A stream that the parser reads wrongly, and how. */
export interface Finding {
  readonly what: string;
  readonly kind: "requests" | "responses";
  readonly stream: string;
}

/** Makes one stream, reads it in every way that must agree, and tells the first disagreement. */
export function fuzzOnce(model: StreamModel, random: Random): Finding | undefined {
  const kind = random() < 0.7 ? "requests" : "responses";
  const made = madeStream(kind, random);
  const valid = random() < 0.2;
  const bytes = valid ? Buffer.from(made.text, "latin1") : mutate(made.text, random);
  const stream = bytes.toString("latin1");
  const what =
    disagreement(model, kind, bytes, randomPieces(bytes, random)) ??
    (valid ? missing(read(model, kind, [bytes]), made.messages) : undefined);
  return what === undefined ? undefined : { what, kind, stream };
}

/**
 * What is wrong with the reading of a stream. llhttp may refuse less and so read on where we stopped; what we take for
 * a message it has to take for the same one, in what came as in what we send on.
 */
export function disagreement(
  model: StreamModel,
  kind: Finding["kind"],
  bytes: Buffer,
  pieces: readonly Buffer[],
): string | undefined {
  const whole = read(model, kind, [bytes]);
  const cut = read(model, kind, pieces);
  if (!sameReading(whole, cut)) return `cut into ${pieces.length}, it reads ${show(cut)} instead of ${show(whole)}`;
  const outside = readByLlhttp(bytes, kind, kind === "responses");
  const came = differs(whole.messages, outside.messages.slice(0, whole.messages.length));
  if (came !== undefined && !mayDiffer(whole.messages, outside)) return `llhttp reads what came as ${came}`;
  if (whole.end === "open" && outside.messages.length > whole.messages.length && !outside.upgraded)
    return `llhttp finds ${outside.messages.length} messages where we found ${whole.messages.length}`;
  const sent = readByLlhttp(Buffer.from(whole.sent, "latin1"), kind, kind === "responses" && whole.end === "last");
  const on = differs(whole.messages, sent.messages);
  if (on !== undefined && !mayDiffer(whole.messages, sent)) return `llhttp reads what we sent on as ${on}`;
  return undefined;
}

function read(model: StreamModel, kind: Finding["kind"], pieces: readonly Buffer[]): StreamReading {
  return kind === "requests" ? model.readRequests(pieces) : model.readResponses(pieces, true);
}

function sameReading(a: StreamReading, b: StreamReading): boolean {
  if (a.end !== b.end || a.messages.length !== b.messages.length) return false;
  // Of a refused message more or less may have left before its fault was seen.
  if (a.end === "refused") return differs(a.messages, b.messages) === undefined;
  return a.sent === b.sent && differs(a.messages, b.messages) === undefined;
}

/** A request's line as it is sent on: an absolute target as a path, or as the asterisk of OPTIONS (RFC 9112 §3.2.4). */
export function originForm(line: string): string {
  const [, method, rest] = /^(\S+) http:\/\/[^/?]*(.*)$/i.exec(line) ?? [];
  if (method === undefined || rest === undefined) return line;
  if (rest === "") return `${method} ${method === "OPTIONS" ? "*" : "/"}`;
  return `${method} ${rest.startsWith("/") ? rest : `/${rest}`}`;
}

function differs(ours: readonly StreamMessage[], theirs: readonly StreamMessage[]): string | undefined {
  const same =
    ours.length === theirs.length &&
    ours.every(
      (message, n) =>
        message.body === theirs[n]?.body && originForm(message.line) === originForm(theirs[n]?.line ?? ""),
    );
  return same ? undefined : `${JSON.stringify(theirs)} where we read ${JSON.stringify(ours)}`;
}

/**
 * Where llhttp may differ: it knows a list of methods, while RFC 9110 §9.1 lets any token be one; and behind a request
 * to upgrade it reads nothing, to whatever protocol, while we forward the message without its upgrade.
 */
function mayDiffer(ours: readonly StreamMessage[], theirs: LlhttpReading): boolean {
  const method = /^(\S+) /.exec(ours[theirs.messages.length]?.line ?? "")?.[1];
  return theirs.upgraded || (method !== undefined && !METHODS_OF_LLHTTP.has(method));
}

function missing(reading: StreamReading, expected: readonly StreamMessage[]): string | undefined {
  return differs(reading.messages, expected) === undefined ? undefined : `a valid stream is read as ${show(reading)}`;
}

function show({ messages, end, problem }: StreamReading): string {
  return `${JSON.stringify(messages)} ${end} ${problem}`;
}
