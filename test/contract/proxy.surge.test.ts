// Ten times as many clients as backends with a limit can serve: nobody is asked more than it may be, nobody idles while
// somebody waits, who is turned away learns it in time, and it is over when the surge is.
import { Agent, createServer, get } from "node:http";
import { until } from "@smartstack/core/testing";
import { expect, it } from "vitest";
import { DEFAULT_TIMEOUTS } from "../../packages/proxy/src/snapshot.ts";
import { type Bench, backendSpec, closeServer, listenOn, startBench } from "../../packages/proxy/src/testing/bench.ts";
import { watchPauses } from "../support/pauses.ts";

const BACKENDS = 4;
const LIMIT = 3;
const SLOTS = BACKENDS * LIMIT;
const SERVICE_MS = 25;
const QUEUE_MS = 200;
const SURGE_MS = 2_000;
/** For the load itself, which runs in the same process. */
const SLACK_MS = 500;

const PAUSE_MS = QUEUE_MS / 4;

interface Answer {
  readonly status: number;
  readonly ms: number;
  /** For which this process was not run meanwhile. */
  readonly stoodStillMs: number;
  /** Requests at backends when it came. */
  readonly active: number;
}

/** Answers after a while; `most`: it had at once. */
async function limitedBackend(bench: Pick<Bench, "onClose">): Promise<{ readonly port: number; most(): number }> {
  let running = 0;
  let most = 0;
  const server = createServer((_request, response) => {
    most = Math.max(most, ++running);
    setTimeout(() => {
      running--;
      response.end("ok");
    }, SERVICE_MS);
  });
  const port = await listenOn(server, 0);
  bench.onClose(async () => {
    server.closeAllConnections();
    await closeServer(server, []);
  });
  return { port, most: () => most };
}

it("ten times the capacity is served as far as it goes, and the rest is told in time", async () => {
  const closers: (() => void | Promise<void>)[] = [];
  const backends = await Promise.all(
    Array.from({ length: BACKENDS }, () => limitedBackend({ onClose: (close) => closers.push(close) })),
  );
  const bench = await startBench({
    backends: backends.map(({ port }, n) => backendSpec(`b${n}`, port)),
    limits: { requestsMax: LIMIT, queueMax: 1_000 },
    timeouts: { ...DEFAULT_TIMEOUTS, queueMs: QUEUE_MS },
  });
  for (const close of closers) bench.onClose(close);
  const pauses = watchPauses();
  const agent = new Agent({ keepAlive: true });
  bench.onClose(() => agent.destroy());
  const status = () => bench.proxy.status()[0];
  const active = (): number => status()?.backends.reduce((sum, { counters }) => sum + counters.active, 0) ?? 0;

  const ask = (): Promise<Answer> => {
    const [beganMs, since] = [performance.now(), Date.now()];
    return new Promise((resolve, reject) => {
      const request = get({ host: "127.0.0.1", port: bench.port(), agent }, (response) => {
        const answer = { status: response.statusCode ?? 0, active: active() };
        response.resume().once("end", () => {
          const stoodStillMs = pauses.stoodStillMs(since);
          resolve({ ...answer, stoodStillMs, ms: performance.now() - beganMs - stoodStillMs });
        });
      });
      request.once("error", reject);
    });
  };

  try {
    const answers: Answer[] = [];
    const endMs = performance.now() + SURGE_MS;
    const client = async (): Promise<void> => {
      while (performance.now() < endMs) answers.push(await ask());
    };
    await Promise.all(Array.from({ length: 10 * SLOTS }, client));

    const served = answers.filter((answer) => answer.status === 200);
    const refused = answers.filter((answer) => answer.status === 503);
    const most = backends.map((backend) => backend.most());
    process.stdout.write(
      `surge: ${served.length} served (${Math.round((served.length * SERVICE_MS * 100) / (SLOTS * SURGE_MS))} % of capacity), ` +
        `${refused.length} refused, the slowest after ${Math.round(Math.max(...refused.map(({ ms }) => ms)))} ms\n`,
    );
    expect(served.length + refused.length).toBe(answers.length);
    expect(most).toEqual(backends.map(() => LIMIT));
    expect(refused.length).toBeGreaterThan(SLOTS);
    expect(refused.filter(({ ms }) => ms > QUEUE_MS + SLACK_MS)).toEqual([]);
    // Whoever was turned away was so because everybody had all that it may have; after a pause, all waited too long.
    const judged = refused.filter(({ stoodStillMs }) => stoodStillMs < PAUSE_MS);
    expect(judged.filter((answer) => answer.active < SLOTS - LIMIT)).toEqual([]);
    expect(status()?.counters).toMatchObject({ queueTimeouts: refused.length, queueFull: 0, noBackend: 0 });

    await until(() => active() === 0 && status()?.counters.waiting === 0, { what: "nothing runs and nobody waits" });
    const after = await Promise.all(Array.from({ length: SLOTS }, ask));
    expect(after.map((answer) => answer.status)).toEqual(after.map(() => 200));
  } finally {
    pauses.stop();
    await bench.close();
  }
});
