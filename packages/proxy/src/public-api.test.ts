// Everything the data path promises, once more on Node's public API alone.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connectHandle, handlesAvailable, useHandles } from "./handles.ts";

beforeAll(() => useHandles(false));
afterAll(() => useHandles(true));

it("is the second choice here: the handles were found, and are left alone", () => {
  expect(handlesAvailable).toBe(true);
  expect(connectHandle("127.0.0.1", 9, () => undefined)).toBeUndefined();
});

// Each in a suite of its own, so that its hooks are for its own tests.
describe("http", async () => void (await import("./http.test.ts")));
describe("http-end", async () => void (await import("./http-end.test.ts")));
describe("limits", async () => void (await import("./limits.test.ts")));
describe("listener-limit", async () => void (await import("./listener-limit.test.ts")));
describe("proxy", async () => void (await import("./proxy.test.ts")));
describe("retry", async () => void (await import("./retry.test.ts")));
describe("tcp", async () => void (await import("./tcp.test.ts")));
describe("wire", async () => void (await import("./wire.test.ts")));
