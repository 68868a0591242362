// Runs inside the client's container: asks localhost:3000 over and over, on kept connections and on new ones, until its
// standard input ends and at least MIN requests were made. Its last line is what happened, as JSON.
import { Agent, request } from "node:http";

const MIN = Number(process.argv[1] ?? 1_000);
const CLIENTS = 8;
const PAUSE_MS = 8;
const END_MS = performance.now() + 120_000;

const answers = {};
const failures = [];
let count = 0;
let told = false;
process.stdin.on("end", () => (told = true)).resume();

function ask(agent) {
  const began = performance.now();
  return new Promise((resolve) => {
    const end = (failure) => {
      count++;
      const tookMs = performance.now() - began;
      if (failure !== undefined) failures.push({ at: new Date().toISOString(), failure });
      else if (tookMs > 1_000)
        failures.push({ at: new Date().toISOString(), failure: `took ${Math.round(tookMs)} ms` });
      resolve();
    };
    const outgoing = request({ host: "127.0.0.1", port: 3_000, path: "/", agent, timeout: 5_000 }, (response) => {
      let body = "";
      response.on("data", (chunk) => (body += chunk));
      response.on("error", (error) => end(error.message));
      response.on("end", () => {
        if (response.statusCode !== 200) return end(`status ${response.statusCode}: ${body.trim()}`);
        const by = body.split(" ")[0];
        answers[by] = (answers[by] ?? 0) + 1;
        end();
      });
    });
    outgoing.on("timeout", () => outgoing.destroy(new Error("no answer within 5 s")));
    outgoing.on("error", (error) => end(error.code ?? error.message));
    outgoing.end();
  });
}

await Promise.all(
  Array.from({ length: CLIENTS }, async (_, index) => {
    const agent = index % 2 === 0 ? new Agent({ keepAlive: true, maxSockets: 1 }) : false;
    while (performance.now() < END_MS && !(told && count >= MIN)) {
      await ask(agent);
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
    if (agent) agent.destroy();
  }),
);
console.log(JSON.stringify({ count, answers, failures }));
