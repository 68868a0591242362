import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { type Redis, startRedis } from "../support/redis.ts";
import { describeCheck, probe } from "./checks.suite.ts";

describeCheck({ type: "redis", good: startRedis });

describe("redis with a password", () => {
  let redis: Redis;
  beforeAll(async () => {
    redis = await startRedis();
    await redis.cli("ACL", "SETUSER", "checker", "on", ">other", "+ping");
    await redis.cli("CONFIG", "SET", "requirepass", "secret word");
  });
  afterAll(() => redis?.stop());

  test("is needed, and must be right", async () => {
    expect(await probe("redis", redis.port, { password: "secret word" })).toEqual({ passed: true, reason: "PONG" });
    expect(await probe("redis", redis.port)).toEqual({
      passed: false,
      reason: "the server wants a password: give the check `password`",
    });
    expect(await probe("redis", redis.port, { password: "wrong" })).toMatchObject({
      passed: false,
      reason: expect.stringMatching(/^AUTH: WRONGPASS/),
    });
  });

  test("of a user that may do nothing but PING", async () => {
    const options = { username: "checker", password: "other" };
    expect(await probe("redis", redis.port, options)).toMatchObject({ passed: true });
  });

  test("from a file, read anew every time", async () => {
    const folder = mkdtempSync(path.join(tmpdir(), "smartstack-secret-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const file = path.join(folder, "password");
    const ask = () => probe("redis", redis.port, { password_file: file });
    expect(await ask()).toMatchObject({ passed: false, reason: expect.stringContaining(file) });
    writeFileSync(file, "secret word\n");
    expect(await ask()).toMatchObject({ passed: true });
    writeFileSync(file, "\n");
    expect(await ask()).toMatchObject({ passed: false, reason: expect.stringMatching(/is empty/) });
  });
});
