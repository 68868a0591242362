import { StackError } from "@smartstack/core";
import type { AdminAnswer } from "./admin-client.ts";

/** The body of a good answer. @throws StackError with what the API said. */
export function expectOk<T>(answer: AdminAnswer): T {
  if (answer.status >= 200 && answer.status < 300) return answer.body as T;
  throw new StackError("CLOSED", `admin API answered ${answer.status}: ${reasonOf(answer.body)}`, {
    side: "self",
    retry: "never",
  });
}

/** The list under `key` in the body of a good answer. @throws StackError */
export function listIn<T>(answer: AdminAnswer, key: string): readonly T[] {
  const list = expectOk<Record<string, unknown> | null>(answer)?.[key];
  return Array.isArray(list) ? (list as readonly T[]) : [];
}

/** What an error body says, in one line. */
export function reasonOf(body: unknown): string {
  if (typeof body === "string") return body.trim().slice(0, 500) || "no reason given";
  const record = body as Record<string, unknown> | null;
  for (const key of ["error", "reason", "message"]) {
    const value = record?.[key];
    if (typeof value === "string") return value;
  }
  return JSON.stringify(body);
}
