import { duration } from "@smartstack/core";
import { type BalanceName, DEFAULT_HASH, type HashSpec, type SharingSpec } from "@smartstack/proxy";
import { z } from "zod";

/** HAProxy's words for what we call otherwise. */
const HAPROXY_WORDS: Readonly<Record<string, BalanceName>> = { roundrobin: "round_robin", leastconn: "least_conn" };
const WITHOUT_NAME = ["ewma", "first", "least_conn", "random", "round_robin", "source", "uri"] as const;
const HASHING: readonly BalanceName[] = ["cookie", "header", "source", "uri"];

/** How a service is balanced. */
export interface BalanceConfig {
  readonly algorithm: BalanceName;
  /** For those that hash. */
  readonly hash?: HashSpec;
}

/** RFC 9110 §5.6.2. */
const token = z.string().regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$/, "expected a name such as X-User");

/** The words alone; what hashes a header may be said in HAProxy's way. */
const word = z.string().transform((text, context): BalanceConfig => {
  const algorithm = HAPROXY_WORDS[text] ?? WITHOUT_NAME.find((name) => name === text);
  const header = /^hdr\(([^()]+)\)$/.exec(text)?.[1];
  if (algorithm !== undefined) return withHash(algorithm, DEFAULT_HASH);
  if (header !== undefined && token.safeParse(header).success)
    return withHash("header", { ...DEFAULT_HASH, name: header.toLowerCase() });
  const message = `expected ${WITHOUT_NAME.join(", ")}, or a header or cookie by name: {header: X-User}, {cookie: session}`;
  context.addIssue({ code: "custom", message });
  return z.NEVER;
});

const withOptions = z
  .strictObject({
    by: z.enum(WITHOUT_NAME).optional(),
    /** Instead of `by`: the value of this header, or of this cookie. */
    header: token.optional(),
    cookie: token.optional(),
    /** For uri: with the query. */
    whole: z.boolean().default(false),
    /** Nobody gets more than this many percent of an even share of what runs. */
    load_factor: z.int().min(101).max(10_000).optional(),
    /** On the ring, per unit of weight. 16 with servers' ids in `id` chooses as HAProxy does. */
    points: z.int().min(1).max(4_096).default(DEFAULT_HASH.points),
  })
  .superRefine(({ by, header, cookie, load_factor, whole }, context) => {
    const said = [by, header, cookie].filter((each) => each !== undefined).length;
    if (said !== 1) context.addIssue({ code: "custom", message: "expected one of by, header and cookie" });
    else if (load_factor !== undefined && by !== undefined && !HASHING.includes(by))
      context.addIssue({ code: "custom", path: ["load_factor"], message: `${by} does not hash: leave it out` });
    else if (whole && by !== "uri")
      context.addIssue({ code: "custom", path: ["whole"], message: "goes with by: uri: leave it out" });
  })
  .transform(({ by, header, cookie, whole, load_factor: loadFactor = 0, points }): BalanceConfig => {
    const hash = { name: header?.toLowerCase() ?? cookie ?? "", whole, loadFactor, points };
    return withHash(by ?? (header === undefined ? "cookie" : "header"), hash);
  });

/** The `balance:` key of a service's proxy. */
export const balance = z.union([word, withOptions]);

function withHash(algorithm: BalanceName, hash: HashSpec): BalanceConfig {
  return HASHING.includes(algorithm) ? { algorithm, hash } : { algorithm };
}

export const percent = z
  .union([z.number(), z.string().regex(/^\d{1,3}(\.\d+)?%?$/, 'expected percent, such as "5%"')])
  .transform((value) => Number.parseFloat(String(value)))
  .pipe(z.number().min(0).max(100));

/** By their names: which instances they are, by labels that all must fit, and how much of the traffic is theirs. */
export const subsets = z
  .record(
    z.string().min(1),
    z.strictObject({ labels: z.record(z.string(), z.string()).refine(hasEntries, "expected a label"), share: percent }),
  )
  .refine((all) => Object.values(all).reduce((sum, { share }) => sum + share, 0) <= 100, "shares above 100 % in all");

export type SubsetsConfig = z.output<typeof subsets>;

function hasEntries(labels: object): boolean {
  return Object.keys(labels).length > 0;
}

/** Keys of a service's proxy that turn weights into shares of traffic. */
export const sharingKeys = {
  slow_start: duration().default(0),
  /** The instances of our own zone, where the configuration names it, come first. */
  zone_first: z.boolean().default(true),
  /** Which backups stand in when nobody else can: HAProxy's `option allbackups`, or without it. */
  backups: z.enum(["all", "first"]).default("first"),
  /** With a smaller part of the backends usable, all get traffic. */
  panic: percent.prefault(0),
  subsets: subsets.default({}),
};

interface SharingSettings {
  readonly slow_start: number;
  readonly zone_first: boolean;
  readonly backups: "all" | "first";
  readonly panic: number;
  readonly subsets: SubsetsConfig;
}

/** `zone` is where this proxy is. */
export function sharingOf(settings: SharingSettings, zone: string | undefined): SharingSpec {
  return {
    ...(zone === undefined || !settings.zone_first ? {} : { zone }),
    backups: settings.backups,
    subsets: Object.entries(settings.subsets).map(([name, { share }]) => ({ name, share })),
    slowStartMs: settings.slow_start,
    panicPercent: settings.panic,
  };
}

/** The first subset whose labels the instance has all of. */
export function subsetOf(labels: Readonly<Record<string, string>> = {}, all: SubsetsConfig): string | undefined {
  const fits = ([, subset]: readonly [string, SubsetsConfig[string]]): boolean =>
    Object.entries(subset.labels).every(([key, value]) => labels[key] === value);
  return Object.entries(all).find(fits)?.[0];
}
