import { createHash, randomBytes } from "node:crypto";
import { Agent, request } from "node:http";

export interface LoadOptions {
  readonly host?: string;
  readonly port: number;
  /** Clients that keep one connection and ask one request after the other. */
  readonly keepAliveClients: number;
  /** Requests a second on a connection of their own. */
  readonly newPerSecond: number;
  /** What a keep-alive client waits between two requests; default 20 ms. */
  readonly pauseMs?: number;
  /** Every n-th request is a POST of 64 KiB, the others are GETs; default 4. 0: no POST. */
  readonly postEvery?: number;
  /** Whose Host header; default the address. */
  readonly hostHeader?: string;
}

/** One request as its client saw it. Times are milliseconds since the epoch, with fractions. */
export interface LoadRecord {
  /** Sent as x-request-id; the test web server logs it when it has received the head. */
  readonly id: string;
  readonly method: "GET" | "POST";
  readonly keepAlive: boolean;
  readonly startMs: number;
  readonly endMs: number;
  /** Absent when no head came back. */
  readonly status?: number;
  /** The backend's id, from the body. */
  readonly servedBy?: string;
  /** Connection error, deadline, or what is wrong with the body. */
  readonly error?: string;
}

export interface Load {
  /** What has ended so far, in order of its end. */
  records(): readonly LoadRecord[];
  /** Sends nothing more; resolves when all that was sent has ended. */
  stop(): Promise<readonly LoadRecord[]>;
}

const BODY = randomBytes(64 * 1024);
const BODY_HASH = createHash("sha256").update(BODY).digest("hex");
const DEADLINE_MS = 10_000;
/** A load that nobody stops ends by itself. */
const LOAD_MS_MAX = 15 * 60_000;
const IN_FLIGHT_MAX = 2_000;

/** Asks the test web server behind `port` until stopped, and writes down every single request. */
export function startLoad(options: LoadOptions): Load {
  const records: LoadRecord[] = [];
  const run = `${process.pid.toString(36)}${Date.now().toString(36)}`;
  const { postEvery = 4, pauseMs = 20 } = options;
  const endMs = performance.now() + LOAD_MS_MAX;
  let stopped = false;
  let sent = 0;
  let inFlight = 0;

  const ask = async (agent: Agent | undefined): Promise<void> => {
    const number = sent++;
    const method = postEvery > 0 && number % postEvery === postEvery - 1 ? "POST" : "GET";
    inFlight++;
    records.push(await oneRequest(options, `${run}-${number}`, method, agent));
    inFlight--;
  };
  const goesOn = (): boolean => !stopped && performance.now() < endMs;

  const client = async (index: number): Promise<void> => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1, timeout: DEADLINE_MS });
    // Spread over the first pause, so that the clients do not ask in step for ever.
    await pause((pauseMs * index) / options.keepAliveClients);
    while (goesOn()) {
      await ask(agent);
      await pause(pauseMs);
    }
    agent.destroy();
  };
  const newcomers = async (): Promise<void> => {
    const startedMs = performance.now();
    const asked: Promise<void>[] = [];
    for (let count = 0; goesOn(); count++) {
      await pause(startedMs + (count * 1_000) / options.newPerSecond - performance.now());
      if (inFlight < IN_FLIGHT_MAX) asked.push(ask(undefined));
    }
    await Promise.all(asked);
  };

  const all = Promise.all([
    ...Array.from({ length: options.keepAliveClients }, (_, index) => client(index)),
    ...(options.newPerSecond > 0 ? [newcomers()] : []),
  ]);
  return {
    records: () => records,
    async stop() {
      stopped = true;
      await all;
      return records;
    },
  };
}

function oneRequest(
  options: LoadOptions,
  id: string,
  method: LoadRecord["method"],
  agent: Agent | undefined,
): Promise<LoadRecord> {
  const startMs = nowMs();
  return new Promise((resolve) => {
    const end = (result: Pick<LoadRecord, "status" | "servedBy" | "error">): void =>
      resolve({ id, method, keepAlive: agent !== undefined, startMs, endMs: nowMs(), ...result });
    const outgoing = request({
      host: options.host ?? "127.0.0.1",
      port: options.port,
      method,
      path: "/",
      agent: agent ?? false,
      signal: AbortSignal.timeout(DEADLINE_MS),
      headers: {
        "x-request-id": id,
        ...(options.hostHeader === undefined ? {} : { host: options.hostHeader }),
        ...(method === "POST" ? { "content-length": BODY.length } : {}),
        ...(agent === undefined ? { connection: "close" } : {}),
      },
    });
    outgoing.on("error", (error: NodeJS.ErrnoException) => end({ error: error.code ?? error.message }));
    outgoing.on("response", (response) => {
      const status = response.statusCode ?? 0;
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        body += chunk;
      });
      response.on("error", (error) => end({ status, error: error.message }));
      response.on("end", () => {
        const error = answerProblem(method, status, body, id, response.headers["x-request-id"]);
        const servedBy = status === 200 ? body.split(" ")[0] : undefined;
        end({ status, ...(servedBy === undefined ? {} : { servedBy }), ...(error === undefined ? {} : { error }) });
      });
    });
    outgoing.end(method === "POST" ? BODY : undefined);
  });
}

/** What is wrong with an answer, or undefined. A status other than 200 is not judged here. */
export function answerProblem(
  method: LoadRecord["method"],
  status: number,
  body: string,
  id: string,
  echoedId: string | string[] | undefined,
): string | undefined {
  if (status !== 200) return undefined;
  if (echoedId !== id) return `got the answer of request ${String(echoedId)}`;
  const expected = method === "POST" ? `${BODY_HASH} ${BODY.length}\n` : undefined;
  const [, , ...rest] = body.split(" ");
  const intact = expected === undefined ? /^\S+ \d+\n$/.test(body) : rest.join(" ") === expected;
  return intact ? undefined : `wrong body: ${JSON.stringify(body.slice(0, 120))}`;
}

function nowMs(): number {
  return performance.timeOrigin + performance.now();
}

function pause(ms: number): Promise<void> {
  return ms <= 0 ? Promise.resolve() : new Promise((resolve) => setTimeout(resolve, ms));
}
