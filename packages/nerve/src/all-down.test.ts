import { eventBus } from "@smartstack/core";
import { describe, expect, test } from "vitest";
import { heldUp, holdings } from "./all-down.ts";
import type { CheckSpec } from "./checks/index.ts";
import type { HealthState } from "./health.ts";

const CHECK: CheckSpec = {
  type: "tcp",
  host: "h",
  port: 1,
  options: {},
  published: false,
  intervalMs: 2_000,
  timeoutMs: 1_000,
  rise: 1,
  fall: 2,
  damping: undefined,
};

/** `down@1000`: down since then; without `@` it never was up. */
function one(text: string, checks: readonly CheckSpec[] = [CHECK]) {
  const [health = "", at] = text.split("@");
  return {
    key: text,
    health: health as HealthState,
    fellMs: at === undefined ? undefined : Number(at),
    offer: { checks },
  };
}

describe("held up", () => {
  test.each<[string, string[], string[]]>([
    ["nothing while one is up", ["up", "down@9000"], []],
    ["the only one", ["down@9000"], ["down@9000"]],
    ["those that fell together", ["down@4000", "down@9000"], ["down@4000", "down@9000"]],
    ["not one that had fallen before", ["down@2000", "down@9000"], ["down@9000"]],
    ["not one that never was up", ["down", "down@9000"], ["down@9000"]],
    ["nothing where none ever was", ["down", "starting"], []],
    ["though another only starts", ["starting", "down@9000"], ["down@9000"]],
    ["nothing of nothing", [], []],
  ])("%s", (_, texts, expected) => {
    expect(heldUp(texts.map((text) => one(text))).map(({ key }) => key)).toEqual(expected);
  });

  test("Docker's own checks notice one cause up to their interval apart", () => {
    const docker = (text: string) => one(text, [{ ...CHECK, type: "docker" }]);
    expect(heldUp([docker("down@1000"), docker("down@30000")])).toHaveLength(2);
    expect(heldUp([docker("down@1000"), docker("down@32000")])).toHaveLength(1);
  });
});

test("what is held is told when it begins and when it ends, and which keys that changes", () => {
  const told: string[] = [];
  const events = eventBus();
  events.subscribe(({ name, data }) => told.push(`${name} ${JSON.stringify(data)}`));
  const held = holdings(events);
  expect(held.hold("web", [])).toEqual([]);
  expect(held.hold("web", ["web/a", "web/b"])).toEqual(["web/a", "web/b"]);
  expect(held.hold("web", ["web/b", "web/c"])).toEqual(["web/c", "web/a"]);
  expect(held.hold("web", ["web/b", "web/c"])).toEqual([]);
  expect([held.has("web", "web/b"), held.has("web", "web/a"), held.has("db", "web/b")]).toEqual([true, false, false]);
  expect([...held.services()]).toEqual(["web"]);
  expect(held.hold("web", [])).toEqual(["web/b", "web/c"]);
  expect([...held.services()]).toEqual([]);
  expect(told).toEqual(['service.held {"service":"web","instances":2}', 'service.released {"service":"web"}']);
});
