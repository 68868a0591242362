import { existsSync, readFileSync } from "node:fs";
import { until } from "@smartstack/core/testing";
import { expect, test } from "vitest";
import { command } from "../support/command.ts";
import { type Engine, startDocker } from "../support/docker.ts";
import { networkOfSlot } from "../support/engine-network.ts";
import { importNodeImage } from "../support/image.ts";
import { sharedEngine } from "../support/shared-engine.ts";

test("containers of the shared engine answer at their own address and at the published port", async () => {
  const engine = await sharedEngine();
  const container = await engine.run({ env: { ID: "a" }, publish: ["80"], labels: { purpose: "test" } });
  try {
    const get = async (host: string): Promise<string> => (await fetch(`http://${host}/`)).text();
    const address = await engine.address(container);
    expect(await until(() => get(address), { what: "the container answers" })).toBe("a 80\n");
    const port = (await engine.docker("port", container, "80")).split("\n")[0]?.split(":").pop();
    expect(await get(`${engine.hostAddress}:${port}`)).toBe("a 80\n");
  } finally {
    await engine.remove(container);
  }
});

test("an engine restarts with its containers, and leaves nothing behind", async () => {
  const engine = await startDocker();
  try {
    await importNodeImage(engine);
    await engine.docker("network", "create", "other");
    const container = await engine.run({ name: "kept", network: "other" });
    // Before its handler is set, a process with id 1 ignores TERM, and the engine waits ten seconds for it.
    await until(async () => (await engine.docker("logs", container)).includes("listening"), {
      what: "the server is up",
    });
    await engine.restart();
    expect(await engine.docker("inspect", "--format", "{{.State.Running}}", container)).toBe("false");
    await engine.docker("start", container);
    await engine.restart("SIGKILL");
    expect(await engine.docker("ps", "--all", "--format", "{{.Names}}")).toBe("kept");
  } finally {
    engine.stop();
  }
  await expectNothingLeft(engine);
});

test("an engine that was killed with its containers running is removed whole", async () => {
  const engine = await startDocker();
  await importNodeImage(engine);
  await engine.run();
  await engine.halt("SIGKILL");
  engine.stop();
  await expectNothingLeft(engine);
});

/** Links, namespaces, mounts and processes: all that an engine could leave on the machine, where others may run as well. */
async function expectNothingLeft({ slot }: Engine): Promise<void> {
  expect(existsSync(slot.folder)).toBe(false);
  const own = new RegExp(`${networkOfSlot(slot.number).name}\\b|${slot.folder}\\b`);
  const traces = async (): Promise<string[]> => {
    const texts = await Promise.all([
      command("ps", ["-eo", "args"]),
      command("ip", ["-brief", "link"]),
      command("ip", ["netns"]),
      command("iptables", ["-S"]),
    ]);
    return [...texts, readFileSync("/proc/mounts", "utf8")]
      .join("\n")
      .split("\n")
      .filter((line) => own.test(line));
  };
  // A process that was killed is seen till its parent has heard of it.
  const none = async (): Promise<boolean> => (await traces()).length === 0;
  await until(none, { what: "nothing of the engine is left" }).catch(() => undefined);
  expect(await traces()).toEqual([]);
}
