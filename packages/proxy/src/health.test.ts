import { describe, expect, it } from "vitest";
import { afterProbe, afterTrafficFailure, type Health, UNCHECKED } from "./health.ts";

const RULES = { rise: 2, fall: 3 };
const OK = { ok: true, reason: "connected" };
const BAD = { ok: false, reason: "connect refused" };

function after(...probes: readonly { ok: boolean; reason: string }[]): Health {
  return probes.reduce((health, probe) => afterProbe(health, probe, RULES), UNCHECKED);
}

describe("probes", () => {
  it("bring down after `fall` in a row, with the last reason", () => {
    expect(after(BAD, BAD).status).toBe("unchecked");
    expect(after(BAD, BAD, BAD)).toMatchObject({ status: "down", reason: "3 probes failed: connect refused" });
    expect(after(BAD, BAD, OK, BAD, BAD).status).toBe("up");
  });

  it("bring up after `rise` in a row, and not before", () => {
    expect(after(BAD, BAD, BAD, OK).status).toBe("down");
    expect(after(BAD, BAD, BAD, OK, BAD, OK).status).toBe("down");
    expect(after(BAD, BAD, BAD, OK, OK)).toMatchObject({ status: "up", reason: "2 probes passed" });
  });
});

describe("a failure in live traffic", () => {
  it("brings down at once, and the probes' rise brings back", () => {
    const ejected = afterTrafficFailure(after(OK), "connect refused");
    expect(ejected).toMatchObject({ status: "down", reason: "ejected: connect refused" });
    expect(afterProbe(afterProbe(ejected, OK, RULES), OK, RULES).status).toBe("up");
  });

  it("adds nothing to one that is down", () => {
    const down = after(BAD, BAD, BAD, OK);
    expect(afterTrafficFailure(down, "x")).toBe(down);
  });
});
