import { until } from "@smartstack/core/testing";
import { expect, test } from "vitest";
import { inspectQueue } from "./inspect-queue.ts";

function gated() {
  const begun: string[] = [];
  const waiting: (() => void)[] = [];
  const queue = inspectQueue(
    (id) => {
      begun.push(id);
      return new Promise((resolve) => waiting.push(resolve));
    },
    () => undefined,
  );
  return { begun, queue, release: () => waiting.shift()?.() };
}

test("however many events come, one inspect runs and one waits", async () => {
  const { begun, queue, release } = gated();
  for (let i = 0; i < 100; i++) queue.request("a");
  expect(begun).toEqual(["a"]);
  release();
  await until(() => begun.length === 2, { what: "the second" });
  release();
  queue.request("b");
  await until(() => begun.length === 3, { what: "the other's" });
  expect(begun).toEqual(["a", "a", "b"]);
});

test("not more than four at a time, and everyone's turn comes", async () => {
  const { begun, queue, release } = gated();
  for (const id of "abcdefgh") queue.request(id);
  expect(begun).toEqual(["a", "b", "c", "d"]);
  for (const _ of "abcdefgh") {
    release();
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(begun.join("")).toBe("abcdefgh");
});

test("a failure is told, and holds nobody up", async () => {
  const failed: string[] = [];
  const done: string[] = [];
  const queue = inspectQueue(
    async (id) => {
      if (id === "bad") throw new Error("500");
      done.push(id);
    },
    (id) => failed.push(id),
  );
  queue.request("bad");
  queue.request("good");
  await until(() => done.length === 1 && failed.length === 1, { what: "both" });
});

test("what is taken back is not asked for", async () => {
  const { begun, queue, release } = gated();
  queue.request("a");
  queue.request("a");
  queue.cancel("a");
  release();
  await new Promise((resolve) => setImmediate(resolve));
  expect(begun).toEqual(["a"]);
});
