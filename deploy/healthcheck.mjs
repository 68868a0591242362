// The image's HEALTHCHECK: healthy when the smartstack in this container says that it is ready. SMARTSTACK_ADMIN names
// its admin API; without it, the ports that synapse, up and nerve use by default are tried.
import { get } from "node:http";

const DEADLINE_MS = 2_500;

const named = process.env.SMARTSTACK_ADMIN;
const targets = named === undefined ? [{ port: 3210 }, { port: 3211 }] : [targetOf(named)];

let verdict = "no smartstack answers in this container";
for (const target of targets) {
  const answer = await ask(target);
  if (answer === undefined) continue;
  if (answer.status === 200) process.exit(0);
  verdict = answer.body;
}
process.stdout.write(`${verdict.trim()}\n`);
process.exit(1);

/** host:port, a URL of such, or unix:/path */
function targetOf(address) {
  if (address.startsWith("unix:")) return { socketPath: address.slice("unix:".length) };
  const { hostname, port } = new URL(/^https?:/.test(address) ? address : `http://${address}`);
  return { host: hostname, port: Number(port) };
}

function ask(target) {
  return new Promise((resolve) => {
    const request = get({ host: "127.0.0.1", path: "/readyz", timeout: DEADLINE_MS, ...target }, (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (chunk) => {
        body += chunk;
      });
      response.on("end", () => resolve({ status: response.statusCode, body }));
    });
    request.on("timeout", () => request.destroy());
    request.on("error", () => resolve(undefined));
  });
}
