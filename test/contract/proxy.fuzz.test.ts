// Broken and whole byte streams through parser, chunk decoder and forwarding, with llhttp as the judge.
import { expect, it } from "vitest";
import { fuzz, PROXY_DIST } from "../support/fuzz.ts";

const FUZZ_MS = Number(process.env.FUZZ_MS ?? 30_000);
const SEED = Number(process.env.FUZZ_SEED ?? Date.now() % 2 ** 32);
const GROWTH_BYTES_MAX = 8 * 1024 * 1024;

it(
  `the parser agrees with llhttp, with itself, and keeps no memory (FUZZ_MS=${FUZZ_MS} FUZZ_SEED=${SEED})`,
  async () => {
    const { streams, grownBytes, finding } = await fuzz(PROXY_DIST, SEED, FUZZ_MS);
    process.stdout.write(`fuzz: ${streams} streams, grown by ${grownBytes} bytes, FUZZ_SEED=${SEED}\n`);
    expect(finding).toBeUndefined();
    expect(grownBytes).toBeLessThan(GROWTH_BYTES_MAX);
  },
  FUZZ_MS + 60_000,
);
