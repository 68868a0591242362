import { durationMs } from "@smartstack/core";
import type { Said } from "../label-keys.ts";

interface CheckWords {
  readonly keys: ReadonlyMap<string, Said>;
  readonly warnings: readonly string[];
}

/** What `SERVICE_CHECK_*` says, with the name it stands under, translated where there is a check of the kind. Pure. */
export function checkWords(words: ReadonlyMap<string, Said & { readonly name: string }>): CheckWords {
  const keys = new Map<string, Said>();
  const warnings: string[] = [];
  for (const [key, said] of words) {
    if (!key.startsWith("check_")) continue;
    const known = KINDS.get(key.slice("check_".length));
    if (known === undefined)
      warnings.push(`${said.name} is not supported: use smartstack.check, or leave the default check`);
    else if (known !== "same") keys.set(known.key, { ...said, value: known.value(said.value) });
  }
  // registrator's own order: of an HTTP and a TCP check the HTTP one counts.
  const http = words.get("check_http");
  if (http !== undefined) keys.set("check", { ...http, value: `http:${http.value}` });
  return { keys, warnings };
}

interface Kind {
  readonly key: string;
  readonly value: (value: string) => string;
}

/** `same`: what it asks for is so anyway. */
const KINDS: ReadonlyMap<string, Kind | "same"> = new Map<string, Kind | "same">([
  ["http", { key: "check", value: (path) => `http:${path}` }],
  ["tcp", { key: "check", value: () => "tcp" }],
  ["interval", { key: "check.interval", value: goDuration }],
  ["timeout", { key: "check.timeout", value: goDuration }],
  // An instance is announced when its check passes, and its entry goes when it fails.
  ["initial_status", "same"],
  ["deregister_after", "same"],
]);

/** Go's `1m30s` in our words; what is none is left for the reader of the value to refuse. */
function goDuration(text: string): string {
  const parts = text.match(/\d+(?:\.\d+)?(?:ms|s|m|h)/g);
  if (parts === null || parts.join("") !== text) return text;
  return `${parts.reduce((sum, part) => sum + (durationMs(part) ?? 0), 0)}ms`;
}
