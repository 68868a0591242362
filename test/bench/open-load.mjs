// An open load: requests come at their times, whether or not others were answered, as those of many users do. A closed one
// would send little to whoever answers late, and hide what its users see.
import { Agent, get } from "node:http";
import { pause } from "./measure.mjs";

const TICK_MS = 5;

/**
 * What became of the requests that began in a span: those without an answer count with the time they have waited so far.
 * Status 0: an error, or none yet.
 */
export async function openLoad(url, startRate) {
  const agent = new Agent({ keepAlive: true });
  const running = new Set();
  let span = [];
  let going = true;
  let rate = startRate;

  const ask = () => {
    const mine = span;
    const one = { span: mine, beganMs: performance.now() };
    const end = (status) => {
      if (running.delete(one)) mine.push({ status, ms: performance.now() - one.beganMs, endMs: performance.now() });
    };
    running.add(one);
    const request = get(url, { agent }, (response) => {
      response.resume();
      response.once("end", () => end(response.statusCode));
      response.once("error", () => end(0));
    });
    request.once("error", () => end(0));
  };
  const sending = (async () => {
    let dueMs = performance.now();
    for (; going; await pause(TICK_MS)) for (; going && dueMs < performance.now(); dueMs += 1_000 / rate) ask();
  })();

  return {
    async during(ms) {
      span = [];
      const mine = span;
      await pause(ms);
      const nowMs = performance.now();
      const waiting = [...running].filter((one) => one.span === mine);
      const answers = [...mine, ...waiting.map(({ beganMs }) => ({ status: 0, ms: nowMs - beganMs, waits: true }))];
      const times = answers.map((answer) => answer.ms).sort((a, b) => a - b);
      return {
        answers,
        p99Ms: times[Math.floor(times.length * 0.99)] ?? Number.NaN,
        count: answers.length,
        failed: mine.filter(({ status }) => status !== 200).length,
      };
    },
    setRate(next) {
      rate = next;
    },
    async stop() {
      going = false;
      await sending;
      agent.destroy();
    },
  };
}
