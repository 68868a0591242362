import { fakeClock } from "@smartstack/core/testing";
import { expect, it } from "vitest";
import { coalesce } from "./coalesce.ts";

it("runs the first request at once, and what follows together", async () => {
  const clock = fakeClock();
  const atMs: number[] = [];
  const job = coalesce(clock, 10, () => atMs.push(clock.monotonic()));
  job.request();
  expect(atMs).toEqual([0]);
  for (let i = 0; i < 20; i++) job.request();
  await clock.advance(10);
  expect(atMs).toEqual([0, 10]);
  await clock.advance(100);
  job.request();
  expect(atMs).toEqual([0, 10, 110]);
});

it("does not nest a request made by the job itself", async () => {
  const clock = fakeClock();
  let runs = 0;
  const job = coalesce(clock, 10, () => {
    if (++runs < 3) job.request();
  });
  job.request();
  expect(runs).toBe(1);
  await clock.advance(100);
  expect(runs).toBe(3);
});

it("runs nothing after stop", async () => {
  const clock = fakeClock();
  let runs = 0;
  const job = coalesce(clock, 10, () => runs++);
  job.request();
  job.request();
  job.stop();
  job.request();
  await clock.advance(100);
  expect(runs).toBe(1);
});
