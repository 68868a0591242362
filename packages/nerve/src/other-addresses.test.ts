import { expect, test } from "vitest";
import { type AddressPolicy, chooseAddress } from "./addresses.ts";
import { otherAddresses } from "./other-addresses.ts";
import type { Place } from "./place.ts";

const PORT = { port: 80, protocol: "tcp" } as const;
const ALL: AddressPolicy = {
  shared: true,
  mode: "auto",
  network: undefined,
  advertise: "10.0.0.7",
  sourceAddress: undefined,
  reach: { kind: "container", networks: new Set(["a", "b"]) },
};
const LOCAL: AddressPolicy = { ...ALL, shared: false };
const PLACE: Place = {
  networkMode: "a",
  networks: [
    { name: "a", id: "a", ip: "172.18.0.2", ip6: undefined, prefix: undefined },
    { name: "b", id: "b", ip: "172.19.0.2", ip6: undefined, prefix: undefined },
    { name: "c", id: "c", ip: "172.20.0.2", ip6: undefined, prefix: undefined },
    { name: "ingress", id: "i", ip: "10.255.0.2", ip6: undefined, prefix: undefined },
    { name: "unused", id: "u", ip: undefined, ip6: undefined, prefix: undefined },
  ],
  published: [
    { ...PORT, hostIp: "0.0.0.0", hostPort: 32768 },
    { ...PORT, hostIp: "::", hostPort: 32768 },
    { ...PORT, hostIp: "127.0.0.1", hostPort: 8080 },
    { port: 81, protocol: "tcp", hostIp: "0.0.0.0", hostPort: 32769 },
  ],
  labels: {},
};

function others(policy: AddressPolicy, place = PLACE): readonly string[] {
  const chosen = chooseAddress(place, PORT, policy);
  if ("refused" in chosen) throw new Error(chosen.refused);
  return otherAddresses(place, PORT, policy, chosen);
}

test("an own address was chosen: neither another network's nor a published one", () => {
  expect(others(LOCAL)).toEqual([
    "172.19.0.2:80 on network b: a comes first by name",
    "172.20.0.2:80 on network c: nerve does not reach it",
    "10.255.0.2:80 on network ingress: swarm's ingress leads to no single container",
    "published as 32768: not needed, as the registry is read on this machine only",
    "published as 8080 on 127.0.0.1: not needed, as the registry is read on this machine only",
  ]);
  expect(others({ ...ALL, mode: "container", network: "b" })).toEqual([
    "172.18.0.2:80 on network a: network b is asked for",
    "172.20.0.2:80 on network c: network b is asked for",
    "10.255.0.2:80 on network ingress: network b is asked for",
    "published as 32768: container addresses are asked for",
    "published as 8080 on 127.0.0.1: container addresses are asked for",
  ]);
});

test("a published address was chosen: none that others do not reach", () => {
  const one: Place = { ...PLACE, networks: PLACE.networks.slice(0, 1) };
  expect(others(ALL, one)).toEqual([
    "172.18.0.2:80 on network a: the registry is read by other machines, which do not reach it",
    "published as 32768: port 80/tcp is published on :: only, which 10.0.0.7 (docker.advertise) does not reach",
    "published as 8080 on 127.0.0.1: port 80/tcp is published on 127.0.0.1 only: other machines cannot reach it",
  ]);
  expect(others({ ...LOCAL, mode: "host" }, one)).toContain(
    "172.18.0.2:80 on network a: published ports are asked for",
  );
  expect(others({ ...LOCAL, mode: "host" }, one)).toContain(
    "published as 8080 on 127.0.0.1: 10.0.0.7:32768 comes first",
  );
  expect(others({ ...LOCAL, reach: { kind: "remote", host: "10.0.0.8" } }, one)).toContain(
    "172.18.0.2:80 on network a: its engine is on another machine",
  );
});

test("on the host's network there is no other", () => {
  expect(others(ALL, { ...PLACE, networkMode: "host" })).toEqual([]);
});
