import { expect, test } from "vitest";
import { containerHints, remoteHost, sourceAddressTo } from "./local-network.ts";
import { type Reach, reaches, reachReader, routedSubnets } from "./reach.ts";

const TABLE = `Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth0	00000000	010200C0	0003	0	0	0	00000000	0	0	0
docker0	000011AC	00000000	0001	0	0	0	0000FFFF	0	0	0
eth0	0000000A	00000000	0001	0	0	0	0000FFFF	0	0	0
eth1	0000200A	010200C0	0003	0	0	0	0000F0FF	0	0	0
*	00001EAC	00000000	0201	0	0	0	0000FFFF	0	0	0
`;

test("routes, but not the default route, nor the network it leads through, nor one that refuses", () => {
  expect(routedSubnets(TABLE)).toEqual([
    { address: "172.17.0.0", prefix: 16 },
    { address: "10.32.0.0", prefix: 12 },
  ]);
});

test("an overlay is not in reach for lying within a network of the host's", () => {
  const host: Reach = { kind: "host", subnets: [{ address: "10.0.0.7", prefix: 16 }], addresses: new Set() };
  const on = (ip: string, prefix: number | undefined): boolean =>
    reaches(host, { name: "n", id: "i", ip, ip6: undefined, prefix });
  expect(on("10.0.1.5", 24)).toBe(false);
  expect(on("10.0.1.5", 16)).toBe(true);
  expect(on("10.1.1.5", 16)).toBe(false);
});

test("on a host: what it has a route to", () => {
  const host: Reach = {
    kind: "host",
    subnets: [...routedSubnets(TABLE), { address: "fd00::", prefix: 64 }],
    addresses: new Set(),
  };
  const on = (ip?: string, ip6?: string): boolean => reaches(host, { name: "n", id: "i", ip, ip6, prefix: undefined });
  expect(on("172.17.3.4")).toBe(true);
  expect(on("172.18.3.4")).toBe(false);
  expect(on(undefined, "fd00::5")).toBe(true);
  expect(on(undefined, "fd01::5")).toBe(false);
  expect(on()).toBe(false);
});

test("in a container: the networks it is on, whatever their addresses", () => {
  const reach: Reach = { kind: "container", networks: new Set(["n1"]) };
  expect(reaches(reach, { name: "x", id: "n1", ip: "10.0.0.1", ip6: undefined, prefix: undefined })).toBe(true);
  expect(reaches(reach, { name: "x", id: "n2", ip: "10.0.0.1", ip6: undefined, prefix: undefined })).toBe(false);
});

test("what may be our own container's id", () => {
  const id = "ab".repeat(32);
  const mounts = `1 2 8:1 /var/lib/docker/containers/${id}/hostname /etc/hostname rw - ext4 /dev/sda1 rw`;
  expect(containerHints("web", mounts)).toEqual([id]);
  expect(containerHints("0123456789ab", "")).toEqual(["0123456789ab"]);
  const shown = `${mounts}\n3 2 0:5 / /x/containers/${"c".repeat(64)}/mounts/shm rw - tmpfs shm rw
4 2 8:1 /x/containers/${"d".repeat(64)}/hosts /host/etc/hosts rw - ext4 /dev/sda1 rw`;
  expect(containerHints("web", shown)).toEqual([id]);
  expect(containerHints("vm", "22 27 0:21 / /proc rw - proc proc rw")).toEqual([]);
});

test("the address on the route to somewhere", async () => {
  expect(await sourceAddressTo("127.0.0.1:2379")).toBe("127.0.0.1");
  expect(await sourceAddressTo("localhost")).toMatch(/^127\.|^::1$/);
  const both = ["::1", "127.0.0.1"].map((address, at) => ({ address, family: at === 0 ? 6 : 4 }));
  expect(await sourceAddressTo("both:2379", async () => both)).toBe("127.0.0.1");
  expect(await sourceAddressTo("six:2379", async () => both.slice(0, 1))).toBe("::1");
  expect(await sourceAddressTo("no.such.host.invalid:2379")).toBeUndefined();
});

test.each([
  ["unix:///var/run/docker.sock", undefined],
  ["tcp://127.0.0.1:2375", undefined],
  ["tcp://localhost", undefined],
  ["tcp://[::1]:2375", undefined],
  ["tcp://10.0.0.7:2375", undefined],
  ["tcp://HOST-A:2375", undefined],
  ["tcp://10.0.0.8:2375", "10.0.0.8"],
  ["tcp://[fd00::8]:2375", "fd00::8"],
  ["tcp://docker:2376", "docker"],
])("engine %s is on another machine: %s", (engine, host) => {
  expect(remoteHost(engine, new Set(["10.0.0.7", "host-a", "localhost"]))).toBe(host);
});

test("nothing of a remote engine is in reach, though the addresses are this machine's", () => {
  expect(
    reaches({ kind: "remote", host: "h" }, { name: "n", id: "i", ip: "172.17.0.2", ip6: undefined, prefix: undefined }),
  ).toBe(false);
});

test("what is reached is read again for a network nobody was seen on, and when it may be old", () => {
  let reads = 0;
  const reader = reachReader(() => {
    reads += 1;
    return { kind: "host", subnets: [], addresses: new Set() };
  });
  const on = (...ids: string[]) =>
    ids.map((id) => ({ name: id, id, ip: undefined, ip6: undefined, prefix: undefined }));
  for (let time = 0; time < 3; time++) reader.at(on("a"));
  expect(reads).toBe(1);
  reader.at(on("a", "b"));
  reader.at([]);
  reader.at(on("b"));
  expect(reads).toBe(2);
  reader.forget();
  reader.at(on("a"));
  expect(reads).toBe(3);
});
