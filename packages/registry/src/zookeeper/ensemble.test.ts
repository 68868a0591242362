import type { StackError } from "@smartstack/core";
import { describe, expect, it } from "vitest";
import type { ZooKeeper } from "./client.ts";
import { connections } from "./ensemble.ts";

const NEVER = new AbortController().signal;

/** A connection, and whether it was dropped. */
function connection(): ZooKeeper {
  const over = new AbortController();
  const zk: Partial<ZooKeeper> = {
    resume: { id: Buffer.from("id"), password: Buffer.from("password") },
    closed: over.signal,
    drop: (reason: StackError) => {
      if (!over.signal.aborted) over.abort(reason);
    },
  };
  return zk as ZooKeeper;
}

describe("connections", () => {
  it("drops what is open when it closes, and takes none after that", async () => {
    const zk = connection();
    const held = connections(async () => zk);
    expect(await held.take("node", NEVER)).toBe(zk);
    held.close();
    expect(zk.closed.reason).toMatchObject({ code: "CLOSED" });
    await expect(held.take("node", NEVER)).rejects.toMatchObject({ code: "CLOSED" });
  });

  it("tells one that is being made, and drops it should it come all the same", async () => {
    const zk = connection();
    let stopped = false;
    let made: () => void = () => undefined;
    const held = connections(
      (signal) =>
        new Promise((resolve) => {
          signal.addEventListener("abort", () => {
            stopped = true;
          });
          made = () => resolve(zk);
        }),
    );
    const taking = held.take("node", NEVER);
    held.close();
    expect(stopped).toBe(true);
    made();
    await expect(taking).rejects.toMatchObject({ code: "CLOSED" });
    expect(zk.closed.aborted).toBe(true);
  });

  it("resumes a node's session until that is forgotten", async () => {
    const resumed: (string | undefined)[] = [];
    const held = connections(async (_, resume) => {
      resumed.push(resume?.id.toString());
      return connection();
    });
    await held.take("node", NEVER);
    await held.take("node", NEVER);
    held.forget("node");
    await held.take("node", NEVER);
    expect(resumed).toEqual([undefined, "id", undefined]);
  });
});
