// `npm run bench:changes`: what backends, services, changes of them and workers cost a request, beside HAProxy with as many
// and, where weights change, with as many changes of its own. See change-rows.mjs.
//   --seconds 3 --rounds 5   how long a measurement takes, and how many alternate
//   --row TEXT               only rows whose name has it, and the plain one
import { parseArgs } from "node:util";
import { ensureBuilt, ensureInstalled } from "../../deploy/ensure.mjs";
import { backendConfig } from "./backend.mjs";
import { changeRows } from "./change-rows.mjs";
import { benchFolder, needPrograms, startPinned } from "./measure.mjs";

const BACKEND_PORT = 18_280;

const { values: options } = parseArgs({
  options: {
    seconds: { type: "string", default: "3" },
    rounds: { type: "string", default: "5" },
    row: { type: "string", default: "" },
  },
});
const folder = benchFolder();

try {
  needPrograms({ "nginx-light": "/usr/sbin/nginx", haproxy: "/usr/sbin/haproxy", wrk: "/usr/bin/wrk" });
  await ensureInstalled();
  await ensureBuilt();
  await startPinned(0, "/usr/sbin/nginx", ["-c", backendConfig(folder, BACKEND_PORT), "-p", folder], BACKEND_PORT);
  const { seconds, rounds, row } = options;
  await changeRows({
    ...{ folder, port: BACKEND_PORT + 10, backendPort: BACKEND_PORT },
    ...{ seconds: Number(seconds), rounds: Number(rounds), row },
    print: (line) => process.stdout.write(`${line}\n`),
  });
  process.exit(0);
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exit(2);
}
