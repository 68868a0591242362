import { duration, httpCheckMethod, httpHeaders, httpPath, httpStatuses, port } from "@smartstack/core";
import { type CheckSpec, DEFAULT_CHECK } from "@smartstack/proxy";
import { z } from "zod";

const httpCheckKeys = {
  method: httpCheckMethod.optional(),
  path: httpPath.optional(),
  headers: httpHeaders.optional(),
  /** One or several; default 200-399. */
  status: httpStatuses.optional(),
  /** The body must contain it. */
  expect: z.string().min(1).optional(),
};

/** The `check:` key of a service's proxy: how the proxy itself probes backends. */
export const check = z
  .strictObject({
    type: z.enum(["tcp", "http"]).default(DEFAULT_CHECK.type),
    when: z.enum(["on_doubt", "always", "off"]).default(DEFAULT_CHECK.when),
    interval: duration({ minMs: 100 }).default(DEFAULT_CHECK.intervalMs),
    timeout: duration({ minMs: 10 }).default(DEFAULT_CHECK.timeoutMs),
    rise: z.int().min(1).max(100).default(DEFAULT_CHECK.rise),
    fall: z.int().min(1).max(100).default(DEFAULT_CHECK.fall),
    fast_interval: duration({ minMs: 100 }).optional(),
    down_interval: duration({ minMs: 100 }).optional(),
    /** Where checks are answered, if not at the backend's own port. */
    port: port.optional(),
    ...httpCheckKeys,
  })
  .superRefine((value, context) => {
    if (value.type === "http") return;
    for (const key of Object.keys(httpCheckKeys) as (keyof typeof httpCheckKeys)[]) {
      if (value[key] !== undefined)
        context.addIssue({ code: "custom", path: [key], message: "is asked over HTTP only: set type: http" });
    }
  })
  .transform(
    (value): CheckSpec => ({
      type: value.type,
      when: value.when,
      intervalMs: value.interval,
      timeoutMs: value.timeout,
      rise: value.rise,
      fall: value.fall,
      ...(value.fast_interval === undefined ? {} : { fastIntervalMs: value.fast_interval }),
      ...(value.down_interval === undefined ? {} : { downIntervalMs: value.down_interval }),
      ...(value.port === undefined ? {} : { port: value.port }),
      ...(value.type === "http" ? { path: value.path ?? "/" } : {}),
      ...(value.method === undefined ? {} : { method: value.method }),
      ...(value.headers === undefined ? {} : { headers: value.headers }),
      ...(value.status === undefined ? {} : { status: value.status }),
      ...(value.expect === undefined ? {} : { expect: value.expect }),
    }),
  );
