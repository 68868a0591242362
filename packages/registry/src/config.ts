import { duration, passwordKeys } from "@smartstack/core";
import { z } from "zod";

/** Under this, one slow election or collection pause would cost every lease. */
const TTL_MS_MIN = 3_000;

/** How long entries outlive their owner, in milliseconds. */
export const ttl = duration({ minMs: TTL_MS_MIN, maxMs: 3_600_000 }).default(10_000);

const HOST = /^(\[[0-9a-fA-F:.]+\]|[^\s/:,[\]]+):\d{1,5}$/;

const CHROOT = /^(?:\/[^/\s]+)*$/;

const host = z
  .string()
  .trim()
  .regex(HOST, { error: 'expected "host:port"' })
  .refine((value) => Number(value.slice(value.lastIndexOf(":") + 1)) <= 65_535, { error: "port above 65535" });

/** One or more servers of one cluster, as `host:port`; a single string is taken for a list of one, and may hold commas. */
export const hosts = z
  .union([z.string(), z.array(z.string())])
  .transform((value) => (typeof value === "string" ? value.split(",") : value))
  .pipe(z.array(host).min(1, { error: "expected at least one host:port" }));

/** As `hosts`, with what ZooKeeper's connection strings may have: behind the last one, the path that all others are under. */
export const hostsWithChroot = z.union([z.string(), z.array(z.string())]).transform((value, context): string[] => {
  const { servers, chroot } = splitChroot(typeof value === "string" ? value.split(",") : value);
  const parsed = hosts.safeParse(servers);
  for (const { message, path } of parsed.error?.issues ?? []) context.addIssue({ code: "custom", message, path });
  if (!CHROOT.test(chroot)) context.addIssue({ code: "custom", message: `${chroot} is no path for a chroot` });
  return [...(parsed.data ?? []).slice(0, -1), `${parsed.data?.at(-1)}${chroot}`];
});

/** The servers of a list that `hostsWithChroot` took, and their chroot: "" or a path. */
export function splitChroot(list: readonly string[]): { readonly servers: readonly string[]; readonly chroot: string } {
  const last = list.at(-1) ?? "";
  const slash = last.indexOf("/");
  if (slash < 0) return { servers: list, chroot: "" };
  return { servers: [...list.slice(0, -1), last.slice(0, slash)], chroot: last.slice(slash).replace(/\/+$/, "") };
}

/** A path like /smartstack/services; a slash at its end is dropped. */
export const prefix = z
  .string()
  .transform((value) => value.replace(/\/+$/, ""))
  .pipe(
    z
      .string()
      .regex(/^(\/[A-Za-z0-9_-][A-Za-z0-9._-]*)+$/, { error: 'expected a path such as "/smartstack/services"' }),
  )
  .default("/smartstack/services");

/** Who we are to a registry that asks. */
export const auth = z
  .strictObject({ username: z.string().min(1), ...passwordKeys })
  .refine(({ password, password_file }) => (password === undefined) !== (password_file === undefined), {
    error: "expected either password or password_file",
  });
