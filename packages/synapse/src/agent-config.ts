import { duration, port } from "@smartstack/core";
import type { AgentSpec } from "@smartstack/proxy";
import { z } from "zod";

/** The `agent:` key of a service's proxy, HAProxy's agent-check with its defaults: where each backend's agent is asked. */
export const agent = z
  .strictObject({
    port,
    /** An address or a name; absent: the backend's own. */
    host: z.string().min(1).optional(),
    interval: duration({ minMs: 100 }).default(2_000),
    timeout: duration({ minMs: 10 }).default(1_000),
    /** What it is sent first; "\\n" ends a line. */
    send: z.string().max(1_024).optional(),
  })
  .transform(
    (value): AgentSpec => ({
      port: value.port,
      intervalMs: value.interval,
      timeoutMs: value.timeout,
      ...(value.host === undefined ? {} : { host: value.host }),
      ...(value.send === undefined ? {} : { send: value.send }),
    }),
  );
