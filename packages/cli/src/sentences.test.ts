import { describe, expect, it } from "vitest";
import { prettyLine } from "./log.ts";
import { sentenceOf } from "./sentences.ts";

describe("sentenceOf", () => {
  it("tells a change with its reason", () => {
    const event = {
      name: "backend.removed",
      data: { service: "web", id: "a-80", address: "10.0.0.1:80", reason: "withdrawn" },
    } as const;
    expect(sentenceOf(event, "up")).toEqual({ level: "info", text: "web: backend 10.0.0.1:80 removed: withdrawn" });
  });

  it("tells an announcement once: by synapse where there is one in the process", () => {
    const event = { name: "instance.announced", data: { service: "web", id: "a", address: "h:1" } } as const;
    expect(sentenceOf(event, "nerve").level).toBe("info");
    expect(sentenceOf(event, "up").level).toBe("debug");
  });
});

describe("prettyLine", () => {
  it("has the time of day, and the level where it matters", () => {
    expect(prettyLine(0, "info", "text")).toMatch(/^\d\d:\d\d:\d\d text$/);
    expect(prettyLine(0, "warn", "text")).toMatch(/^\d\d:\d\d:\d\d warn: text$/);
  });
});
