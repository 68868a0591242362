import { type AddressInfo, createServer, type Socket } from "node:net";
import { systemClock } from "@smartstack/core";
import { expect, onTestFinished, test } from "vitest";
import type { ProbeResult } from "./check.ts";
import { CHECKS, type CheckType, optionsOf } from "./index.ts";

/** Answers that no real server gives on demand; the rest is tested against real ones. */
async function against(
  type: CheckType,
  treat: (socket: Socket) => void,
  options: Readonly<Record<string, unknown>> = {},
): Promise<ProbeResult> {
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    treat(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.close();
  });
  return CHECKS[type].probe({
    host: "127.0.0.1",
    port: (server.address() as AddressInfo).port,
    options: optionsOf(type, options),
    timeoutMs: 2_000,
    published: false,
    engine: undefined,
    clock: systemClock,
    signal: new AbortController().signal,
  });
}

/** Sends each answer when something has come in, and closes after the last one. */
function answers(...all: readonly (string | readonly number[])[]): (socket: Socket) => void {
  return (socket) => {
    const left = [...all];
    socket.on("data", () => {
      const next = left.shift();
      if (next === undefined) socket.end();
      else socket.write(Buffer.from(next as never, "latin1"));
    });
  };
}

test("redis that loads its data is down", async () => {
  const reason = "PING: LOADING Redis is loading the dataset in memory";
  expect(await against("redis", answers(`-${reason.slice(6)}\r\n`))).toEqual({ passed: false, reason });
});

test("redis may cut its answer anywhere", async () => {
  const result = await against("redis", (socket) => {
    socket.once("data", () => {
      socket.write("+PO");
      setTimeout(() => socket.write("NG\r"), 20);
      setTimeout(() => socket.write("\n"), 40);
    });
  });
  expect(result).toEqual({ passed: true, reason: "PONG" });
});

test("redis with control characters in its answer does not write into our log", async () => {
  const result = await against("redis", answers("-ERR \x1b[2J\x07bad\r\n"));
  expect(result.reason).toBe("PING: ERR [2J bad");
});

/** MySQL's greeting of protocol 10, with a challenge of 20 bytes and the name of a login method. */
function greeting(plugin: string): number[] {
  const body = Buffer.concat([
    Buffer.from("\x0a8.0.36\0"),
    Buffer.alloc(4 + 8 + 1 + 2 + 1 + 2 + 2),
    Buffer.from([21]),
    Buffer.alloc(10 + 13),
    Buffer.from(`${plugin}\0`),
  ]);
  return [...packet(0, body)];
}

function packet(sequence: number, body: Buffer): Buffer {
  return Buffer.concat([Buffer.from([body.length, 0, 0, sequence]), body]);
}

test("mysql that wants another login method gets an empty password, and its refusal is an answer", async () => {
  const heard: Buffer[] = [];
  const result = await against("mysql", (socket) => {
    socket.write(Buffer.from(greeting("caching_sha2_password")));
    const next = [
      packet(2, Buffer.concat([Buffer.from([0xfe]), Buffer.from("mysql_native_password\0challenge")])),
      packet(4, Buffer.concat([Buffer.from([0xff, 0x15, 0x04]), Buffer.from("#28000Access denied for user")])),
    ];
    socket.on("data", (chunk) => {
      heard.push(chunk);
      const answer = next.shift();
      if (answer !== undefined) socket.write(answer);
    });
  });
  expect(result).toEqual({
    passed: true,
    reason: "8.0.36, answers a login",
    output: "error 1045: Access denied for user",
  });
  // User, empty password, the announced method.
  expect(heard[0]?.subarray(36).toString()).toBe("smartstack\0\0caching_sha2_password\0");
  expect(heard[0]?.readUInt8(3)).toBe(1);
  expect(heard[1]).toEqual(Buffer.from([0, 0, 0, 3]));
});

test("mysql that shuts down is down", async () => {
  const shutdown = packet(2, Buffer.concat([Buffer.from([0xff, 0x1d, 0x04]), Buffer.from("#08S01Server shutdown")]));
  const result = await against("mysql", (socket) => {
    socket.write(Buffer.from(greeting("mysql_native_password")));
    socket.once("data", () => socket.write(shutdown));
  });
  expect(result).toEqual({ passed: false, reason: "error 1053: Server shutdown" });
});

test.each([
  [1040, "Too many connections", { passed: false, reason: "error 1040: Too many connections" }],
  [1129, "Host is blocked", { passed: false, reason: "error 1129: Host is blocked" }],
  [
    1130,
    "Host is not allowed",
    { passed: true, reason: "refuses this host", output: "error 1130: Host is not allowed" },
  ],
])("mysql that says %i %s before its greeting", async (code, message, result) => {
  const error = Buffer.from([0xff, code & 0xff, code >> 8]);
  const treat = (socket: Socket) => void socket.write(packet(0, Buffer.concat([error, Buffer.from(message)])));
  expect(await against("mysql", treat)).toEqual(result);
});

test("mysql that never comes to an end of the login is given up", async () => {
  const result = await against("mysql", (socket) => {
    socket.write(Buffer.from(greeting("x")));
    socket.on("data", () => socket.write(packet(2, Buffer.from([0xfe, 0x78, 0]))));
  });
  expect(result).toEqual({ passed: false, reason: "no MySQL answer to a login" });
});

function postgresError(code: string, message: string): number[] {
  const body = Buffer.from(`SFATAL\0C${code}\0M${message}\0\0`);
  return [0x45, 0, 0, 0, body.length + 4, ...body];
}

test.each([
  ["57P03", "the database system is starting up", false],
  ["57P01", "terminating connection due to administrator command", false],
  ["53300", "sorry, too many clients already", false],
  ["28000", "no pg_hba.conf entry for host", true],
  ["3D000", "database does not exist", true],
])("postgres that says %s %s: up is %s", async (code, message, passed) => {
  expect(await against("postgres", answers(postgresError(code, message)))).toMatchObject({ passed });
});

test("rabbitmq of another version of the protocol is down", async () => {
  expect(await against("rabbitmq", answers("AMQP\x03\x01\x00\x00"))).toEqual({
    passed: false,
    reason: "the server speaks another version of AMQP",
  });
});

test("rabbitmq that announces more than any answer has is not waited for", async () => {
  expect(await against("rabbitmq", answers([1, 0, 0, 0x7f, 0xff, 0xff, 0xff]))).toEqual({
    passed: false,
    reason: "it announced an answer of 2147483648 bytes: another protocol?",
  });
});
