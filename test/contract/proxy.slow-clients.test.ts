// slowhttptest: hundreds of clients that send their heads and bodies, or read their answers, a few bytes at a time.
import { execFile } from "node:child_process";
import { createServer } from "node:http";
import type { Socket } from "node:net";
import { promisify } from "node:util";
import { afterEach, describe, expect, it } from "vitest";
import { DEFAULT_TIMEOUTS } from "../../packages/proxy/src/snapshot.ts";
import { type Bench, backendSpec, closeServer, listenOn, startBench } from "../../packages/proxy/src/testing/bench.ts";

let bench: Bench;
afterEach(() => bench.close());

async function start(): Promise<string> {
  const sockets: Socket[] = [];
  const body = "x".repeat(256 * 1024);
  const server = createServer((request, response) => {
    request.resume().on("end", () => response.end(body));
  });
  server.on("connection", (socket) => sockets.push(socket));
  const port = await listenOn(server, 0);
  const timeouts = { ...DEFAULT_TIMEOUTS, clientHeadMs: 2_000, serverMs: 3_000 };
  bench = await startBench({ backends: [backendSpec("b", port)], timeouts });
  bench.onClose(() => closeServer(server, sockets));
  return `http://127.0.0.1:${bench.port()}/`;
}

// A service that is held by its slow clients is away for as long as they come, not for a machine's pause.
const CLIENTS = ["-c", "200", "-r", "200", "-p", "4"];

/** What the tool says at its end, without its colours. */
async function attack(...args: readonly string[]): Promise<string> {
  const url = await start();
  const { stdout } = await promisify(execFile)("/usr/bin/slowhttptest", [...args, ...CLIENTS, "-u", url], {
    timeout: 50_000,
    maxBuffer: 16 * 1024 * 1024,
  });
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the tool colours what it says
  return stdout.replace(/\x1b\[[0-9;]*m/g, "");
}

function availability(output: string): string[] {
  return [...output.matchAll(/service available:\s+(\w+)/g)].map(([, word]) => word ?? "");
}

describe("the service stays available under", () => {
  it("slow heads, whose clients are closed in time", async () => {
    const output = await attack("-H", "-i", "1", "-l", "8");
    expect(new Set(availability(output))).toEqual(new Set(["YES"]));
    expect(output).toMatch(/Exit status:\s+No open connections left/);
  });

  it("slow bodies", async () => {
    const output = await attack("-B", "-i", "1", "-l", "5", "-s", "8192", "-t", "POST");
    expect(new Set(availability(output))).toEqual(new Set(["YES"]));
  });

  it("slow readers", async () => {
    const output = await attack("-X", "-w", "10", "-y", "20", "-n", "1", "-z", "32", "-k", "3", "-l", "5");
    expect(new Set(availability(output))).toEqual(new Set(["YES"]));
  });
});
