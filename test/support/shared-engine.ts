import { inject } from "vitest";
import { NODE_IMAGE } from "./container.ts";
import { type Engine, openEngine } from "./docker.ts";
import type { Slot } from "./engine-slot.ts";

/**
 * The engine that all tests of a run share, started by the first that asks, with the images named; the test web server's
 * is always there. Tests remove what they create. One that stops or restarts its engine takes its own: `startDocker`.
 */
export async function sharedEngine(...images: readonly string[]): Promise<Engine> {
  let engine: Engine | undefined;
  for (const image of [NODE_IMAGE, ...images]) {
    const response = await fetch(`${inject("sharedEngine")}/${encodeURIComponent(image)}`);
    const text = await response.text();
    if (!response.ok) throw new Error(`the shared test engine has no image ${image}: ${text}`);
    engine = openEngine(JSON.parse(text) as Slot);
  }
  return engine as Engine;
}
