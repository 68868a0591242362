import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { startHaProxy } from "../support/haproxy.ts";
import { freePort } from "../support/ports.ts";

test("HAProxy serves what its configuration says", async () => {
  const server = createServer((_request, response) => response.end("behind"));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const port = await freePort();
  const haproxy = await startHaProxy(
    `
    defaults
      mode http
      timeout connect 1s
      timeout client 5s
      timeout server 5s
    listen web
      bind 127.0.0.1:${port}
      server one 127.0.0.1:${(server.address() as AddressInfo).port}
    `,
    port,
  );
  onTestFinished(() => haproxy.stop());
  expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe("behind");
});

test("a configuration HAProxy refuses is an error with its words", async () => {
  await expect(startHaProxy("nonsense here", await freePort())).rejects.toThrow(/unknown keyword 'nonsense'/);
});
