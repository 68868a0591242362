import { describe, expect, it } from "vitest";
import {
  assertInstanceId,
  assertServiceName,
  containerInstanceId,
  instanceIdProblem,
  nodeInstanceId,
  nodeNameProblem,
  serviceNameProblem,
} from "./names.ts";

describe("service names", () => {
  it.each(["a", "Web", "a.b_c-d", "0", "x".repeat(128)])("%s is one", (name) => {
    expect(serviceNameProblem(name)).toBeUndefined();
  });

  it.each(["", "-a", "a-", ".", "..", "a/b", "a b", "ä", "a\n", "x".repeat(129)])("%j is none", (name) => {
    expect(serviceNameProblem(name)).toContain(JSON.stringify(name));
    expect(() => assertServiceName(name)).toThrow(expect.objectContaining({ code: "NAME_INVALID", retry: "never" }));
  });
});

describe("instance ids", () => {
  it("cannot leave a folder", () => {
    for (const id of [".", "..", "a/b", "", "a\0", "x".repeat(129)]) {
      expect(instanceIdProblem(id)).toBeDefined();
      expect(() => assertInstanceId(id)).toThrow(expect.objectContaining({ code: "NAME_INVALID" }));
    }
    expect(instanceIdProblem("...")).toBeUndefined();
  });

  it("are made of container or node, and port", () => {
    expect(containerInstanceId("0123456789abcdef", 80)).toBe("0123456789ab-80");
    expect(containerInstanceId("0123456789abcdef", 53, "udp")).toBe("0123456789ab-53-udp");
    expect(nodeInstanceId("n", 80)).toBe("n-80");
  });
});

describe("node names", () => {
  it("are at most 64 characters and no dot file", () => {
    expect(nodeNameProblem("host-1.example")).toBeUndefined();
    for (const name of ["", ".nodes", "a b", "x".repeat(65)]) expect(nodeNameProblem(name)).toBeDefined();
  });
});
