// An open load: requests come at their times, whether or not others were answered, as those of many users do. A closed one
// would send little to whoever answers late, and hide what its users see.
import { Agent, get } from "node:http";
import { pause } from "../measure.mjs";

const TICK_MS = 5;

/** What became of the requests that began in a span: those without an answer count with the time they have waited so far. */
export async function openLoad(url, rate) {
  const agent = new Agent({ keepAlive: true });
  const running = new Set();
  let span = { latencies: [], failed: 0 };
  let going = true;

  const ask = () => {
    const mine = span;
    const one = { span: mine, beganMs: performance.now() };
    const end = (failed) => {
      if (!running.delete(one)) return;
      mine.latencies.push(performance.now() - one.beganMs);
      if (failed) mine.failed++;
    };
    running.add(one);
    const request = get(url, { agent }, (response) => {
      response.resume();
      response.once("end", () => end(response.statusCode !== 200));
      response.once("error", () => end(true));
    });
    request.once("error", () => end(true));
  };
  const sending = (async () => {
    const beganMs = performance.now();
    for (let sent = 0; going; await pause(TICK_MS))
      for (const due = ((performance.now() - beganMs) * rate) / 1_000; going && sent < due; sent++) ask();
  })();

  return {
    async during(ms) {
      span = { latencies: [], failed: 0 };
      const mine = span;
      await pause(ms);
      const waiting = [...running].filter((one) => one.span === mine).map(({ beganMs }) => performance.now() - beganMs);
      const all = [...mine.latencies, ...waiting].sort((a, b) => a - b);
      return { p99Ms: all[Math.floor(all.length * 0.99)] ?? Number.NaN, count: all.length, failed: mine.failed };
    },
    async stop() {
      going = false;
      await sending;
      agent.destroy();
    },
  };
}
