import { expect, it } from "vitest";
import { createSources, sourceOf } from "./sources.ts";
import type { Wire } from "./wire.ts";

const wire = (): Wire => ({}) as Wire;

it("a source is an IPv4 address, or the /64 of an IPv6 one", () => {
  expect(sourceOf("10.0.0.7")).toBe("10.0.0.7");
  expect(sourceOf("::ffff:10.0.0.7")).toBe("10.0.0.7");
  expect(sourceOf("2001:db8:0:1:aaaa::1")).toBe("2001:db8:0:1::/64");
  expect(sourceOf("2001:0db8::1")).toBe("2001:db8:0:0::/64");
  expect(sourceOf("fe80::1%eth0")).toBe("fe80:0:0:0::/64");
  expect(sourceOf("::1")).toBe("0:0:0:0::/64");
});

it("counts each source and service by itself, and forgets who left", () => {
  const sources = createSources();
  const [first, second, third] = [wire(), wire(), wire()];
  expect(sources.admit(first, "web", "10.0.0.7", 2)).toBe(true);
  expect(sources.admit(second, "web", "10.0.0.7", 2)).toBe(true);
  expect(sources.admit(third, "web", "10.0.0.7", 2)).toBe(false);
  expect(sources.admit(third, "web", "10.0.0.8", 2)).toBe(true);
  expect(sources.admit(wire(), "db", "10.0.0.7", 1)).toBe(true);
  sources.leave(wire());
  sources.leave(first);
  sources.leave(first);
  expect(sources.admit(wire(), "web", "10.0.0.7", 2)).toBe(true);
  expect(sources.admit(wire(), "web", "10.0.0.7", 2)).toBe(false);
});
