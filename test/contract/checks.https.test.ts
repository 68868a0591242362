import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Certificates, makeCertificates } from "../support/certificates.ts";
import { type LocalServer, onBothLoopbacks } from "../support/local-server.ts";
import { describeCheck, probe } from "./checks.suite.ts";

const NAME = "shop.test";

let certificates: Certificates;
let shared: LocalServer;
beforeAll(async () => {
  certificates = await makeCertificates(`DNS:${NAME}`);
  const { key, cert } = certificates.server;
  shared = await onBothLoopbacks(() =>
    createServer({ key: readFileSync(key), cert: readFileSync(cert) }, (request, response) =>
      response.end(`host ${request.headers.host}`),
    ),
  );
});
afterAll(async () => {
  await shared?.stop();
  certificates?.remove();
});

describeCheck({
  type: "https",
  freezable: false,
  good: async () => ({ ...shared, stop: async () => undefined }),
});

describe("https", () => {
  const named = { headers: { Host: NAME }, expect: `host ${NAME}` };

  test("the certificate is not looked at unless asked for", async () => {
    expect(await probe("https", shared.port)).toMatchObject({ passed: true });
    expect(await probe("http", shared.port, { ssl: true })).toMatchObject({ passed: true });
    expect(await probe("http", shared.port, { tls: true })).toMatchObject({ passed: true });
  });

  test("verified against the well-known authorities", async () => {
    expect(await probe("https", shared.port, { ...named, verify: true })).toMatchObject({
      passed: false,
      reason: expect.stringMatching(/unable to verify the first certificate/),
    });
  });

  test("verified against a given authority, for the name in the Host header", async () => {
    const options = { ...named, ca_file: certificates.ca };
    expect(await probe("https", shared.port, options)).toMatchObject({ passed: true });
    expect(await probe("https", shared.port, { ca_file: certificates.ca })).toMatchObject({
      passed: false,
      reason: expect.stringMatching(/127\.0\.0\.1|altnames/),
    });
  });

  test("an authority's file that is not there is named", async () => {
    expect(await probe("https", shared.port, { ca_file: "/no/such.pem" })).toMatchObject({
      passed: false,
      reason: expect.stringMatching(/ca_file cannot be read: .*\/no\/such\.pem/),
    });
  });

  test("a server without TLS fails", async () => {
    const { createServer: plain } = await import("node:http");
    const server = await onBothLoopbacks(() => plain((_, response) => response.end()));
    expect(await probe("https", server.port)).toMatchObject({ passed: false });
    await server.stop();
  });
});
