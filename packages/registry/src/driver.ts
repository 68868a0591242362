import type { Clock, EventBus, Random, Registry } from "@smartstack/core";
import type { z } from "zod";

/** What a driver gets besides its configuration. */
export interface RegistryDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly events: EventBus;
}

/** One kind of registry: its part of the configuration, and how to open it. See README.md for a skeleton. */
export interface Driver<C extends { readonly type: string }> {
  readonly config: z.ZodType<C>;
  /** Must not connect, nor throw because a server is away. The client library is imported here, so that others never load it. */
  open(config: C, deps: RegistryDeps): Promise<Registry>;
}

/** How long one call to a registry may take. Long enough for a leader election, short enough to notice a frozen server. */
export const CALL_MS_MAX = 3_000;

/** How often a quiet watch or session asks whether its server still answers, and how long it waits for that. Together under 5 s. */
export const PROBE_EVERY_MS = 2_000;
export const PROBE_MS_MAX = 2_500;

/** What fits into one transaction everywhere: etcd takes 128 operations and 1.5 MiB, ZooKeeper 1 MiB. */
const TRANSACTION_OPERATIONS_MAX = 100;
const TRANSACTION_BYTES_MAX = 512 * 1024;

/** Splits writes into transactions. */
export function transactionsOf<T extends { readonly text: string }>(writes: readonly T[]): T[][] {
  const transactions: T[][] = [];
  let current: T[] = [];
  let bytes = 0;
  for (const write of writes) {
    const size = Buffer.byteLength(write.text) + 512;
    // Two short of the limit: a condition and the node entry travel along.
    if (
      current.length >= TRANSACTION_OPERATIONS_MAX - 2 ||
      (current.length > 0 && bytes + size > TRANSACTION_BYTES_MAX)
    ) {
      transactions.push(current);
      current = [];
      bytes = 0;
    }
    current.push(write);
    bytes += size;
  }
  if (current.length > 0) transactions.push(current);
  return transactions;
}
