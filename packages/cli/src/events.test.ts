import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { until } from "@smartstack/core/testing";
import { afterEach, describe, expect, it } from "vitest";
import { adminClient } from "./admin-client.ts";
import { eventLine, events } from "./commands/events.ts";
import { eventData } from "./server-sent-events.ts";

const ADDED = { at: 0, name: "backend.added", data: { service: "web", id: "a-80", address: "10.0.0.1:80" } };

const servers: Server[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

async function api(stream: (response: ServerResponse) => void): Promise<string> {
  const server = createServer((request, response) => {
    if (request.url === "/api/v1/events") stream(response);
    else response.end(JSON.stringify({ role: "up" }));
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function terminal() {
  const out: string[] = [];
  const errors: string[] = [];
  const print = (line: string): number => out.push(line);
  return {
    out,
    errors,
    print,
    error: (line: string) => errors.push(line),
    clear: () => {},
    columns: undefined,
    env: {},
  };
}

describe("events", () => {
  it("prints each, and ends with 2 when the process goes away", async () => {
    const address = await api((response) => {
      response.writeHead(200);
      response.write(`:\n\nevent: backend.added\ndata: ${JSON.stringify(ADDED).slice(0, 20)}`);
      response.end(`${JSON.stringify(ADDED).slice(20)}\n\n`);
    });
    const said = terminal();
    expect(await events(said, adminClient({ admin: address }, {}), false, new AbortController().signal)).toBe(2);
    expect(said.out).toEqual([expect.stringMatching(/^\d\d:\d\d:\d\d web: backend 10\.0\.0\.1:80 added \(a-80\)$/)]);
    expect(said.errors).toEqual(["smartstack up has gone away: it ended the stream"]);
  });

  it("ends with 0 when it is told to", async () => {
    const address = await api((response) => response.write(`data: ${JSON.stringify(ADDED)}\n\n`));
    const said = terminal();
    const ending = new AbortController();
    const done = events(said, adminClient({ admin: address }, {}), true, ending.signal);
    await until(() => said.out.length === 1, { what: "the event" });
    ending.abort();
    expect(await done).toBe(0);
    expect([JSON.parse(said.out[0] ?? ""), said.errors]).toEqual([ADDED, []]);
  });

  it("says what the API refuses", async () => {
    const address = await api((response) => response.writeHead(503).end('{"error":"32 clients listen already"}'));
    const said = terminal();
    expect(await events(said, adminClient({ admin: address }, {}), false, new AbortController().signal)).toBe(2);
    expect(said.errors[0]).toContain('503 {"error":"32 clients listen already"}');
  });
});

describe("eventLine", () => {
  it("marks what is above info, and nothing below it", () => {
    const refused = { at: 0, name: "container.refused", data: { container: "a", reason: "several\u001b ports" } };
    expect(eventLine(JSON.stringify(refused), "up")).toMatch(
      / warn: container a is not registered: several\ufffd ports$/,
    );
    const applied = { at: 0, name: "view.applied", data: { revision: 1, services: 2, backends: 3 } };
    expect(eventLine(JSON.stringify(applied), "up")).toMatch(/^\S+ view 1: 2 services, 3 backends$/);
  });

  it("shows an event of another version as it is", () => {
    const text = '{"at":0,"name":"moon.rose","data":{}}';
    expect(eventLine(text, "up")).toBe(text);
    expect(eventLine('{"at":0,"name":"toString","data":{}}', "up")).toContain("toString");
  });
});

describe("eventData", () => {
  const read = async (...pieces: string[]): Promise<string[]> => {
    const found: string[] = [];
    for await (const data of eventData(
      (async function* () {
        yield* pieces;
      })(),
    ))
      found.push(data);
    return found;
  };

  it("takes events however they are cut, and passes over the rest", async () => {
    expect(await read(":\n\ndata: a\n", "\ndata:b\ndata: c\n\neve", "nt: x\ndata: d\n\ndata: unfinished")).toEqual([
      "a",
      "b\nc",
      "d",
    ]);
  });

  it("keeps no more of one than its bound", async () => {
    await expect(read("data: ", "x".repeat(2 * 1024 * 1024))).rejects.toThrow("more than");
  });
});
