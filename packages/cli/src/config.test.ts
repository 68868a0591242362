import { isStackError } from "@smartstack/core";
import { describe, expect, it } from "vitest";
import { guessRole, loadStackConfig, maskedConfig, type Role } from "./config.ts";

const load = (role: Role, text: string) => loadStackConfig(role, { file: "f.yaml", text, env: {} });

function faults(role: Role, text: string): string {
  try {
    load(role, text);
  } catch (error) {
    if (isStackError(error) && error.code === "CONFIG_INVALID") return error.message;
    throw error;
  }
  return "accepted";
}

describe("up", () => {
  it("needs no file at all", () => {
    const { value, warnings } = load("up", "");
    expect(warnings).toEqual([]);
    expect(value.registry).toEqual({ type: "memory" });
    expect(value.nerve?.engines).toMatchObject([{ host: "unix:///var/run/docker.sock" }]);
    expect(value.synapse?.discover).toBeUndefined();
    expect(value.admin?.listen).toBe("127.0.0.1:3210");
  });

  it("takes the design's example, with nerve's and synapse's keys in their sections", () => {
    const { value, warnings } = load(
      "up",
      `
docker: {advertise: 10.0.0.7, filter: {label: com.docker.compose.project=shop}}
nerve:
  on_stop: withdraw
  services:
    db:
      host: 10.0.0.9
      port: 80
      checks: [{type: redis, password: s3cret-redis}, {type: http, headers: {Authorization: Basic s3cret-http}}]
synapse:
  discover: off
  listen_ports: 1024-65535
  services:
    web:
      proxy: {listen: ["127.0.0.1:3000"], mode: http, balance: round_robin}
admin: {listen: "127.0.0.1:4000", token: s3cret}
log: {format: json}`,
    );
    expect(warnings).toEqual([]);
    expect(value.nerve?.nerve.on_stop).toBe("withdraw");
    expect(value.synapse?.discover).toEqual([]);
    expect(value.synapse?.services.web?.proxy.mode).toBe("http");
    expect(JSON.stringify(maskedConfig(value))).not.toContain("s3cret");
  });

  it("can do without Docker and without an admin API", () => {
    const { value } = load("up", "docker: false\nadmin: off");
    expect(value.nerve?.engines).toEqual([]);
    expect(value.admin).toBeUndefined();
  });

  it("warns of a key in the wrong dialect or misspelt", () => {
    expect(load("up", "services: {}\nsynapse: {discovr: x}").warnings).toEqual([
      "f.yaml:1:1: unknown key services",
      "f.yaml:2:11: unknown key discovr in synapse, did you mean discover?",
    ]);
  });
});

describe("Docker engines", () => {
  const up = (text: string, env: Record<string, string> = {}) => loadStackConfig("up", { file: "f.yaml", text, env });

  it("come from the file, else from DOCKER_HOST", () => {
    const env = { DOCKER_HOST: "tcp://10.0.0.8:2375" };
    expect(up("", env).value.nerve?.engines).toMatchObject([{ host: "tcp://10.0.0.8:2375" }]);
    expect(up("docker: {host: 'unix:///x'}", env).value.nerve?.engines).toMatchObject([{ host: "unix:///x" }]);
    expect(up("docker: false", env).value.nerve?.engines).toEqual([]);
  });

  it("can be several, and their faults have a place", () => {
    const text = "docker:\n  - {host: 'tcp://a', node: one}\n  - {advertize: b}";
    const { value, warnings } = up(text);
    expect(value.nerve?.engines).toHaveLength(2);
    expect(warnings).toEqual(["f.yaml:3:6: unknown key advertize in docker.1, did you mean advertise?"]);
    expect(faults("up", "docker:\n  - {host: 'tcp://a'}\n  - {host: /x}")).toMatch(
      /^f\.yaml:3:6: docker\.1\.host: expected unix/,
    );
    expect(faults("up", "docker: {host: ssh}")).toMatch(/^f\.yaml:1:10: docker\.host: expected unix/);
  });

  it("that the environment names wrongly are a fault of the file's reader, not a crash", () => {
    expect(() => up("", { DOCKER_HOST: "ssh://a" })).toThrow(/^f\.yaml: DOCKER_HOST is ssh:\/\/a, expected/);
  });
});

describe("nerve", () => {
  it("leaves Docker off when the file has services and no docker key, as the originals' do", () => {
    const services = "registry: {type: etcd, hosts: [a:1]}\nservices: {web: {host: 127.0.0.1, port: 80}}";
    expect(load("nerve", services).value.nerve?.engines).toEqual([]);
    expect(load("nerve", `${services}\ndocker: {}`).value.nerve?.engines).toMatchObject([{ address: "auto" }]);
    expect(load("nerve", "registry: {type: etcd, hosts: [a:1]}").value.nerve?.engines).toMatchObject([
      { address: "auto" },
    ]);
    expect(load("nerve", services).value.admin?.listen).toBe("127.0.0.1:3211");
  });

  it("refuses memory, which nobody else could read", () => {
    expect(faults("nerve", "")).toMatch(/^f\.yaml:1:1: registry\.type: memory/);
    expect(faults("nerve", "registry:\n  type: memory")).toMatch(/^f\.yaml:2:3: registry\.type: memory/);
  });
});

describe("synapse", () => {
  it("refuses memory where anything uses it, and only there", () => {
    expect(load("synapse", "").value.synapse?.services).toEqual({});
    const fixed =
      "services: {db: {discovery: {method: base}, default_servers: [{name: a, host: 10.0.0.1, port: 5432}]}}";
    expect(faults("synapse", fixed)).toBe("accepted");
    expect(faults("synapse", "services: {web: {}}")).toContain("memory works inside `smartstack up` only");
    expect(faults("synapse", "discover: '*'")).toContain("registry.type");
    expect(faults("synapse", "services: {web: {discovery: {method: memory}}}")).toContain(
      "services.web.discovery.method",
    );
    expect(faults("synapse", "registry: {type: etcd, hosts: [a:1]}\ndiscover: '*'")).toBe("accepted");
  });
});

describe("guessRole", () => {
  it.each<[string, Role]>([
    ["", "up"],
    ["docker: {}", "up"],
    ["synapse: {}", "up"],
    ["nerve: {services: {web: {host: h, port: 1}}}", "up"],
    ["instance_id: a\nservices: {web: {host: h, port: 1, checks: []}}", "nerve"],
    ["registry: {type: etcd, hosts: [a:1]}\non_stop: keep", "nerve"],
    ["services: {web: {host: h, port: 1}}", "nerve"],
    ["services: {web: {discovery: {method: zookeeper}, haproxy: {port: 1}}}\nhaproxy: {}", "synapse"],
    ["services: {web: {proxy: {listen: [3000]}}}", "synapse"],
    ["registry: {type: etcd, hosts: [a:1]}\ndocker: {filter: {project: own}}", "nerve"],
    ["discover: '*'", "synapse"],
    ["services: {}\ncache: /x", "synapse"],
  ])("%j is for %s", (text, role) => {
    expect(guessRole({ file: "f", text, env: {} })).toBe(role);
  });
});
