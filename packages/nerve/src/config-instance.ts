import type { Instance } from "@smartstack/core";
import { CHECKS } from "./checks/index.ts";
import type { ConfigService } from "./config.ts";

/** The document of a service from configuration, without what only runtime knows. Pure. */
export function configInstance(spec: ConfigService, id: string): Instance {
  const { weight, labels, listen, zone } = spec;
  const options = spec.haproxy_server_options;
  const mode =
    spec.mode ?? (spec.checks.some((check) => CHECKS[check.type].plainHttp?.(check.options)) ? "http" : "tcp");
  return {
    host: spec.host,
    port: spec.port,
    ...(weight === undefined ? {} : { weight }),
    ...(options === undefined ? {} : { haproxyServerOptions: options }),
    ...(labels === undefined ? {} : { labels }),
    id,
    ...(listen === undefined ? {} : { listen }),
    mode,
    ...(zone === undefined ? {} : { zone }),
  };
}
