// `npm test`: makes the checkout and the machine ready, then runs unit, contract, scenario and end-to-end tests. `--soak` runs the
// long ones instead; other arguments go to Vitest, as file filters. Ends with "N passed, N failed". Plain Node.
import { spawn } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { ensureBuilt, ensureInstalled, ensureNode, ROOT } from "../deploy/ensure.mjs";
import { ensurePackages } from "./packages.mjs";
import { failuresOf, totalsOf } from "./totals.mjs";

const RUNS = [
  // Vitest leaves a core free by itself, which nothing else needs here.
  { project: "unit", args: ["--maxWorkers=2"] },
  { project: "contract", args: ["--maxWorkers=2"] },
  { project: "scenarios" },
  { project: "e2e" },
];
const SOAK_RUNS = [
  { project: "scenarios", filters: ["nerve.stream"], env: { E6_RUNS: "200" } },
  { project: "e2e", filters: ["outage", "hot-change"], env: { OUTAGE_MS: "60000", HOT_CHANGE_S: "60" } },
  {
    project: "contract",
    filters: ["proxy.fuzz", "proxy.churn", "proxy.streaming"],
    env: { FUZZ_MS: "600000", CHURN_CONNECTIONS: "10000", STREAM_MIB: "1024" },
  },
  {
    project: "contract",
    filters: ["registry.etcd", "registry.file", "registry.memory", "registry.zookeeper"],
    env: { MUTANTS: "all" },
  },
  { project: "contract", filters: ["registry-soak"], env: { CHURN_MS: "3600000" }, msMax: 75 * 60_000 },
  { project: "contract", filters: ["registry-ensemble", "registry-scenarios"], env: { FAULTS: "full" } },
  {
    project: "contract",
    filters: ["registry-patience"],
    env: { SMARTSTACK_STEADY_SECONDS: "600", SMARTSTACK_LATE_SECONDS: "20" },
  },
  { project: "soak" },
];
const RUN_MS_MAX = 30 * 60_000;

const args = process.argv.slice(2);
const runs = args.includes("--soak") ? SOAK_RUNS : RUNS;
const filters = args.filter((arg) => arg !== "--soak");

ensureNode();
try {
  await ensureInstalled();
  await ensureBuilt();
  await ensurePackages();
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.stdout.write("0 passed, 1 failed\n");
  process.exit(1);
}

// All temporary files of the tests lie below one folder, so that a run that is cut short leaves none.
const folder = mkdtempSync(path.join(tmpdir(), "smartstack-test-"));
// Servers that refuse to run as root must get through to their own folders.
chmodSync(folder, 0o711);
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));

let passed = 0;
let failed = 0;
const failures = [];
for (const run of runs) {
  const totals = await vitest(run);
  passed += totals.passed;
  failed += totals.failed;
}
// Once more where it is seen: each project's own account is thousands of lines up.
for (const failure of failures) process.stdout.write(`\nfailed: ${failure}\n`);
process.stdout.write(`\n${passed} passed, ${failed} failed\n`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;

/** Runs one project and returns its totals; a run that breaks outside its tests counts as one failed. */
async function vitest(run) {
  const report = path.join(folder, `${run.project}.json`);
  const started = performance.now();
  const command = [
    path.join(ROOT, "node_modules/vitest/vitest.mjs"),
    ...["run", "--project", run.project, "--passWithNoTests"],
    ...["--reporter=default", "--reporter=json", `--outputFile.json=${report}`],
    ...(run.args ?? []),
    ...(run.filters ?? []),
    ...filters,
  ];
  const code = await ended(
    spawn(process.execPath, command, {
      cwd: ROOT,
      stdio: ["ignore", "inherit", "inherit"],
      env: { ...process.env, ...run.env, TMPDIR: folder },
    }),
    run.msMax ?? RUN_MS_MAX,
  );
  const results = readReport(report);
  const totals = totalsOf(results, code);
  failures.push(...failuresOf(results).map((failure) => `${run.project}: ${failure}`));
  const seconds = Math.round((performance.now() - started) / 1_000);
  process.stdout.write(`${run.project}: ${totals.passed} passed, ${totals.failed} failed in ${seconds} s\n`);
  return totals;
}

/** The exit code of a child that gets our signals, and is ended when it takes too long. */
function ended(child, msMax) {
  return new Promise((resolve) => {
    let interrupted = false;
    const forward = (signal) => {
      interrupted = true;
      child.kill(signal);
    };
    const signals = ["SIGINT", "SIGTERM", "SIGHUP"];
    for (const signal of signals) process.on(signal, forward);
    const limit = setTimeout(() => child.kill("SIGTERM"), msMax);
    child.once("exit", (code) => {
      clearTimeout(limit);
      for (const signal of signals) process.off(signal, forward);
      if (interrupted) process.exit(130);
      resolve(code ?? 1);
    });
  });
}

function readReport(file) {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch {
    return undefined;
  }
}
