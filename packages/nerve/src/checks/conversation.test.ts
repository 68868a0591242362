import { type AddressInfo, createServer } from "node:net";
import { sleep, systemClock } from "@smartstack/core";
import { expect, onTestFinished, test } from "vitest";
import { converse } from "./conversation.ts";

test("what is sent faster than it is asked for is not hoarded", async () => {
  const piece = Buffer.alloc(64 * 1024);
  let sent = 0;
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    const more = (): void => {
      while (!socket.destroyed && socket.write(piece)) sent += piece.length;
    };
    socket.on("drain", more);
    more();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.close();
  });
  const request = {
    host: "127.0.0.1",
    port: (server.address() as AddressInfo).port,
    options: {},
    timeoutMs: 5_000,
    published: false,
    engine: undefined,
    clock: systemClock,
    signal: new AbortController().signal,
  };
  const result = await converse(request, async (wire) => {
    await sleep(systemClock, 300);
    for (;;) await wire.read(1_024);
  });
  expect(result).toEqual({ passed: false, reason: "it sent more than 65536 bytes unasked" });
  expect(sent).toBeLessThan(32 * 1024 * 1024);
});
