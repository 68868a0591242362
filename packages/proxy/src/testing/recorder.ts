import { createServer } from "node:http";
import type { Socket } from "node:net";
import { closeServer, listenOn } from "./bench.ts";

/** A message as Node's own parser (llhttp) found it in what the proxy sent. */
export interface RecordedMessage {
  readonly line: string;
  readonly rawHeaders: readonly string[];
  readonly body: string;
}

/** A backend that keeps every byte it was sent, and what an independent parser takes it for. */
export interface Recorder {
  readonly port: number;
  /** One entry a connection, latin1. */
  readonly bytes: readonly string[];
  readonly messages: readonly RecordedMessage[];
  /** What its parser could not read. */
  readonly errors: readonly string[];
  openConnections(): number;
  close(): Promise<void>;
}

export async function startRecorder(): Promise<Recorder> {
  const bytes: string[] = [];
  const messages: RecordedMessage[] = [];
  const errors: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((request, response) => {
    let body = "";
    request.setEncoding("latin1");
    request.on("data", (text: string) => {
      body += text;
    });
    request.on("end", () => {
      messages.push({ line: `${request.method} ${request.url}`, rawHeaders: request.rawHeaders, body });
      response.end("ok");
    });
    // A message the proxy gave up half way.
    request.on("error", () => undefined);
  });
  server.on("clientError", (error: NodeJS.ErrnoException, socket) => {
    if (error.code !== "ECONNRESET") errors.push(`${error.code} ${error.message}`);
    socket.destroy();
  });
  server.on("connection", (socket) => {
    const connection = bytes.push("") - 1;
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("data", (chunk) => {
      bytes[connection] += chunk.toString("latin1");
    });
  });
  const port = await listenOn(server, 0);
  return {
    port,
    bytes,
    messages,
    errors,
    openConnections: () => sockets.size,
    close: () => closeServer(server, [...sockets]),
  };
}
