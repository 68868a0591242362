import { expect, test } from "vitest";
import { changes } from "./changes.ts";

const { signal } = new AbortController();

test("what is marked until it is taken is taken together, and once", async () => {
  const marked = changes();
  marked.mark(["web/a"]);
  marked.mark(["web/b", "web/a"]);
  expect(await marked.take(signal)).toEqual(new Set(["web/a", "web/b"]));
  const next = marked.take(signal);
  marked.mark([]);
  marked.mark(["web/c"]);
  expect(await next).toEqual(new Set(["web/c"]));
});

test("everything swallows what is marked before and after it", async () => {
  const marked = changes();
  marked.mark(["web/a"]);
  marked.markAll();
  marked.mark(["web/b"]);
  expect(await marked.take(signal)).toBe("all");
});

test("more than anybody should keep in mind is everything", async () => {
  const marked = changes();
  for (let at = 0; at < 10_001; at++) marked.mark([`web/${at}`]);
  expect(await marked.take(signal)).toBe("all");
});

test("nothing more is taken after the end", async () => {
  const ending = new AbortController();
  const marked = changes();
  const taking = marked.take(ending.signal);
  ending.abort();
  expect(await taking).toBeUndefined();
});
