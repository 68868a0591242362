import type { StackConfig } from "./config.ts";

/** Which containers this process does not look at, in sentences. Pure. */
export function unseenBy({ nerve }: Pick<StackConfig, "nerve">): readonly string[] {
  if (nerve === undefined) return ["this process looks at no containers: a nerve does (port 3211 by default)"];
  if (nerve.engines.length === 0) return ["this nerve looks at no containers (docker: false)"];
  return nerve.engines.flatMap(({ host, filter }) => {
    const asked = [filter.label ?? []].flat().map((label) => `label=${label}`);
    if (filter.project !== undefined) asked.push("project=own");
    return asked.length === 0
      ? []
      : [`docker.filter takes only containers with ${asked.join(" and ")} from ${host}; no other one is seen`];
  });
}
