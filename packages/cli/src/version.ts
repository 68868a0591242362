import { readFileSync } from "node:fs";

/** The version in this package's package.json, which lies one folder above both src and dist. */
export function version(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
  return (manifest as { version?: string }).version ?? "unknown";
}
