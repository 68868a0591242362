import { existsSync } from "node:fs";
import { expect, test } from "vitest";
import { command } from "../support/command.ts";
import { startDocker } from "../support/docker.ts";

test("starts", async () => {
  const t0 = performance.now();
  const engine = await startDocker();
  console.log(engine.slot.folder, performance.now() - t0);
  expect(await engine.docker("ps")).toContain("CONTAINER");
  console.log(await command("nsenter", [...engine.enter.slice(1), "iptables", "-S"]));
  await engine.stop();
  expect(existsSync(engine.slot.folder)).toBe(false);
  console.log(await command("ip", ["-br", "link"]), await command("iptables", ["-S"]));
});
