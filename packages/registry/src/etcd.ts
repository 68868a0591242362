import { z } from "zod";
import { auth, hosts, prefix, ttl } from "./config.ts";
import type { Driver } from "./driver.ts";
import { LAYOUTS, type LayoutName } from "./layouts/index.ts";

const file = z.string().min(1);

/** Files are read for every connection, so that renewed ones are taken without a restart. */
const tls = z
  .strictObject({
    /** Absent: the authorities that Node knows. */
    ca_file: file.optional(),
    cert_file: file.optional(),
    key_file: file.optional(),
    /** The name in the servers' certificate, where that is not the host that is dialled. */
    server_name: z
      .string()
      .regex(/^[A-Za-z0-9._-]{1,255}$/, "expected a host name")
      .optional(),
  })
  .refine((value) => (value.cert_file === undefined) === (value.key_file === undefined), {
    error: "cert_file and key_file go together",
  });

const config = z.strictObject({
  type: z.literal("etcd"),
  hosts,
  prefix,
  ttl,
  tls: tls.optional(),
  auth: auth.optional(),
  /** Entries that another tool lays out under the prefix: they are read, and nothing is announced. */
  layout: z.enum(Object.keys(LAYOUTS) as [LayoutName, ...LayoutName[]]).optional(),
});

export type EtcdConfig = z.output<typeof config>;

/** etcd, version 3 API: one lease for each nerve. */
export const etcd: Driver<EtcdConfig> = {
  config,
  async open(settings, deps) {
    const { etcdRegistry } = await import("./etcd/registry.ts");
    return etcdRegistry(settings, deps);
  },
};
