// What a fresh clone lacks before it can run: npm dependencies and the built packages. Plain Node, no dependencies.
import { spawn } from "node:child_process";
import { existsSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));

const NODE_MIN = [20, 19];
const PROGRESS_MS = 5_000;

/**
 * Why this Node cannot run the project, or undefined when it can.
 * @param {string} version as in process.versions.node
 */
export function nodeProblem(version) {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  if (major > NODE_MIN[0] || (major === NODE_MIN[0] && minor >= NODE_MIN[1])) return undefined;
  return `SmartStack needs Node ${NODE_MIN.join(".")} or newer, this is ${version}. Install a current Node (https://nodejs.org) and try again.`;
}

/** Ends the process with the reason when this Node is too old. */
export function ensureNode() {
  const problem = nodeProblem(process.versions.node);
  if (problem === undefined) return;
  process.stderr.write(`${problem}\n`);
  process.exit(1);
}

/**
 * Runs `npm ci` when node_modules is missing, was left half-made, or is older than package-lock.json.
 * @param {string} root the checkout
 * @throws Error when npm fails or is not there.
 */
export async function ensureInstalled(root = ROOT) {
  if (isInstalled(root)) return;
  const started = performance.now();
  say("installing npm dependencies (first run; needs the npm registry) …");
  const progress = setInterval(() => {
    say(`still installing, ${Math.round((performance.now() - started) / 1_000)} s`);
  }, PROGRESS_MS);
  try {
    await run("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"], root);
  } finally {
    clearInterval(progress);
  }
  say(`dependencies installed in ${Math.round((performance.now() - started) / 1_000)} s`);
}

/**
 * Brings dist up to date. tsc -b looks at what changed by itself, so it is simply run.
 * @param {string} root the checkout
 * @throws Error when the code does not compile.
 */
export async function ensureBuilt(root = ROOT) {
  if (!existsSync(join(root, "packages/cli/dist/main.js"))) say("building …");
  await run(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-b"], root);
}

function isInstalled(root) {
  // npm writes this file last: an install that was cut short does not have it.
  const marker = join(root, "node_modules/.package-lock.json");
  return existsSync(marker) && statSync(marker).mtimeMs >= statSync(join(root, "package-lock.json")).mtimeMs;
}

function run(command, args, cwd) {
  return new Promise((resolve, reject) => {
    // Output goes to stderr: stdout belongs to the program that is started afterwards.
    const child = spawn(command, args, { cwd, stdio: ["ignore", 2, 2] });
    child.once("error", (error) => reject(new Error(`cannot run ${command}: ${error.message}`)));
    child.once("exit", (code, signal) => {
      if (code === 0) resolve();
      else reject(new Error(`${command} ${args.join(" ")} ended with ${signal ?? `exit code ${code}`}`));
    });
  });
}

function say(text) {
  process.stderr.write(`smartstack: ${text}\n`);
}
