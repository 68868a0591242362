import { request as httpRequest, type IncomingMessage } from "node:http";
import { formatAddress } from "../addresses.ts";
import type { CheckKind, ProbeRequest, ProbeResult } from "./check.ts";

/** A health page is small; what comes after this is not looked at. */
const BODY_BYTES_MAX = 64 * 1024;

/** `GET path`: passes with a status from 200 to 399 and, where asked for, a body that contains `expect`. Redirects are not followed. */
export const http: CheckKind = { active: true, inConfig: true, probe };

function probe({ host, port, path, expect, timeoutMs, clock }: ProbeRequest): Promise<ProbeResult> {
  return new Promise((resolve) => {
    const request = httpRequest({
      host,
      port,
      path,
      agent: false,
      headers: { host: formatAddress(host, port), connection: "close", "user-agent": "smartstack-nerve" },
    });
    const finish = (passed: boolean, reason: string): void => {
      cancelTimeout();
      request.destroy();
      resolve({ passed, reason });
    };
    const cancelTimeout = clock.after(timeoutMs, () => finish(false, `no answer within ${timeoutMs} ms`));
    request.on("error", (error) => finish(false, error.message));
    request.on("response", (response) => judge(response, expect, finish));
    request.end();
  });
}

function judge(
  response: IncomingMessage,
  expect: string | undefined,
  finish: (passed: boolean, reason: string) => void,
): void {
  const status = response.statusCode ?? 0;
  response.on("error", (error) => finish(false, error.message));
  const fine = status >= 200 && status <= 399;
  if (!fine || expect === undefined || expect === "") {
    finish(fine, `status ${status}`);
    return;
  }
  const chunks: Buffer[] = [];
  let bytes = 0;
  const decide = (): void => {
    const found = Buffer.concat(chunks).includes(expect);
    finish(found, `status ${status}, body ${found ? "contains" : "lacks"} ${JSON.stringify(expect)}`);
  };
  response.on("data", (chunk: Buffer) => {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes >= BODY_BYTES_MAX) decide();
  });
  response.on("end", decide);
  response.on("close", () => finish(false, "the answer broke off"));
}
