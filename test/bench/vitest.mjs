// A bench that needs the tests' engine and servers is written like a test: this runs one, with its options in the environment.
import { spawn } from "node:child_process";
import path from "node:path";
import { parseArgs } from "node:util";
import { ensureBuilt, ensureInstalled, ensureNode, ROOT } from "../../deploy/ensure.mjs";
import { ensurePackages } from "../packages.mjs";

/**
 * Ends this process with the bench's exit code.
 * @param {string} name of `test/bench/<name>.test.ts`
 * @param {Readonly<Record<string, string>>} defaults by option; `--containers 9` becomes BENCH_CONTAINERS=9
 */
export async function runBench(name, defaults) {
  const options = Object.fromEntries(
    Object.entries(defaults).map(([option, value]) => [option, { type: "string", default: value }]),
  );
  ensureNode();
  try {
    const { values } = parseArgs({ options });
    await ensureInstalled();
    await ensureBuilt();
    await ensurePackages();
    const env = Object.fromEntries(
      Object.entries(values).map(([option, value]) => [`BENCH_${option.toUpperCase()}`, value]),
    );
    process.exitCode = await vitest(name, env);
  } catch (error) {
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 2;
  }
}

function vitest(name, env) {
  const command = [path.join(ROOT, "node_modules/vitest/vitest.mjs"), "run", `test/bench/${name}.test.ts`];
  const args = [...command, "--project", "bench", "--disableConsoleIntercept"];
  const child = spawn(process.execPath, args, { cwd: ROOT, stdio: "inherit", env: { ...process.env, ...env } });
  for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => child.kill(signal));
  return new Promise((resolve) => child.once("exit", (code) => resolve(code ?? 1)));
}
