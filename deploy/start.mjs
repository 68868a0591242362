// `npm start` and `npm run demo`: makes a fresh clone ready, then runs the smartstack command in this very process, so
// that signals and the exit code are its own.
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { ensureBuilt, ensureInstalled, ensureNode, ROOT } from "./ensure.mjs";

const args = process.argv.slice(2);

ensureNode();
try {
  await ensureInstalled();
  await ensureBuilt();
} catch (error) {
  process.stderr.write(`smartstack: ${error.message}\n`);
  process.exit(2);
}

const command = join(ROOT, "packages/cli/bin/smartstack.js");
process.argv = [process.execPath, command, ...(args[0] === "demo" ? args : ["up", ...args])];
await import(pathToFileURL(command).href);
