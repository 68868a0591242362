import type { ClientHttp2Session, ClientHttp2Stream, IncomingHttpHeaders } from "node:http2";
import { z } from "zod";
import { formatAddress } from "../addresses.ts";
import { attempt } from "./attempt.ts";
import type { CheckKind, OptionsOf, ProbeRequest, ProbeResult } from "./check.ts";
import { lookupOf } from "./lookup.ts";
import { printable } from "./printable.ts";
import { tlsKeys, tlsTrust } from "./tls.ts";

const keys = {
  ...tlsKeys,
  /** The service asked for; default: the server as a whole. */
  service: z.string().max(255).default(""),
};

type GrpcOptions = OptionsOf<typeof keys>;

/** Passes when grpc.health.v1.Health/Check says SERVING. HTTP/2 at once, without a negotiation, unless `tls` is set. */
export const grpc: CheckKind<GrpcOptions> = {
  active: true,
  inConfig: true,
  keys,
  detail: ({ service }) => (service === "" ? "" : `/${service}`),
  probe,
};

/** HealthCheckResponse.ServingStatus, by number. */
const STATUSES = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"] as const;
const NOT_FOUND = "5";
const UNIMPLEMENTED = "12";

/** An answer has seven bytes. */
const ANSWER_BYTES_MAX = 4_096;

function probe(request: ProbeRequest<GrpcOptions>): Promise<ProbeResult> {
  const { host, port, options } = request;
  return attempt(request, async ({ defer }) => {
    // Megabytes of Node that most processes never need.
    const { connect } = await import("node:http2");
    const scheme = options.tls === true ? "https" : "http";
    const session = connect(`${scheme}://${formatAddress(host, port)}`, {
      ...(await tlsTrust(options)),
      lookup: lookupOf(request),
    });
    defer(() => session.destroy());
    return judge(await call(session, request), options.service);
  });
}

interface Answer {
  readonly body: Buffer;
  /** From the trailers; of an answer without a body from the headers. */
  readonly grpcStatus: string | undefined;
  readonly grpcMessage: string;
}

function call(session: ClientHttp2Session, { options, timeoutMs }: ProbeRequest<GrpcOptions>): Promise<Answer> {
  return new Promise((resolve, reject) => {
    // A stream that goes down with its connection says no more than that; its cause says why.
    const fail = (error: Error): void => reject(error.cause instanceof Error ? error.cause : error);
    session.on("error", fail);
    session.on("close", () => reject(new Error("it closed the connection without an answer")));
    const stream = session.request({
      ":method": "POST",
      ":path": "/grpc.health.v1.Health/Check",
      "content-type": "application/grpc",
      te: "trailers",
      "grpc-timeout": `${Math.ceil(timeoutMs)}m`,
      "user-agent": "smartstack-nerve",
    });
    stream.on("error", fail);
    stream.end(question(options.service));
    collect(stream).then(resolve, fail);
  });
}

async function collect(stream: ClientHttp2Stream): Promise<Answer> {
  let headers: IncomingHttpHeaders = {};
  stream.on("response", (received) => {
    headers = { ...headers, ...received };
  });
  stream.on("trailers", (received) => {
    headers = { ...headers, ...received };
  });
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes > ANSWER_BYTES_MAX)
      throw new Error(`an answer of more than ${ANSWER_BYTES_MAX} bytes: not grpc.health.v1`);
  }
  const httpStatus = Number(headers[":status"]);
  if (httpStatus !== 200) throw new Error(`HTTP status ${httpStatus}`);
  const status = headers["grpc-status"];
  return {
    body: Buffer.concat(chunks),
    grpcStatus: typeof status === "string" ? status : undefined,
    grpcMessage: printable(String(headers["grpc-message"] ?? "")),
  };
}

/** HealthCheckRequest { service = 1 } in gRPC's five-byte framing. */
function question(service: string): Buffer {
  const name = Buffer.from(service);
  // A length of up to 255 bytes is a varint of one byte below 128, else of two.
  const length = name.length < 128 ? [name.length] : [(name.length & 0x7f) | 0x80, name.length >> 7];
  const message = name.length === 0 ? name : Buffer.concat([Buffer.from([0x0a, ...length]), name]);
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

function judge({ body, grpcStatus, grpcMessage }: Answer, service: string): ProbeResult {
  if (grpcStatus === NOT_FOUND)
    return { passed: false, reason: `the server knows no service ${JSON.stringify(service)}` };
  if (grpcStatus === UNIMPLEMENTED) return { passed: false, reason: "the server does not offer grpc.health.v1.Health" };
  if (grpcStatus !== "0")
    return { passed: false, reason: `gRPC status ${grpcStatus ?? "missing"} ${grpcMessage}`.trim() };
  if (body.length < 5 || body.readUInt8(0) !== 0 || body.readUInt32BE(1) !== body.length - 5)
    throw new Error("not one uncompressed gRPC message");
  const message = body.subarray(5);
  // ServingStatus is field 1, a varint; a zero is left out.
  const at = message.indexOf(0x08);
  const status = STATUSES[message.length === 0 ? 0 : at === 0 ? (message[1] ?? -1) : -1] ?? "no known status";
  return { passed: status === "SERVING", reason: status };
}
