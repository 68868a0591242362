import { connect, createServer } from "node:net";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { type MariaDb, startMariaDb } from "../support/mariadb.ts";
import { describeCheck, probe } from "./checks.suite.ts";

let shared: MariaDb;
beforeAll(async () => {
  // Few broken connections are enough to be locked out; connections of this machine alone never are.
  shared = await startMariaDb(["--max-connect-errors=5"]);
  await shared.sql("CREATE USER checker@'127.0.0.1'; CREATE USER someone@'%' IDENTIFIED BY 'secret'");
});
afterAll(() => shared?.stop());

describeCheck({ type: "mysql", good: async () => ({ ...shared, stop: async () => undefined }) });

describe("mysql", () => {
  test("a user that does not exist is enough, one without a password logs in", async () => {
    expect(await probe("mysql", shared.port)).toMatchObject({
      passed: true,
      reason: expect.stringMatching(/MariaDB.*, answers a login$/),
      output: expect.stringMatching(/^error 1045: Access denied/),
    });
    expect(await probe("mysql", shared.port, { username: "checker" })).toEqual({
      passed: true,
      reason: expect.stringMatching(/MariaDB.*, logged in$/),
    });
  });

  test("its probes never get the host locked out, as bare connections do", async () => {
    // Seen from 127.0.0.2 it is another host: 127.0.0.1 is exempt.
    const relay = createServer((client) => {
      const server = connect({ host: "127.0.0.1", port: shared.port, localAddress: "127.0.0.2" });
      client.pipe(server).pipe(client);
      for (const socket of [client, server]) socket.on("error", () => undefined);
    });
    await new Promise<void>((resolve) => relay.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => {
      relay.close();
    });
    const port = (relay.address() as { port: number }).port;
    const patient = { timeoutMs: 20_000 };
    for (let i = 0; i < 20; i++) expect(await probe("mysql", port, {}, patient)).toMatchObject({ passed: true });
    // The control: the same server does lock out who only looks at its greeting.
    for (let i = 0; i < 8; i++) {
      await new Promise<void>((resolve) => {
        const socket = connect(port, "127.0.0.1");
        socket.once("data", () => socket.end());
        socket.once("close", () => resolve());
        socket.on("error", () => undefined);
      });
    }
    expect(await probe("mysql", port, {}, patient)).toMatchObject({
      passed: false,
      reason: expect.stringMatching(/^error 1129: .*blocked/),
    });
    await shared.sql("FLUSH HOSTS");
  });

  test("a server that is full is down", async () => {
    await shared.sql("SET GLOBAL max_connections = 10");
    const sockets = Array.from({ length: 12 }, () => connect(shared.port, "127.0.0.1"));
    onTestFinished(() => {
      for (const socket of sockets) socket.destroy();
    });
    await Promise.all(sockets.map((socket) => new Promise((resolve) => socket.once("data", resolve))));
    expect(await probe("mysql", shared.port)).toMatchObject({
      passed: false,
      reason: expect.stringMatching(/^error 1040: Too many connections/),
    });
  });
});
