import { expect, it } from "vitest";
import { type Agent, afterLine, SILENT_AGENT } from "./agent-word.ts";

const say = (line: string, before: Agent = SILENT_AGENT): Agent => afterLine(before, line).agent;

it.each<[string, Partial<Agent>]>([
  ["75%", { percent: 75 }],
  ["0%", { percent: 0 }],
  ["up 50%", { percent: 50 }],
  ["drain", { admin: "drain" }],
  ["MAINT", { admin: "maint" }],
  ["ready,up\t30%", { percent: 30 }],
  ["down", { up: false, text: "down" }],
  ["failed # disk is full", { up: false, text: "failed: disk is full" }],
  ["stopped#a#b", { up: false, text: "stopped: a#b" }],
  ["maxconn:30", { slots: 30 }],
  ["", {}],
])("%j", (line, expected) => expect(say(line)).toEqual({ ...SILENT_AGENT, ...expected }));

it("what is not said stays as it was", () => {
  const down = say("down 25% maxconn:4 drain");
  expect(down).toEqual({ admin: "drain", up: false, text: "down", percent: 25, slots: 4 });
  expect(say("up", down)).toEqual({ ...down, up: true, text: "" });
  expect(say("ready", down)).toEqual({ ...down, admin: "ready" });
  expect(say("maxconn:0", down)).not.toHaveProperty("slots");
});

it("what nobody knows is told, and changes nothing", () => {
  const { agent, problem } = afterLine(SILENT_AGENT, `nonsense 40% -5% 1.5% maxconn:-1 ${"x".repeat(500)}`);
  expect(agent).toEqual({ ...SILENT_AGENT, percent: 40 });
  expect(problem).toBe("says what nobody knows: nonsense -5% 1.5%");
});
