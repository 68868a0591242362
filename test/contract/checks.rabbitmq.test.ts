import { until } from "@smartstack/core/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type RabbitMq, startRabbitMq } from "../support/rabbitmq.ts";
import { describeCheck, probe } from "./checks.suite.ts";

let shared: RabbitMq;
beforeAll(async () => {
  shared = await startRabbitMq();
});
afterAll(() => shared?.stop());

describeCheck({ type: "rabbitmq", good: async () => ({ ...shared, stop: async () => undefined }) });

describe("rabbitmq", () => {
  test("the user must be right, and says so", async () => {
    expect(await probe("rabbitmq", shared.port, { password: "wrong" })).toMatchObject({
      passed: false,
      reason: expect.stringMatching(/^403 ACCESS_REFUSED/),
    });
  });

  test("the virtual host must be there", async () => {
    expect(await probe("rabbitmq", shared.port, { vhost: "no-such" })).toMatchObject({
      passed: false,
      reason: expect.stringMatching(/^530 NOT_ALLOWED - vhost no-such not found/),
    });
  });

  test("a passed probe leaves no warning in the broker's log", async () => {
    const before = shared.log().length;
    expect(await probe("rabbitmq", shared.port)).toEqual({ passed: true, reason: "opened vhost /" });
    const lines = await until(
      () => {
        const log = shared.log().slice(before);
        const id = /accepting AMQP connection (<\S+>)/.exec(log)?.[1] ?? "no connection yet";
        const own = log.split("\n").filter((line) => line.includes(id));
        return own.some((line) => line.includes("closing AMQP connection")) && own;
      },
      { what: "the connection's end in the log" },
    );
    expect(lines.filter((line) => !line.includes("[info]"))).toEqual([]);
  });
});
