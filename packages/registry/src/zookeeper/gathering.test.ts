import { describe, expect, it } from "vitest";
import { gathering } from "./gathering.ts";

describe("gathering", () => {
  it("keeps what is written in one turn until its end, each turn anew", async () => {
    const corked: number[] = [];
    const gather = gathering({
      cork: () => corked.push(1),
      uncork: () => corked.push(-1),
    });
    for (let turn = 0; turn < 2; turn++) {
      gather();
      gather();
      expect(corked).toEqual([1]);
      await new Promise((resolve) => setImmediate(resolve));
      expect(corked.splice(0)).toEqual([1, -1]);
    }
  });
});
