import type { Clock } from "@smartstack/core";
import type { AdminClient } from "../admin-client.ts";
import { reasonOf } from "../answer.ts";
import type { Terminal } from "../terminal.ts";
import { askUntil } from "./ask-until.ts";

/** Asks until the service has a usable backend; also while no process answers yet. Exit code 0, or 2 after `timeoutMs`. */
export async function wait(
  terminal: Terminal,
  client: AdminClient,
  service: string,
  timeoutMs: number,
  clock: Clock,
): Promise<number> {
  const reason = await askUntil(() => reasonAgainst(client, service), timeoutMs, clock);
  if (reason === undefined) return 0;
  terminal.error(`${service} is not ready after ${timeoutMs / 1_000} s: ${reason}`);
  return 2;
}

async function reasonAgainst(client: AdminClient, service: string): Promise<string | undefined> {
  const answer = await client.get(`/readyz?service=${encodeURIComponent(service)}`);
  if (answer.status === 200) return undefined;
  return `${answer.status} ${partsText(answer.body)}`;
}

function partsText(body: unknown): string {
  const parts = (body as { parts?: unknown } | null)?.parts;
  if (!Array.isArray(parts)) return reasonOf(body);
  const unready = (parts as readonly { part?: string; ready?: boolean; reason?: string }[]).filter(
    (each) => !each.ready,
  );
  return unready.map((each) => `${each.part}: ${each.reason}`).join("; ") || reasonOf(body);
}
