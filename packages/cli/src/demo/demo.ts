import { describeError, eventBus, StackError, sleep, systemClock } from "@smartstack/core";
import { sentenceOf } from "../sentences.ts";
import type { Terminal } from "../terminal.ts";
import { containerFleet } from "./containers.ts";
import { type Fleet, type FleetDeps, SERVICE } from "./fleet.ts";
import { freePort } from "./free-port.ts";
import { processFleet } from "./processes.ts";
import { type Answer, startTraffic, type Traffic, tally } from "./traffic.ts";

const FIRST = ["one", "two", "three"] as const;
const KILLED = "two";
const ADDED = "four";
const READY_MS_MAX = 6_000;
const DEMO_MS_MAX = 28_000;
const PHASE_MS = 2_500;
const clock = systemClock;

/** Shows the whole chain and cleans up behind itself. Returns 0 only if no request failed. */
export async function demo(terminal: Terminal): Promise<number> {
  const interrupted = new AbortController();
  const interrupt = (): void => interrupted.abort(gaveUp("interrupted"));
  const overdue = clock.after(DEMO_MS_MAX, () => interrupted.abort(gaveUp(`not done within ${DEMO_MS_MAX / 1_000} s`)));
  process.on("SIGINT", interrupt).on("SIGTERM", interrupt);
  let traffic: Traffic | undefined;
  let fleet: Fleet | undefined;
  try {
    const deps = await fleetDeps(terminal);
    terminal.print(
      `Demo: three backends of the service ${SERVICE} behind localhost:${deps.port}; one of them will die.`,
    );
    fleet = await startFleet(deps, interrupted.signal);
    traffic = startTraffic(deps.port, clock);
    return await show(terminal, fleet, traffic, interrupted.signal);
  } catch (error) {
    terminal.error(`The demo could not go on: ${describeError(error)}`);
    return 2;
  } finally {
    overdue();
    terminal.print("Cleaning up …");
    await traffic?.stop();
    await fleet?.close();
    process.off("SIGINT", interrupt).off("SIGTERM", interrupt);
  }
}

async function fleetDeps(terminal: Terminal): Promise<FleetDeps> {
  const events = eventBus();
  events.subscribe((event) => {
    const { text } = sentenceOf(event, "up");
    if (event.name.startsWith("backend.") || event.name === "listener.bound" || event.name === "container.refused")
      terminal.print(`  ${text}`);
  });
  return { events, port: await freePort(), env: terminal.env, say: terminal.print };
}

/** Containers if this machine can, else processes. */
async function startFleet(deps: FleetDeps, signal: AbortSignal): Promise<Fleet> {
  let reason: string;
  try {
    return await filled(await containerFleet(deps), deps, signal);
  } catch (error) {
    if (signal.aborted) throw error;
    reason = describeError(error);
  }
  deps.say(`  no usable Docker engine (${reason})`);
  return filled(await processFleet(deps), deps, signal);
}

/** Starts the first backends and waits until all of them are routed to; gives the fleet up if they are not. */
async function filled(fleet: Fleet, deps: FleetDeps, signal: AbortSignal): Promise<Fleet> {
  try {
    deps.say(`Backends are ${fleet.about}.`);
    for (const name of FIRST) {
      stopIf(signal);
      await fleet.start(name);
    }
    await routed(fleet, FIRST.length, signal);
    return fleet;
  } catch (error) {
    await fleet.close();
    throw error;
  }
}

async function show(terminal: Terminal, fleet: Fleet, traffic: Traffic, signal: AbortSignal): Promise<number> {
  const since = (ms: number): readonly Answer[] => traffic.answers().filter((answer) => answer.atMs >= ms);
  let phaseMs = clock.monotonic();
  await phase(PHASE_MS, signal);
  terminal.print(`Traffic: ${counted(since(phaseMs))}.`);

  terminal.print(`Killing ${KILLED} now.`);
  const killedMs = clock.monotonic();
  await fleet.kill(KILLED);
  await phase(PHASE_MS, signal);
  terminal.print(`Since the kill: ${counted(since(killedMs))}.`);

  terminal.print(`Starting ${ADDED}.`);
  await fleet.start(ADDED);
  await until(() => tally(since(killedMs)).served.has(ADDED), signal, `${ADDED} gets requests`);
  phaseMs = clock.monotonic();
  await phase(PHASE_MS, signal);
  terminal.print(`With ${ADDED}: ${counted(since(phaseMs))}.`);

  await traffic.stop();
  const { served, failed } = tally(traffic.answers());
  const last = tally(since(phaseMs)).served;
  const silent = [...FIRST, ADDED].filter((name) => name !== KILLED && !last.has(name));
  const total = [...served.values()].reduce((sum, count) => sum + count, 0) + failed.length;
  terminal.print(`${total} requests, ${failed.length} failed.`);
  for (const reason of new Set(failed)) terminal.print(`  ${reason}`);
  if (silent.length > 0) terminal.print(`  no answer from ${silent.join(", ")}, though alive`);
  if (last.has(KILLED)) terminal.print(`  ${KILLED} still answered after its death`);
  return failed.length === 0 && silent.length === 0 && !last.has(KILLED) ? 0 : 2;
}

async function routed(fleet: Fleet, count: number, signal: AbortSignal): Promise<void> {
  const usable = (): number =>
    fleet.stack
      .services()
      .find(({ name }) => name === SERVICE)
      ?.backends.filter((backend) => backend.usable).length ?? 0;
  await until(() => usable() >= count, signal, `${count} backends are served`);
}

async function until(holds: () => boolean, signal: AbortSignal, what: string): Promise<void> {
  const endMs = clock.monotonic() + READY_MS_MAX;
  while (!holds()) {
    if (clock.monotonic() >= endMs) throw gaveUp(`not within ${READY_MS_MAX / 1_000} s: ${what}`);
    await phase(20, signal);
  }
}

async function phase(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(clock, ms, signal);
  stopIf(signal);
}

function stopIf(signal: AbortSignal): void {
  if (signal.aborted) throw signal.reason;
}

function gaveUp(why: string): StackError {
  return new StackError("CLOSED", why, { side: "self", retry: "never" });
}

function counted(answers: readonly Answer[]): string {
  const { served, failed } = tally(answers);
  const parts = [...served].sort().map(([name, count]) => `${name} ${count}`);
  return `${answers.length} requests (${parts.join(", ")}), ${failed.length} failed`;
}
