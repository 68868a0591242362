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
  const chosen = PROBES.find(({ key, unless }) => words.has(key) && (unless === undefined || !words.has(unless)));
  for (const [key, said] of words) {
    if (!key.startsWith("check_")) continue;
    if (key === chosen?.key) keys.set("check", { ...said, value: chosen.value(said.value) });
    if (PROBES.some((probe) => probe.key === key)) continue;
    const known = SETTINGS.get(key);
    if (known === undefined)
      warnings.push(`${said.name} is not supported: use smartstack.check, or leave the default check`);
    else if (known !== "same") keys.set(known, { ...said, value: goDuration(said.value) });
  }
  return { keys, warnings };
}

interface Probe {
  readonly key: string;
  /** What `smartstack.check` would say. */
  readonly value: (value: string) => string;
  /** With this word it asks for what no label of ours can say. */
  readonly unless?: string;
}

/** In registrator's own order: of several the first counts. */
const PROBES: readonly Probe[] = [
  { key: "check_http", value: (path) => `http:${path}` },
  { key: "check_https", value: (path) => `https:${path}` },
  { key: "check_tcp", value: () => "tcp" },
  { key: "check_grpc", value: () => "grpc", unless: "check_grpc_use_tls" },
];

/** By our own key; `same`: what it asks for is so anyway. */
const SETTINGS: ReadonlyMap<string, "check.interval" | "check.timeout" | "same"> = new Map([
  ["check_interval", "check.interval"],
  ["check_timeout", "check.timeout"],
  // An instance is announced when its check passes, and its entry goes when it fails.
  ["check_initial_status", "same"],
  ["check_deregister_after", "same"],
  // A check from a label looks at no certificate.
  ["check_tls_skip_verify", "same"],
]);

/** Go's `1m30s` in our words; what is none is left for the reader of the value to refuse. */
function goDuration(text: string): string {
  const parts = text.match(/\d+(?:\.\d+)?(?:ms|s|m|h)/g);
  if (parts === null || parts.join("") !== text) return text;
  return `${parts.reduce((sum, part) => sum + (durationMs(part) ?? 0), 0)}ms`;
}
