// Brings a fresh clone to a state that runs. Plain Node: it is what runs before any dependency is there.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const NODE_MIN = [20, 19];

/** Ends the process with status 1 and one plain sentence when this Node is too old to run the project. */
export function ensureNode() {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  if (major > NODE_MIN[0] || (major === NODE_MIN[0] && minor >= NODE_MIN[1])) return;
  fail(`SmartStack needs Node ${NODE_MIN.join(".")} or newer, this is ${process.versions.node}.`);
}

/** Runs `npm ci` unless node_modules already holds what package-lock.json asks for. */
export function ensureInstalled() {
  const reason = installReason(
    readJson(path.join(root, "package-lock.json")),
    readJson(path.join(root, "node_modules/.package-lock.json")),
  );
  if (reason === undefined) return;
  say(`Installing npm dependencies (${reason}) …`);
  run("npm", ["ci", "--no-audit", "--no-fund"]);
}

/** Compiles what changed since the last build. */
export function ensureBuilt() {
  const tsc = path.join(root, "node_modules/.bin/tsc");
  if (!existsSync(path.join(root, "packages/cli/dist/main.js"))) say("Building …");
  run(tsc, ["-b"]);
}

/**
 * Why the installed tree is not the locked one, or undefined when it is. Versions are compared instead of file times:
 * a checkout sets new times on old content.
 */
export function installReason(lock, installed) {
  if (lock === undefined) return "package-lock.json is unreadable";
  if (installed === undefined) return "node_modules is missing";
  for (const [place, wanted] of Object.entries(lock.packages ?? {})) {
    if (place === "" || wanted.optional === true || wanted.peer === true) continue;
    const present = installed.packages?.[place];
    if (present === undefined) return `${place} is missing`;
    if (present.version !== wanted.version) return `${place} is ${present.version}, not ${wanted.version}`;
  }
  return undefined;
}

function readJson(file) {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch {
    return undefined;
  }
}

function run(command, args) {
  const result = spawnSync(command, args, { cwd: root, stdio: ["ignore", "inherit", "inherit"] });
  if (result.status === 0) return;
  fail(`${command} ${args.join(" ")} failed${result.error === undefined ? "" : `: ${result.error.message}`}`);
}

function say(line) {
  process.stderr.write(`${line}\n`);
}

function fail(line) {
  say(line);
  process.exit(1);
}
