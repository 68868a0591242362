import { describe, expect, test } from "vitest";
import { heldUp } from "./all-down.ts";
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

/** `web:down@1000`: of service web, down since then; without `@` it never was up. */
function one(text: string, checks: readonly CheckSpec[] = [CHECK]) {
  const [, service = "", health = "", at] = /^(\w+):(\w+)(?:@(\d+))?$/.exec(text) ?? [];
  const fellMs = at === undefined ? undefined : Number(at);
  return { key: text, health: health as HealthState, fellMs, offer: { service, checks } };
}

const held = (...texts: string[]): Record<string, string[]> =>
  Object.fromEntries(
    [...heldUp(texts.map((text) => one(text)))].map(([service, all]) => [service, all.map(({ key }) => key)]),
  );

describe("held up", () => {
  test.each<[string, string[], Record<string, string[]>]>([
    ["nothing while one is up", ["web:up", "web:down@9000"], {}],
    ["the only one", ["web:down@9000"], { web: ["web:down@9000"] }],
    ["those that fell together", ["web:down@4000", "web:down@9000"], { web: ["web:down@4000", "web:down@9000"] }],
    ["not one that had fallen before", ["web:down@2000", "web:down@9000"], { web: ["web:down@9000"] }],
    ["not one that never was up", ["web:down", "web:down@9000"], { web: ["web:down@9000"] }],
    ["nothing where none ever was", ["web:down", "web:starting"], {}],
    ["though another only starts", ["web:starting", "web:down@9000"], { web: ["web:down@9000"] }],
    ["each service for itself", ["web:down@9000", "db:up"], { web: ["web:down@9000"] }],
    ["nothing of nothing", [], {}],
  ])("%s", (_, texts, expected) => {
    expect(held(...texts)).toEqual(expected);
  });

  test("Docker's own checks notice one cause up to their interval apart", () => {
    const docker = (text: string) => one(text, [{ ...CHECK, type: "docker" }]);
    expect(heldUp([docker("web:down@1000"), docker("web:down@30000")]).get("web")).toHaveLength(2);
    expect(heldUp([docker("web:down@1000"), docker("web:down@32000")]).get("web")).toHaveLength(1);
  });
});
