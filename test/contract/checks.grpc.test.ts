import { readFileSync } from "node:fs";
import { createSecureServer, createServer, type Http2Server, type ServerHttp2Stream } from "node:http2";
import { connect, createServer as createTcpServer } from "node:net";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { makeCertificates } from "../support/certificates.ts";
import { startEtcd, type TestServer } from "../support/etcd.ts";
import { onBothLoopbacks } from "../support/local-server.ts";
import { describeCheck, type GoodServer, probe } from "./checks.suite.ts";

// etcd offers grpc.health.v1, for the server as a whole, on the port of its clients.
let etcd: TestServer;
beforeAll(async () => {
  etcd = await startEtcd();
});
afterAll(() => etcd?.stop());

const portOf = (server: TestServer): number => Number(server.endpoint.split(":").at(-1));

/** It listens on 127.0.0.1 alone. */
async function relayed(): Promise<GoodServer> {
  const relay = await onBothLoopbacks(() =>
    createTcpServer((client) => {
      const server = connect(portOf(etcd), "127.0.0.1");
      client.pipe(server).pipe(client);
      client.on("close", () => server.destroy());
      server.on("error", () => client.destroy());
    }),
  );
  return { ...relay, freeze: etcd.freeze, thaw: etcd.thaw };
}

describeCheck({ type: "grpc", good: relayed });

describe("grpc", () => {
  test("a service that the server does not know is down", async () => {
    expect(await probe("grpc", portOf(etcd), { service: "shop.Cart" })).toEqual({
      passed: false,
      reason: 'the server knows no service "shop.Cart"',
    });
  });

  async function answering(
    trailers: Record<string, string>,
    message: readonly number[] | undefined,
    server: () => Http2Server = createServer,
  ): Promise<{ readonly port: number; readonly asked: Buffer[] }> {
    const asked: Buffer[] = [];
    const onStream = (stream: ServerHttp2Stream): void => {
      stream.on("error", () => undefined);
      stream.on("data", (chunk: Buffer) => asked.push(chunk));
      stream.on("end", () => {
        if (message === undefined) return stream.respond({ ":status": 200, ...trailers }, { endStream: true });
        stream.on("wantTrailers", () => stream.sendTrailers(trailers));
        stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
        stream.end(Buffer.from([0, 0, 0, 0, message.length, ...message]));
      });
    };
    const local = await onBothLoopbacks(() => server().on("stream", onStream));
    onTestFinished(local.stop);
    return { port: local.port, asked };
  }

  test.each([
    ["serving", { "grpc-status": "0" }, [8, 1], true, "SERVING"],
    ["not serving", { "grpc-status": "0" }, [8, 2], false, "NOT_SERVING"],
    ["unknown, which is zero and left out", { "grpc-status": "0" }, [], false, "UNKNOWN"],
    ["a status of the future", { "grpc-status": "0" }, [8, 9], false, "no known status"],
    ["no health service", { "grpc-status": "12" }, undefined, false, /does not offer grpc.health.v1/],
    ["another error", { "grpc-status": "14", "grpc-message": "later" }, undefined, false, "gRPC status 14 later"],
    ["no status at all", {}, [8, 1], false, "gRPC status missing"],
  ])("%s", async (_, trailers, message, passed, reason) => {
    const { port } = await answering(trailers as Record<string, string>, message);
    expect(await probe("grpc", port)).toEqual({
      passed,
      reason: typeof reason === "string" ? reason : expect.stringMatching(reason),
    });
  });

  test("asks for the service by name, also by a long one", async () => {
    const { port, asked } = await answering({ "grpc-status": "0" }, [8, 1]);
    await probe("grpc", port, { service: "a.B" });
    await probe("grpc", port, { service: "s".repeat(200) });
    expect(asked[0]).toEqual(Buffer.from([0, 0, 0, 0, 5, 0x0a, 3, 0x61, 0x2e, 0x42]));
    expect(asked[1]?.subarray(0, 8)).toEqual(Buffer.from([0, 0, 0, 0, 203, 0x0a, 0xc8, 0x01]));
  });

  test("over TLS", async () => {
    const { ca, server, remove } = await makeCertificates("DNS:localhost");
    onTestFinished(remove);
    const secure = () => createSecureServer({ key: readFileSync(server.key), cert: readFileSync(server.cert) });
    const { port } = await answering({ "grpc-status": "0" }, [8, 1], secure);
    expect(await probe("grpc", port, { tls: true })).toEqual({ passed: true, reason: "SERVING" });
    const named = { host: "localhost" };
    expect(await probe("grpc", port, { tls: true, ca_file: ca }, named)).toMatchObject({ passed: true });
    expect(await probe("grpc", port, { tls: true, verify: true }, named)).toMatchObject({ passed: false });
    expect(await probe("grpc", port)).toMatchObject({ passed: false });
  });
});
