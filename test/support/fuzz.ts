import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

export interface FuzzResult {
  readonly streams: number;
  readonly grownBytes: number;
  readonly finding?: { readonly what: string; readonly kind?: string; readonly stream?: string };
}

const SCRIPT = fileURLToPath(new URL("fuzz.mjs", import.meta.url));

/** The proxy as it is built. */
export const PROXY_DIST = fileURLToPath(new URL("../../packages/proxy/dist", import.meta.url));

/** Time beyond the fuzzer's own that can only be a hang. */
const HANG_MS = 30_000;

/** Fuzzes the proxy built in `dist` for `ms`, or until it finds something. */
export async function fuzz(dist: string, seed: number, ms: number): Promise<FuzzResult> {
  const args = ["--expose-gc", "--no-warnings", SCRIPT, dist, String(seed), String(ms)];
  const { stdout } = await promisify(execFile)(process.execPath, args, {
    timeout: ms + HANG_MS,
    killSignal: "SIGKILL",
  });
  return JSON.parse(stdout) as FuzzResult;
}
