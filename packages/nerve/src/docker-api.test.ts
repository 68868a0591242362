import { getEventListeners } from "node:events";
import { systemClock } from "@smartstack/core";
import { expect, test } from "vitest";
import { dockerApi, parseEvent } from "./docker-api.ts";
import { HIDDEN_SIGNAL } from "./lifecycle.ts";

const event = (json: unknown) => parseEvent(JSON.stringify(json));

test("container and network events, in Docker's own form", () => {
  const labels = { name: "web", image: "i", signal: "15" };
  expect(event({ status: "kill", Type: "container", Action: "kill", Actor: { ID: "c1", Attributes: labels } })).toEqual(
    {
      container: "c1",
      action: "kill",
      signal: 15,
      labels,
    },
  );
  expect(event({ Type: "container", Action: "health_status: unhealthy", Actor: { ID: "c1" } })).toMatchObject({
    action: "health_status",
  });
  expect(
    event({ Type: "network", Action: "disconnect", Actor: { ID: "n1", Attributes: { container: "c1", name: "net" } } }),
  ).toEqual({ container: "c1", action: "disconnect", signal: undefined, labels: undefined });
});

test.each<[string, unknown]>([
  ["an exec", { Type: "container", Action: "exec_start: sh", Actor: { ID: "c1" } }],
  ["another type", { Type: "image", Action: "start", Actor: { ID: "c1" } }],
  ["a network without container", { Type: "network", Action: "connect", Actor: { ID: "n1", Attributes: {} } }],
  ["an array", []],
  ["null", null],
  ["a number", 7],
])("%s is none of ours", (_, json) => {
  expect(event(json)).toBeUndefined();
});

test("a line that is no JSON is none of ours", () => {
  expect(parseEvent('{"Type":"contai')).toBeUndefined();
});

test("a label of that name hides which signal was sent", () => {
  const kill = (signal: string) =>
    event({ Type: "container", Action: "kill", Actor: { ID: "c1", Attributes: { signal } } })?.signal;
  expect([kill("9"), kill("prod"), kill("")]).toEqual([9, HIDDEN_SIGNAL, HIDDEN_SIGNAL]);
});

test("no engine: says which socket was tried and what to do", async () => {
  const api = await dockerApi({ host: "unix:///no/such/docker.sock" }, systemClock, new AbortController().signal);
  await expect(api.info()).rejects.toMatchObject({
    code: "DOCKER_UNREACHABLE",
    retry: "after-backoff",
    message: "cannot reach /no/such/docker.sock: no such socket; start Docker, or set docker.host",
  });
});

test("a call leaves nothing behind on the signal that outlives it", async () => {
  const { signal } = new AbortController();
  const api = await dockerApi({ host: "unix:///no/such/docker.sock" }, systemClock, signal);
  for (let call = 0; call < 20; call++) await expect(api.ping()).rejects.toThrow();
  expect(getEventListeners(signal, "abort")).toEqual([]);
  // Where Node keeps those that depend on it; nothing public tells.
  const kept = Object.getOwnPropertySymbols(signal).map((key) => (signal as unknown as Record<symbol, unknown>)[key]);
  expect(kept.filter((value) => ((value as { readonly size?: number } | undefined)?.size ?? 0) > 0)).toEqual([]);
});
