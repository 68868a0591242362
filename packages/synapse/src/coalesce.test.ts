import { fakeClock } from "@smartstack/core/testing";
import { expect, it } from "vitest";
import { coalesce } from "./coalesce.ts";

const PACE = { shortestMs: 10, longestMs: 200 };

it("runs the first request at once, and what follows together", async () => {
  const clock = fakeClock();
  const atMs: number[] = [];
  const job = coalesce(clock, PACE, () => atMs.push(clock.monotonic()));
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
  const job = coalesce(clock, PACE, () => {
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
  const job = coalesce(clock, PACE, () => runs++);
  job.request();
  job.request();
  job.stop();
  job.request();
  await clock.advance(100);
  expect(runs).toBe(1);
});

it("takes its time in a storm, up to the longest pause, and is at once again after it", async () => {
  const clock = fakeClock();
  const atMs: number[] = [];
  const job = coalesce(clock, PACE, () => atMs.push(clock.monotonic()));
  for (let ms = 0; ms < 1_000; ms++) {
    job.request();
    await clock.advance(1);
  }
  expect(atMs).toEqual([0, 10, 40, 130, 330, 530, 730, 930]);
  await clock.advance(1_000);
  atMs.length = 0;
  const beganMs = clock.monotonic();
  job.request();
  job.request();
  await clock.advance(300);
  expect(atMs.map((ms) => ms - beganMs)).toEqual([0, 10]);
});
