import { createServer } from "node:net";
import { until } from "@smartstack/core/testing";
import { expect, it } from "vitest";
import { type Bench, backendSpec, closedPort, listenOn, rawBackend, startBench } from "./testing/bench.ts";

const agentOf = (port: number) => ({ port, intervalMs: 50, timeoutMs: 1_000 });

/** A service of two backends, the agent of which says what it is told to. */
async function scene(act: (scene: { bench: Bench; say(line: string): void; shown(): string[] }) => Promise<void>) {
  let line = "up";
  const agent = await rawBackend(
    () => undefined,
    (socket) => socket.end(`${line}\n`),
  );
  const bench = await startBench({
    backends: [backendSpec("a", 1, { weight: 4 }), backendSpec("b", 2, { weight: 4 })],
  });
  bench.onClose(agent.close);
  const shown = (): string[] =>
    bench.proxy.status()[0]?.backends.map(({ usable, effectiveWeight, reason }) => {
      return `${usable ? "in" : "out"} ${effectiveWeight} ${reason.replace("not checked, the registry has it", "-")}`;
    }) ?? [];
  try {
    await bench.apply({ agent: agentOf(agent.port) });
    await act({
      bench,
      say(next) {
        line = next;
      },
      shown,
    });
  } finally {
    await bench.close();
  }
}

it("an agent's words change weight and state, with the reason kept, until it says otherwise", async () => {
  await scene(async ({ bench, say, shown }) => {
    const becomes = (what: string): Promise<unknown> =>
      until(() => shown().every((each) => each === what), { what: `${what}; ${shown()}`, timeoutMs: 10_000 });
    say("50%");
    await becomes("in 2 -");
    say("drain");
    await becomes("out 0 drain (agent)");
    say("ready down # disk is full");
    await becomes("out 0 down: disk is full (agent)");
    say("up 100%");
    await becomes("in 4 -");
    expect(bench.events.filter(({ name }) => name === "backend.state")).toHaveLength(4);
    say("maxconn:3");
    await until(() => bench.proxy.status()[0]?.backends[0]?.slots === 3, { what: "it has a limit" });
    await bench.apply({ agent: undefined as never });
    expect(bench.proxy.status()[0]?.backends[0]?.slots).toBeUndefined();
  });
});

it("an agent that cannot be reached changes nothing, and is not missed", async () => {
  await scene(async ({ bench, say, shown }) => {
    say("25%");
    await until(() => shown()[0] === "in 1 -", { what: "its weight" });
    await bench.apply({ agent: agentOf(await closedPort()) });
    let asked = 0;
    const silent = createServer((socket) => {
      asked++;
      socket.resetAndDestroy();
    });
    const port = await listenOn(silent, 0);
    await bench.apply({ agent: agentOf(port) });
    await until(() => asked > 4, { what: "it is asked again and again" });
    silent.close();
    expect(shown()).toEqual(["in 1 -", "in 1 -"]);
  });
});
