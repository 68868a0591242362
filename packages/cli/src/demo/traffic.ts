import { Agent, get } from "node:http";
import { type Clock, describeError, every, sleep } from "@smartstack/core";

export interface Answer {
  /** Monotonic, of the request's start. */
  readonly atMs: number;
  readonly servedBy?: string;
  /** Why it failed. */
  readonly error?: string;
}

export interface Traffic {
  /** Everything so far. */
  answers(): readonly Answer[];
  stop(): Promise<void>;
}

const KEEP_ALIVE_CLIENTS = 8;
const PAUSE_MS = 10;
const NEW_CONNECTION_EVERY_MS = 40;
const ANSWER_MS_MAX = 1_000;

/** Clients that ask all the while: some on connections they keep, and some on a new one each time. */
export function startTraffic(port: number, clock: Clock): Traffic {
  const answers: Answer[] = [];
  const stopped = new AbortController();
  const kept = new Agent({ keepAlive: true, maxSockets: KEEP_ALIVE_CLIENTS });
  const ask = async (agent: Agent | false): Promise<void> => {
    const atMs = clock.monotonic();
    try {
      answers.push({ atMs, servedBy: await request(port, agent) });
    } catch (error) {
      answers.push({ atMs, error: describeError(error) });
    }
  };
  const loops = Array.from({ length: KEEP_ALIVE_CLIENTS }, async () => {
    while (!stopped.signal.aborted) {
      await ask(kept);
      await sleep(clock, PAUSE_MS, stopped.signal);
    }
  });
  const underway = new Set<Promise<void>>();
  const stopNew = every(clock, NEW_CONNECTION_EVERY_MS, () => {
    const asking = ask(false).finally(() => underway.delete(asking));
    underway.add(asking);
  });
  return {
    answers: () => answers,
    async stop() {
      stopNew();
      stopped.abort();
      await Promise.all([...loops, ...underway]);
      kept.destroy();
    },
  };
}

function request(port: number, agent: Agent | false): Promise<string> {
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(ANSWER_MS_MAX);
    const outgoing = get({ host: "127.0.0.1", port, agent, signal }, (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => (body += chunk));
      response.on("error", reject);
      response.on("end", () => {
        if (response.statusCode === 200) resolve(body);
        else reject(new Error(`status ${response.statusCode}: ${body.trim()}`));
      });
    });
    outgoing.on("error", reject);
  });
}

/** How many answers each backend gave, and the failures by reason. Pure. */
export function tally(answers: readonly Answer[]): {
  readonly served: ReadonlyMap<string, number>;
  readonly failed: readonly string[];
} {
  const served = new Map<string, number>();
  const failed: string[] = [];
  for (const { servedBy, error } of answers) {
    if (servedBy !== undefined) served.set(servedBy, (served.get(servedBy) ?? 0) + 1);
    if (error !== undefined) failed.push(error);
  }
  return { served, failed };
}
