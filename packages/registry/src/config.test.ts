import { describe, expect, it } from "vitest";
import { splitChroot } from "./config.ts";
import { REGISTRY_TYPES, registryConfig, serversOf } from "./index.ts";

function problemsOf(value: unknown): string[] {
  const result = registryConfig.safeParse(value);
  return result.success ? [] : result.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
}

describe("registryConfig", () => {
  it("knows every driver of the table", () => {
    expect(REGISTRY_TYPES).toEqual(["etcd", "file", "memory", "zookeeper", "zookeeper-nerve"]);
    expect(problemsOf({ type: "consul" }).join()).toMatch(/type/);
  });

  it("fills in the defaults", () => {
    expect(registryConfig.parse({ type: "etcd", hosts: "10.0.0.1:2379" })).toEqual({
      type: "etcd",
      hosts: ["10.0.0.1:2379"],
      prefix: "/smartstack/services",
      ttl: 10_000,
    });
    expect(registryConfig.parse({ type: "memory" })).toEqual({ type: "memory" });
  });

  it("takes hosts as a list, or as one string with commas, and IPv6 in brackets", () => {
    const hosts = (value: unknown): unknown => registryConfig.parse({ type: "zookeeper", hosts: value });
    expect(hosts("a:1, b:2")).toMatchObject({ hosts: ["a:1", "b:2"] });
    expect(hosts(["[::1]:2181"])).toMatchObject({ hosts: ["[::1]:2181"] });
  });

  it.each([
    [{ type: "etcd" }, "hosts"],
    [{ type: "etcd", hosts: "http://a:1" }, "host:port"],
    [{ type: "etcd", hosts: "a:99999" }, "port"],
    [{ type: "etcd", hosts: [] }, "at least one"],
    [{ type: "etcd", hosts: "a:1", ttl: 2 }, "3s"],
    [{ type: "etcd", hosts: "a:1", prefix: "relative" }, "/smartstack/services"],
    [{ type: "etcd", hosts: "a:1", ttll: 3 }, "ttll"],
    [{ type: "file", prefix: "relative" }, "absolute path"],
    [{ type: "zookeeper", hosts: "a:1/x,b:2" }, 'hosts.0: expected "host:port"'],
    [{ type: "zookeeper", hosts: "a:1,b:2/x y" }, "/x y is no path"],
    [{ type: "zookeeper", hosts: "a:1", auth: { username: "u" } }, "auth: expected either password or password_file"],
    [{ type: "zookeeper", hosts: "a:1", access: "all" }, "access"],
    [{ type: "zookeeper-nerve", hosts: "a:1", path: "services" }, "/nerve/services/{service}/services"],
    [{ type: "zookeeper-nerve", hosts: "a:1", path: "/x{service}/y" }, "one part of the path"],
    [{ type: "zookeeper-nerve", hosts: "a:1", path: "/x", node_type: "container" }, "node_type"],
  ])("refuses %j, naming what is wrong", (value, reason) => {
    expect(problemsOf(value).join()).toContain(reason);
  });

  it("takes a chroot behind ZooKeeper's last host", () => {
    const config = { type: "zookeeper", hosts: "a:1, b:2/shop/", auth: { username: "u", password_file: "/p" } };
    expect(registryConfig.parse(config)).toMatchObject({ hosts: ["a:1", "b:2/shop"], prefix: "/smartstack/services" });
    expect(splitChroot(["a:1", "b:2/shop"])).toEqual({ servers: ["a:1", "b:2"], chroot: "/shop" });
    expect(splitChroot(["a:1"])).toEqual({ servers: ["a:1"], chroot: "" });
    expect(serversOf(registryConfig.parse(config))).toEqual(["a:1", "b:2"]);
  });

  it("drops a slash at the end of a prefix", () => {
    expect(registryConfig.parse({ type: "etcd", hosts: "a:1", prefix: "/x/y/" })).toMatchObject({ prefix: "/x/y" });
  });
});

describe("registry.tls and registry.auth of etcd", () => {
  const etcd = (more: object): string[] => problemsOf({ type: "etcd", hosts: "a:1", ...more });

  it("take files and a password, each in one of its ways", () => {
    expect(etcd({ tls: {} })).toEqual([]);
    expect(etcd({ tls: { ca_file: "ca", cert_file: "c", key_file: "k", server_name: "etcd.test" } })).toEqual([]);
    expect(etcd({ auth: { username: "u", password_file: "p" } })).toEqual([]);
  });

  it.each([
    [{ tls: { cert_file: "c" } }, /^tls: cert_file and key_file go together/],
    [{ tls: { server_name: "a b" } }, /^tls\.server_name: expected a host name/],
    [{ auth: { username: "u" } }, /^auth: expected either password or password_file/],
    [{ auth: { username: "u", password: "p", password_file: "p" } }, /^auth: expected either/],
    [{ auth: { password: "p" } }, /^auth\.username/],
  ])("refuse %j", (more, problem) => {
    expect(etcd(more).join()).toMatch(problem);
  });
});
