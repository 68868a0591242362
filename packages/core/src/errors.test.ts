import { describe, expect, it } from "vitest";
import { describeError, isStackError, StackError } from "./errors.ts";

describe("describeError", () => {
  it("joins a message and its causes, without repeating what was already said", () => {
    const socket = new Error("connect ECONNREFUSED 127.0.0.1:1");
    const client = new Error(`etcd: ${socket.message}`, { cause: socket });
    const error = new StackError("REGISTRY_UNREACHABLE", "cannot reach etcd", {
      side: "registry",
      retry: "after-backoff",
      cause: client,
    });
    expect(describeError(error)).toBe("cannot reach etcd: etcd: connect ECONNREFUSED 127.0.0.1:1");
  });

  it("is one line", () => {
    expect(describeError(new Error("a\n  b\n"))).toBe("a; b");
  });

  it("survives circles, and things that are no errors", () => {
    const circle = new Error("round");
    circle.cause = circle;
    expect(describeError(circle)).toBe("round");
    expect(describeError("text")).toBe("text");
    expect(describeError(undefined)).toBe("unknown error");
    expect(describeError(null)).toBe("unknown error");
    expect(describeError(42)).toBe("42");
    expect(describeError(new TypeError())).toBe("TypeError");
  });

  it("shows what Node hides in an aggregate", () => {
    const both = new AggregateError([new Error("::1 refused"), new Error("127.0.0.1 refused")]);
    expect(describeError(both)).toBe("::1 refused, 127.0.0.1 refused");
  });
});

describe("isStackError", () => {
  it("knows ours by shape and no others", () => {
    expect(isStackError(new StackError("CLOSED", "x", { side: "self", retry: "never" }))).toBe(true);
    expect(isStackError(Object.assign(new Error("x"), { code: "ENOENT" }))).toBe(false);
    expect(isStackError("CLOSED")).toBe(false);
  });
});
