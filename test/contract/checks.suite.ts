import { createServer, type Server, type Socket } from "node:net";
import { systemClock } from "@smartstack/core";
import { until } from "@smartstack/core/testing";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { ProbeRequest, ProbeResult } from "../../packages/nerve/src/checks/check.ts";
import { CHECKS, type CheckType, optionsOf } from "../../packages/nerve/src/checks/index.ts";
import { timed } from "../support/pauses.ts";
import { freePort } from "../support/ports.ts";

/** A server that the check must pass against, on 127.0.0.1 and ::1. */
export interface GoodServer {
  readonly port: number;
  /** SIGSTOP and SIGCONT. */
  freeze?(): void;
  thaw?(): void;
  stop(): Promise<void>;
}

export interface CheckSuite {
  readonly type: CheckType;
  /** As written in a configuration. */
  readonly options?: Readonly<Record<string, unknown>>;
  /** The address is a published port. */
  readonly published?: boolean;
  /** False for a server within this process. */
  readonly freezable?: boolean;
  /** False for a check to which a server that says nothing, or nonsense, is as good as any. */
  readonly judgesAnswers?: boolean;
  readonly good: () => Promise<GoodServer>;
}

const TIMEOUT_MS = 300;
/** A busy machine may be late; a probe that waits for something else than its timeout is later. */
const LATE_MS = 1_500;

/** Runs one probe, with options as written in a configuration. */
export function probe(
  type: CheckType,
  port: number,
  options: Readonly<Record<string, unknown>> = {},
  more: Partial<ProbeRequest> = {},
): Promise<ProbeResult> {
  return CHECKS[type].probe({
    host: "127.0.0.1",
    port,
    options: optionsOf(type, options),
    timeoutMs: 5_000,
    published: false,
    engine: undefined,
    clock: systemClock,
    signal: new AbortController().signal,
    ...more,
  });
}

interface BadServer {
  readonly port: number;
  readonly sockets: ReadonlySet<Socket>;
  /** Connections that ever came. */
  count(): number;
  close(): Promise<void>;
}

/** A server that treats every connection as `treat` does. */
export async function badServer(treat: (socket: Socket) => void): Promise<BadServer> {
  const sockets = new Set<Socket>();
  let count = 0;
  const server: Server = createServer((socket) => {
    count++;
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => undefined);
    treat(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as { port: number }).port,
    sockets,
    count: () => count,
    close() {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

/** What every check that goes over the network must do, whatever the other side does. */
export function describeCheck(suite: CheckSuite): void {
  const { type, options = {}, published = false, judgesAnswers = true, freezable = true } = suite;
  describe(`the contract of every check: ${type}`, () => {
    let good: GoodServer;
    beforeAll(async () => {
      good = await suite.good();
    });
    afterAll(() => good?.stop());

    let bad: BadServer | undefined;
    afterEach(async () => {
      await bad?.close();
      bad = undefined;
    });
    const against = async (treat: (socket: Socket) => void): Promise<BadServer> => {
      bad = await badServer(treat);
      return bad;
    };
    const quick = (port: number, more: Partial<ProbeRequest> = {}): Promise<ProbeResult> =>
      probe(type, port, options, { timeoutMs: TIMEOUT_MS, published, ...more });
    const allClosed = (server: BadServer): Promise<unknown> =>
      until(() => server.sockets.size === 0, { what: "every socket closed" });

    test.each(["127.0.0.1", "::1", "localhost"])("passes against a good server at %s", async (host) => {
      const result = await probe(type, good.port, options, { host, published });
      expect(result).toMatchObject({ passed: true });
      expect(result.reason).not.toBe("");
    });

    test("passes every time: a probe leaves nothing behind that spoils the next one", async () => {
      const results = await Promise.all(
        Array.from({ length: 20 }, () => probe(type, good.port, options, { published })),
      );
      expect(results.filter(({ passed }) => !passed)).toEqual([]);
    });

    const frozen = async (): Promise<void> => {
      good.freeze?.();
      try {
        expect(await quick(good.port)).toMatchObject({ passed: false });
      } finally {
        good.thaw?.();
      }
      expect(await probe(type, good.port, options, { published })).toMatchObject({ passed: true });
    };
    if (freezable) test("a server that is there but frozen does not pass", frozen);

    test("nobody listens: fails and says so", async () => {
      expect(await quick(await freePort())).toMatchObject({
        passed: false,
        reason: expect.stringMatching(/^connect ECONNREFUSED/),
      });
    });

    test("a name that is none: fails and says so", async () => {
      const result = await quick(80, { host: "no.such.host.invalid", timeoutMs: 5_000 });
      expect(result).toMatchObject({ passed: false, reason: expect.stringMatching(/ENOTFOUND|EAI_AGAIN|no/) });
    });

    test("accepts and never answers: over within its timeout, nothing left open", async () => {
      const server = await against((socket) => socket.resume());
      const probing = quick(server.port);
      expect(await timed(() => probing)).toBeLessThan(TIMEOUT_MS + LATE_MS);
      const result = await probing;
      expect(result.passed).toBe(!judgesAnswers);
      if (judgesAnswers) expect(result.reason).toMatch(/300 ms/);
      await allClosed(server);
    });

    test.each([
      ["closes at once", (socket: Socket) => socket.resume().end()],
      ["resets at once", (socket: Socket) => socket.resetAndDestroy()],
      ["hears the question and closes", (socket: Socket) => socket.once("data", () => socket.end())],
    ])("%s: fails, and says why", async (_, treat) => {
      const server = await against(treat);
      const result = await quick(server.port);
      if (judgesAnswers) expect(result.passed).toBe(false);
      expect(result.reason).not.toBe("");
      await allClosed(server);
    });

    test.each([
      ["bytes that mean nothing", "\x00\x01\x02\x03garbage\r\n\r\n\xff\xfe"],
      ["another protocol", "SSH-2.0-OpenSSH_9.2\r\n"],
      ["a length beyond all sense", "\x7f\xff\xff\xff\x7f\xff\xff\xff"],
    ])("answers with %s: fails at the latest at its timeout, nothing left open", async (_, garbage) => {
      const server = await against((socket) => {
        socket.resume();
        socket.write(Buffer.from(garbage, "latin1"));
      });
      const result = await quick(server.port);
      expect(result.passed).toBe(!judgesAnswers);
      expect(result.reason).not.toBe("");
      await allClosed(server);
    });

    test("answers without end: over within its timeout, not all of it read", async () => {
      const piece = Buffer.alloc(64 * 1024, "x");
      let sent = 0;
      const server = await against((socket) => {
        const more = (): void => {
          while (!socket.destroyed && socket.write(piece)) sent += piece.length;
        };
        socket.on("drain", more);
        more();
      });
      const result = await quick(server.port);
      expect(result.passed).toBe(!judgesAnswers);
      expect(result.reason.length).toBeLessThan(1_000);
      await allClosed(server);
      expect(sent).toBeLessThan(32 * 1024 * 1024);
    });

    test("an abort ends it at once, and nothing is left open", async () => {
      const server = await against((socket) => socket.resume());
      const abort = new AbortController();
      const running = quick(server.port, { timeoutMs: 60_000, signal: abort.signal });
      if (judgesAnswers) await until(() => server.count() > 0, { what: "the connection" });
      abort.abort();
      expect(await timed(() => running)).toBeLessThan(LATE_MS);
      const result = await running;
      if (judgesAnswers) expect(result).toEqual({ passed: false, reason: "cancelled" });
      await allClosed(server);
    });

    test("what was aborted before it began does not begin", async () => {
      const server = await against((socket) => socket.resume());
      const result = await quick(server.port, { signal: AbortSignal.abort() });
      expect(result).toEqual({ passed: false, reason: "cancelled" });
      expect(server.count()).toBe(0);
    });
  });
}
