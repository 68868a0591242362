import type { ServiceStatus } from "@smartstack/core";
import type { StackConfig } from "./config.ts";

/** What a process is about to do, in a few plain lines. Pure. */
export function startLines(config: StackConfig, version: string): readonly string[] {
  const lines = [`smartstack ${version} ${config.role}`];
  if (config.nerve !== undefined) {
    const { engines, nerve } = config.nerve;
    const hosts = engines.map(({ host }) => host).join(", ");
    lines.push(`  watches   ${hosts === "" ? "no Docker (docker: false)" : `Docker at ${hosts}`}`);
    const services = Object.keys(nerve.services);
    if (services.length > 0) lines.push(`  announces ${services.join(", ")} from the config file`);
  }
  lines.push(`  registry  ${registryText(config.registry)}`);
  if (config.synapse !== undefined) lines.push(`  serves    ${servesText(config)}`);
  return lines;
}

/** One line per service: what it listens on and what stands behind it. Pure. */
export function servingLines(services: readonly ServiceStatus[]): readonly string[] {
  if (services.length === 0)
    return [
      "no service yet: start a container with a label, for example",
      "  docker run -d -l smartstack.service=web -l smartstack.listen=3000 --expose 80 some/web",
    ];
  return services.map((service) => {
    const listeners = service.listeners.map(({ address, state, reason }) =>
      state === "bound" ? address : `${address} (${reason ?? state})`,
    );
    const backends = service.backends.map(({ address, usable, reason }) =>
      usable ? address : `${address} (${reason})`,
    );
    const usable = service.backends.filter((backend) => backend.usable).length;
    return `${service.name}: ${listeners.join(" ") || "no listener"} → ${backends.join(", ") || "no backend"} [${service.mode}, ${usable} of ${service.backends.length} usable]`;
  });
}

function registryText(registry: StackConfig["registry"]): string {
  const { type } = registry;
  if (type === "memory") return "memory, in this process";
  const where = "prefix" in registry ? String(registry.prefix) : "";
  return "hosts" in registry ? `${type} at ${registry.hosts.join(",")}${where}` : `${type} at ${where}`;
}

function servesText(config: StackConfig): string {
  const named = Object.keys(config.synapse?.services ?? {});
  const globs = config.synapse?.discover ?? (config.role === "up" ? ["*"] : []);
  const parts: string[] = [];
  if (named.length > 0) parts.push(named.join(", "));
  if (globs.length > 0) {
    const which = globs.includes("*") ? "every service" : `services named ${globs.join(", ")}`;
    parts.push(`${which} that is announced, on localhost at the port it asks for`);
  }
  return parts.join(", and ") || "nothing: name services, or set discover";
}
