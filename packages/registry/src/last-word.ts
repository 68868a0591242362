import { withDeadline } from "@smartstack/core";
import type { Holder, SessionOptions } from "./session.ts";

/** Closing takes 2 s at most, whatever the server does, on a busy machine, too. */
export const WITHDRAW_MS_MAX = 1_750;
const RENEW_MS_MAX = 1_000;

type Last = Pick<Holder, "renew" | "withdraw">;

/** What a session does before it lets go: it takes its instances, or gives them one whole ttl from here on. Never throws. */
export async function lastWord(
  mode: "keep" | "withdraw",
  { holder, link, clock }: Pick<SessionOptions, "link" | "clock"> & { readonly holder: Last },
  paths: readonly string[],
): Promise<void> {
  const [work, ms, what] =
    mode === "withdraw"
      ? ([holder.withdraw(paths), WITHDRAW_MS_MAX, "withdrawing our entries"] as const)
      : ([holder.renew(), RENEW_MS_MAX, "renewing our entries for the last time"] as const);
  try {
    await withDeadline(work, { clock, ms, what, side: "registry" });
  } catch (error) {
    // They live on then, for what is left of their time; the status says so.
    link.note(error);
  }
}
