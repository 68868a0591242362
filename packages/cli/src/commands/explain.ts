import type { AdminClient } from "../admin-client.ts";
import { expectOk } from "../answer.ts";
import { printLines } from "../lines.ts";
import type { Terminal } from "../terminal.ts";

/**
 * Says of a container, an instance or a service whether it is registered and routed, and why. Returns the exit code: 2
 * when nothing is called so.
 */
export async function explain(terminal: Terminal, client: AdminClient, name: string, json: boolean): Promise<number> {
  const answer = await client.get(`/api/v1/explain?name=${encodeURIComponent(name)}`);
  const { lines } = (answer.body ?? {}) as { readonly lines?: unknown };
  // Not found is an answer too, and says what may be the cause.
  const said = Array.isArray(lines)
    ? (lines as readonly string[])
    : expectOk<{ lines: readonly string[] }>(answer).lines;
  if (json) terminal.print(JSON.stringify(answer.body, null, 2));
  else printLines(terminal, said);
  return answer.status === 200 ? 0 : 2;
}
