import { startChild } from "../../support/children.ts";
import type { Engine } from "../../support/docker.ts";
import { onLines } from "./ledger.ts";

/** What the engine told of a container, by the engine's own clock. */
export interface EngineEvent {
  readonly action: string;
  readonly container: string;
  readonly atMs: number;
}

interface Told {
  readonly Type: string;
  readonly Action: string;
  readonly Actor: { readonly ID: string; readonly Attributes: Readonly<Record<string, string>> };
  readonly timeNano: number;
}

/** The engine's events, read by its own command. */
export function watchEngine(engine: Engine): { readonly events: readonly EngineEvent[]; close(): Promise<void> } {
  const events: EngineEvent[] = [];
  const filters = ["--filter", "type=container", "--filter", "type=network"];
  // It is told what comes before it is heard.
  const since = ["--since", String(Date.now() / 1_000)];
  const child = startChild("/usr/bin/docker", [
    "-H",
    engine.host,
    "events",
    ...filters,
    "--format",
    "{{json .}}",
    ...since,
  ]);
  onLines(child.process.stdout, (line) => {
    const told = JSON.parse(line) as Told;
    if (told.Action.startsWith("exec_")) return;
    const container = told.Type === "network" ? (told.Actor.Attributes.container ?? "") : told.Actor.ID;
    events.push({ action: told.Action, container, atMs: told.timeNano / 1e6 });
  });
  return { events, close: () => child.stop() };
}
