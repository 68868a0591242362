import type { NetworkInterfaceInfo } from "node:os";
import { describe, expect, test } from "vitest";
import { type LocalReads, localNetwork } from "./local-network.ts";

const ROUTES =
  "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\ndocker0\t000011AC\t0\t0001\t0\t0\t0\t0000FFFF\n";
const ID = "ab".repeat(32);
const ETH0: NetworkInterfaceInfo = {
  address: "10.0.0.7",
  netmask: "255.255.255.0",
  family: "IPv4",
  mac: "00:00:00:00:00:00",
  internal: false,
  cidr: "10.0.0.7/24",
};

function failing(code: string): never {
  throw Object.assign(new Error(code), { code });
}

/** As os.networkInterfaces throws. */
function failingInterfaces(code: string): never {
  throw Object.assign(new Error(code), { code: "ERR_SYSTEM_ERROR", info: { code } });
}

const GOOD: LocalReads = {
  file: (path) => (path === "/proc/net/route" ? ROUTES : `1 2 8:1 /x/containers/${ID}/hostname /etc/hostname rw`),
  interfaces: () => ({ eth0: [ETH0] }),
};

/** A machine that can be made to fail. */
function machine() {
  let reads = GOOD;
  const local = localNetwork({ file: (path) => reads.file(path), interfaces: () => reads.interfaces() });
  const everything = () => ({ subnets: local.subnets(), addresses: local.addresses(), hints: local.containerHints() });
  const become = (next: Partial<LocalReads>): void => {
    reads = { ...GOOD, ...next };
  };
  return { local, everything, become };
}

test("its networks by routes and interfaces, its addresses, the container it may be in", () => {
  const { local } = machine();
  expect(local.subnets()).toEqual([
    { address: "172.17.0.0", prefix: 16 },
    { address: "10.0.0.7", prefix: 24 },
  ]);
  expect(local.addresses()).toContain("10.0.0.7");
  expect(local.containerHints()).toContain(ID);
});

test("the network that its default route leads through is no container's", () => {
  const { local, become } = machine();
  become({ file: () => `${ROUTES}eth0\t00000000\t0100000A\t0003\t0\t0\t0\t00000000\n` });
  expect(local.subnets()).toEqual([{ address: "172.17.0.0", prefix: 16 }]);
});

describe("a read that fails", () => {
  test.each(["EMFILE", "ENFILE", "ENOMEM", "EIO", "EACCES", "ENOENT"])("with %s is no news", (code) => {
    const { everything, become } = machine();
    const before = everything();
    become({ file: () => failing(code), interfaces: () => failingInterfaces(code) });
    expect(everything()).toEqual(before);
  });

  test("hides no change that is read the next time", () => {
    const { local, become } = machine();
    local.subnets();
    become({ file: () => failing("EMFILE") });
    local.subnets();
    become({ file: () => "" });
    expect(local.subnets()).toEqual([{ address: "10.0.0.7", prefix: 24 }]);
  });

  test.each<[string, Partial<LocalReads>]>([
    ["a file", { file: () => failing("EMFILE") }],
    ["the interfaces", { interfaces: () => failingInterfaces("EMFILE") }],
  ])("for want of resources, before it ever succeeded, is no answer: %s", (_, broken) => {
    const { everything, local, become } = machine();
    become(broken);
    expect(everything).toThrowError(expect.objectContaining({ code: "HOST_UNREADABLE", retry: "after-backoff" }));
    become({});
    expect(local.containerHints()).toContain(ID);
    expect(local.subnets()).toHaveLength(2);
  });

  test("for good, from the beginning: what the system does not show is not there", () => {
    const { local, become } = machine();
    become({ file: () => failing("ENOENT"), interfaces: () => failingInterfaces("EACCES") });
    expect(local.subnets()).toEqual([]);
    expect(local.containerHints()).not.toContain(ID);
    expect(local.addresses()).toContain("localhost");
  });
});
