import { describeError, type StackEvent, type StackStatus } from "@smartstack/core";
import type { AdminClient } from "../admin-client.ts";
import { expectOk } from "../answer.ts";
import type { Role } from "../config.ts";
import { plain } from "../lines.ts";
import { prettyLine } from "../log.ts";
import { isKnownEvent, sentenceOf } from "../sentences.ts";
import { eventData } from "../server-sent-events.ts";
import type { Terminal } from "../terminal.ts";

/** Prints what happens, one line an event, until `signal` aborts: exit code 0; or until the process goes away: 2. */
export async function events(
  terminal: Terminal,
  client: AdminClient,
  json: boolean,
  signal: AbortSignal,
): Promise<number> {
  const { role } = expectOk<StackStatus>(await client.get("/api/v1/status"));
  let reason = "it ended the stream";
  try {
    for await (const data of eventData(await client.stream("/api/v1/events", signal)))
      terminal.print(json ? data : eventLine(data, role));
  } catch (error) {
    reason = describeError(error);
  }
  if (signal.aborted) return 0;
  terminal.error(`smartstack ${role} has gone away: ${reason}`);
  return 2;
}

/** `12:34:56 web: backend 10.0.0.1:80 added (…)`. Pure. */
export function eventLine(data: string, role: Role): string {
  const { at, ...event } = JSON.parse(data) as StackEvent & { readonly at: number };
  if (!isKnownEvent(event.name)) return plain(data);
  const { level, text } = sentenceOf(event as StackEvent, role);
  // Whoever follows the events wants those too that a log leaves out.
  return plain(prettyLine(at, level === "debug" ? "info" : level, text));
}
