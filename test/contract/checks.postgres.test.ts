import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Postgres, startPostgres } from "../support/postgres.ts";
import { describeCheck, probe } from "./checks.suite.ts";

let shared: Postgres;
beforeAll(async () => {
  shared = await startPostgres();
});
afterAll(() => shared?.stop());

describeCheck({ type: "postgres", good: async () => ({ ...shared, stop: async () => undefined }) });

describe("postgres", () => {
  test("a demand for a password is an answer", async () => {
    expect(await probe("postgres", shared.port)).toEqual({ passed: true, reason: "asks for a password" });
  });

  test("so is a refusal", async () => {
    expect(await probe("postgres", shared.port, { username: "nobody" })).toMatchObject({
      passed: true,
      output: expect.stringMatching(/^28000 no pg_hba.conf entry/),
    });
  });

  test("so is being let in", async () => {
    const options = { username: "trusted", database: "postgres" };
    expect(await probe("postgres", shared.port, options)).toEqual({ passed: true, reason: "accepts sessions" });
  });

  test("a server that lets nobody in yet is down", async () => {
    await shared.becomeStandby();
    await shared.restart();
    expect(await probe("postgres", shared.port)).toMatchObject({
      passed: false,
      reason: expect.stringMatching(/^57P03 the database system is not/),
    });
  });
});
