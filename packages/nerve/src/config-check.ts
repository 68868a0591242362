import { duration } from "@smartstack/core";
import { z } from "zod";
import { CHECKS, type CheckType, CONFIG_CHECKS } from "./checks/index.ts";
import { configPort, hostOnly, nonEmpty } from "./config-values.ts";

export const checkInterval = duration({ minMs: 50 });
export const checkTimeout = duration({ minMs: 10, maxMs: 60_000 });
export const threshold = z.int().min(1).max(100);
/** Changes of health within a minute that are believed. */
export const damping = z.int().min(1).max(60);

/** What every kind of check takes. */
const COMMON = {
  name: nonEmpty.optional(),
  /** Default: the service's. */
  host: hostOnly.optional(),
  port: configPort.optional(),
  timeout: checkTimeout.optional(),
  rise: threshold.optional(),
  fall: threshold.optional(),
  damping: damping.optional(),
};

/** One entry of a service's `checks:`; its kind's own keys apart, as `options`. */
export type ConfigCheck = z.output<z.ZodObject<typeof COMMON>> & {
  readonly type: CheckType;
  readonly options: unknown;
};

/** One alternative for each kind of the table, told apart by `type`. */
export const configCheck = z
  .discriminatedUnion("type", alternatives(CONFIG_CHECKS.map(alternative)))
  .transform(({ type, ...rest }, context): ConfigCheck => {
    const own = Object.keys(CHECKS[type].keys);
    const entries = Object.entries(rest);
    const common = Object.fromEntries(entries.filter(([key]) => !own.includes(key)));
    const options = Object.fromEntries(entries.filter(([key]) => own.includes(key)));
    const problem = CHECKS[type].problem?.(options);
    if (problem !== undefined) context.addIssue({ code: "custom", message: problem });
    return { ...common, type, options };
  });

function alternative(type: CheckType) {
  return z.strictObject({ ...CHECKS[type].keys, ...COMMON, type: z.literal(type) });
}

type Alternative = ReturnType<typeof alternative>;

function alternatives(all: readonly Alternative[]): [Alternative, ...Alternative[]] {
  const [first, ...rest] = all;
  if (first === undefined) throw new Error("no kind of check is allowed in a configuration");
  return [first, ...rest];
}
