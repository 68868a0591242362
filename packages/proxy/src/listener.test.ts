import { createServer } from "node:net";
import { type Clock, eventBus, systemClock } from "@smartstack/core";
import { until } from "@smartstack/core/testing";
import { afterEach, expect, it } from "vitest";
import { openListener } from "./listener.ts";

const warnings: Error[] = [];
const keep = (warning: Error): void => void warnings.push(warning);

afterEach(() => {
  process.off("warning", keep);
  warnings.length = 0;
});

it("tries a taken address for ever without piling anything up", async () => {
  process.on("warning", keep);
  const holder = createServer();
  await new Promise<void>((resolve) => holder.listen(0, "127.0.0.1", resolve));
  const port = (holder.address() as { port: number }).port;
  let waits = 0;
  const clock: Clock = {
    ...systemClock,
    after(ms, run, options) {
      if (ms <= 1) waits++;
      return systemClock.after(ms, run, options);
    },
  };
  const listener = openListener({
    address: { host: "127.0.0.1", port },
    clock,
    random: () => 0.5,
    events: eventBus(),
    retryMs: 1,
    serviceName: () => "web",
    load: { clients: 0 },
    onConnection: () => undefined,
  });
  await until(() => waits > 20, { what: "twenty attempts" });
  holder.close();
  await until(() => listener.status().state === "bound", { what: "the address is bound once it is free" });
  listener.close();
  expect(warnings).toEqual([]);
});
