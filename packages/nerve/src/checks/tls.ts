import { readFile } from "node:fs/promises";
import { z } from "zod";
import type { OptionsOf } from "./check.ts";

/** The keys of a check that can go over TLS. */
export const tlsKeys = {
  tls: z.boolean().optional(),
  /**
   * The certificate must be valid, for the name that is asked for. Off unless said or a `ca_file` is given: a check asks
   * an address, whose certificate is mostly for a name, and sends nothing worth stealing.
   */
  verify: z.boolean().optional(),
  /** PEM, instead of the well-known authorities. */
  ca_file: z.string().min(1).optional(),
};

export interface TlsTrust {
  readonly rejectUnauthorized: boolean;
  readonly ca?: Buffer;
}

/** Whom to believe, as node:tls takes it. @throws Error that names the file when it cannot be read. */
export async function tlsTrust(options: OptionsOf<typeof tlsKeys>): Promise<TlsTrust> {
  const file = options.ca_file;
  const rejectUnauthorized = options.verify ?? file !== undefined;
  if (file === undefined) return { rejectUnauthorized };
  const ca = await readFile(file).catch((cause: unknown) => {
    throw new Error("ca_file cannot be read", { cause });
  });
  return { rejectUnauthorized, ca };
}
