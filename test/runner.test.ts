import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { missingPackages, PACKAGES, withoutServiceStarts } from "./packages.mjs";
import { failuresOf, totalsOf } from "./totals.mjs";

describe("missing packages", () => {
  it("are those of which any file is absent", () => {
    expect(missingPackages(() => true)).toEqual([]);
    expect(missingPackages(() => false)).toEqual(PACKAGES.map(({ name }) => name));
    expect(missingPackages((file) => file !== "/usr/sbin/dockerd")).toEqual(["docker.io"]);
  });
});

describe("while packages are installed", () => {
  let folder: string;
  let policy: string;
  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), "smartstack-policy-"));
    policy = path.join(folder, "policy-rc.d");
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it("services may not start, and afterwards nothing of that is left", async () => {
    await withoutServiceStarts(policy, async () => {
      expect(readFileSync(policy, "utf8")).toMatch(/^#!\/bin\/sh\n.*\nexit 101\n$/);
      expect(statSync(policy).mode & 0o111).toBe(0o111);
    });
    expect(existsSync(policy)).toBe(false);
  });

  it("an existing policy is put back, also after a failure", async () => {
    writeFileSync(policy, "#!/bin/sh\nexit 0\n", { mode: 0o755 });
    const work = withoutServiceStarts(policy, async () => {
      throw new Error("apt failed");
    });
    await expect(work).rejects.toThrow("apt failed");
    expect(readFileSync(policy, "utf8")).toBe("#!/bin/sh\nexit 0\n");
  });

  it("the original survives a run that was killed", async () => {
    writeFileSync(`${policy}.before-smartstack`, "original");
    writeFileSync(policy, "left by the killed run");
    await withoutServiceStarts(policy, async () => {});
    expect(readFileSync(policy, "utf8")).toBe("original");
    expect(existsSync(`${policy}.before-smartstack`)).toBe(false);
  });
});

describe("totals", () => {
  const file = (status: string, ...tests: string[]): object => ({
    status,
    assertionResults: tests.map((test) => ({ status: test })),
  });

  it("are the report's", () => {
    const report = { numPassedTests: 3, numFailedTests: 1, testResults: [file("failed", "passed", "failed")] };
    expect(totalsOf(report, 1)).toEqual({ passed: 3, failed: 1 });
  });

  it("count a file that could not be loaded", () => {
    const report = { numPassedTests: 3, numFailedTests: 0, testResults: [file("failed"), file("passed", "passed")] };
    expect(totalsOf(report, 1)).toEqual({ passed: 3, failed: 1 });
  });

  it("count a run without a report, or with an error outside any test, as failed", () => {
    expect(totalsOf(undefined, 1)).toEqual({ passed: 0, failed: 1 });
    expect(totalsOf({ numPassedTests: 3, numFailedTests: 0, testResults: [] }, 1)).toEqual({ passed: 3, failed: 1 });
    expect(totalsOf({ numPassedTests: 3, numFailedTests: 0, testResults: [] }, 0)).toEqual({ passed: 3, failed: 0 });
  });
});

describe("failures", () => {
  it("are told by file, test and message, however they failed", () => {
    const report = {
      testResults: [
        {
          name: "a.test.ts",
          status: "failed",
          assertionResults: [
            { status: "passed", fullName: "good" },
            { status: "failed", fullName: "bad", failureMessages: ["expected 1\nto be 2"] },
          ],
        },
        { name: "b.test.ts", status: "failed", message: "no such module", assertionResults: [] },
        { name: "c.test.ts", status: "passed", assertionResults: [] },
      ],
    };
    expect(failuresOf(report)).toEqual([
      "a.test.ts: bad\n    expected 1\n    to be 2",
      "b.test.ts\n    no such module",
    ]);
    expect(failuresOf(undefined)).toEqual([]);
  });
});
