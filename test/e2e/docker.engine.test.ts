import { existsSync, readFileSync } from "node:fs";
import { until } from "@smartstack/core/testing";
import { expect, test } from "vitest";
import { command } from "../support/command.ts";
import { startDocker } from "../support/docker.ts";
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
  const before = await traces();
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
  expect(existsSync(engine.slot.folder)).toBe(false);
  expect(await traces()).toEqual(before);
});

test("an engine that was killed with its containers running is removed whole", async () => {
  const before = await traces();
  const engine = await startDocker();
  await importNodeImage(engine);
  await engine.run();
  await engine.halt("SIGKILL");
  engine.stop();
  expect(existsSync(engine.slot.folder)).toBe(false);
  expect(await traces()).toEqual(before);
});

/** What an engine could leave on the machine: links, namespaces, mounts, packet filter rules, processes. */
async function traces(): Promise<Record<string, readonly string[]>> {
  const lines = (text: string): string[] => text.split("\n").filter(Boolean).sort();
  const own = /smartstack\d|smartstack-engine-/;
  const processes = lines(await command("ps", ["-eo", "args"]));
  return {
    links: lines(await command("ip", ["-brief", "link"])).filter((line) => own.test(line)),
    namespaces: lines(await command("ip", ["netns"])),
    rules: lines(await command("iptables", ["-S"])),
    mounts: lines(readFileSync("/proc/mounts", "utf8")).filter((line) => own.test(line)),
    processes: processes.filter((line) => own.test(line)),
  };
}
