import { fakeClock } from "@smartstack/core/testing";
import { expect, test } from "vitest";
import { type RouteAddress, routeAddress } from "./route-address.ts";

/** A machine with two registry hosts, each by its own route. */
function machine() {
  const routes = new Map([
    ["a", "10.0.0.1"],
    ["b", "10.1.0.1"],
  ]);
  const own = new Set(routes.values());
  const told: RouteAddress[] = [];
  const keeper = routeAddress({
    hosts: ["a", "b"],
    clock: fakeClock(),
    sourceTo: async (host) => routes.get(host),
    isOwn: (address) => own.has(address),
    onChange: () => told.push(keeper.current()),
  });
  return { routes, own, told, keeper };
}

test("the first host that has a route decides", async () => {
  const { keeper, told, routes } = machine();
  expect(keeper.current()).toBeUndefined();
  routes.delete("a");
  await keeper.look();
  expect(told).toEqual(["10.1.0.1"]);
});

test("a host that is not found for a moment moves nobody, neither away nor back", async () => {
  const { keeper, told, routes } = machine();
  await keeper.look();
  routes.delete("a");
  await keeper.look();
  routes.clear();
  await keeper.look();
  expect(told).toEqual(["10.0.0.1"]);
});

test("an address that this machine has lost is given up for another one, not for none", async () => {
  const { keeper, told, routes, own } = machine();
  await keeper.look();
  own.delete("10.0.0.1");
  routes.clear();
  await keeper.look();
  routes.set("b", "10.1.0.1");
  await keeper.look();
  expect(told).toEqual(["10.0.0.1", "10.1.0.1"]);
});

test("no route is told once, and looked for again", async () => {
  const { keeper, told, routes } = machine();
  routes.clear();
  await keeper.look();
  await keeper.look();
  routes.set("b", "10.1.0.1");
  await keeper.look();
  expect(told).toEqual([false, "10.1.0.1"]);
});

test("a registry that was on this machine may move to another", async () => {
  const { keeper, told, routes, own } = machine();
  own.add("127.0.0.1");
  routes.set("a", "127.0.0.1");
  await keeper.look();
  routes.set("a", "10.0.0.1");
  await keeper.look();
  expect(told).toEqual(["127.0.0.1", "10.0.0.1"]);
});
