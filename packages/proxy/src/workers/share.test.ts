import { describe, expect, it } from "vitest";
import { fewestClients, keepsClient } from "./share.ts";

describe("a worker's share", () => {
  it.each([
    [0, 0, true],
    [7, 0, true],
    [8, 0, false],
    [39, 32, true],
    [40, 32, false],
    [1_249, 1_000, true],
    [1_250, 1_000, false],
  ])("with %d clients, of a share of %d, it keeps one more: %s", (clients, share, keeps) => {
    expect(keepsClient(clients, share)).toBe(keeps);
  });

  it("goes to whoever has the fewest, the first among equals", () => {
    expect(fewestClients([3, 1, 2, 1])).toBe(1);
    expect(fewestClients([])).toBeUndefined();
  });
});
