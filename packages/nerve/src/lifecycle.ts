import type { ContainerFacts } from "./containers.ts";
import { SIGKILL, SIGTERM } from "./stop-signal.ts";

/**
 * Why a container is out although its last inspect says it runs: an event said so later than the inspect began.
 * `leaving`: it was sent its stop signal, and serves nobody new whatever it still does.
 */
export type Lifecycle =
  | {
      readonly phase: "in";
      /** What is odd about it all the same. */
      readonly note?: string;
    }
  | { readonly phase: "out"; readonly reason: string; readonly atMs: number }
  | {
      readonly phase: "leaving";
      readonly signal: number;
      readonly reason: string;
      readonly atMs: number;
      /** Still running at this (monotonic) time means that it ignored the signal: it is announced again. */
      readonly untilMs: number;
      /** Empty: not known. */
      readonly startedAt: string;
    };

/** The actions of the engine's events that change what can be reached; nothing else is asked for. */
export const CONTAINER_ACTIONS = [
  "start",
  "die",
  "kill",
  "pause",
  "unpause",
  "rename",
  "destroy",
  "health_status",
] as const;
export const NETWORK_ACTIONS = ["connect", "disconnect"] as const;

export interface ContainerEvent {
  readonly container: string;
  /** `health_status` without what follows its colon. */
  readonly action: (typeof CONTAINER_ACTIONS)[number] | (typeof NETWORK_ACTIONS)[number];
  /** Of `kill`; see HIDDEN_SIGNAL. */
  readonly signal: number | undefined;
  /** The container's labels, with name and image among them; network events carry none. */
  readonly labels: Readonly<Record<string, string>> | undefined;
}

/**
 * The engine lays a container's labels over what its events say: a label `signal` hides which signal was sent. A stop is
 * then what it is taken for, as a container that goes on is offered again and one that goes fails requests.
 */
export const HIDDEN_SIGNAL = 0;

export const LIFECYCLE_START: Lifecycle = { phase: "in" };

/** How long after its stop timeout a container that ignored its stop signal is taken for alive. */
const STILL_ALIVE_MS = 5_000;

type SignalFacts = Pick<ContainerFacts, "stopSignal" | "stopTimeoutMs" | "startedAt" | "labels">;

/**
 * What an event alone decides, before any inspect. Pure. `facts` are those of the last inspect, if there was one.
 * Docker emits `kill` for every signal sent: only the container's own stop signal, or 9, means that it goes. Until that
 * is known TERM is taken for it, as nearly always it is; see decideEarly.
 */
export function afterEvent(
  now: Lifecycle,
  event: ContainerEvent,
  facts: SignalFacts | undefined,
  nowMs: number,
): Lifecycle {
  const stopSignal = facts?.stopSignal ?? SIGTERM;
  switch (event.action) {
    case "kill": {
      const hidden = event.signal === HIDDEN_SIGNAL || facts?.labels.signal !== undefined;
      const signal = hidden ? stopSignal : event.signal;
      if (signal !== stopSignal && signal !== SIGKILL) return now;
      return {
        phase: "leaving",
        signal,
        reason: hidden
          ? "sent a signal that its label hides: taken for its stop"
          : `sent signal ${signal}: it is stopping`,
        atMs: nowMs,
        untilMs: nowMs + (facts?.stopTimeoutMs ?? 10_000) + STILL_ALIVE_MS,
        // Out by an end or a start: the facts are of the last run, the signal is not.
        startedAt: now.phase === "out" ? "" : (facts?.startedAt ?? ""),
      };
    }
    case "die":
    case "destroy":
      return { phase: "out", reason: "its process has ended", atMs: nowMs };
    case "pause":
      return now.phase === "leaving" ? now : { phase: "out", reason: "paused", atMs: nowMs };
    case "start":
      // What is known is of its last run: its address may be another container's by now.
      return { phase: "out", reason: "just started, not inspected yet", atMs: nowMs };
    default:
      return now;
  }
}

/** What an inspect that began at `beganMs` (monotonic) changes. An inspect that began before the event knows nothing of it. Pure. */
export function afterInspect(
  now: Lifecycle,
  facts: Pick<ContainerFacts, "running" | "status" | "startedAt">,
  beganMs: number,
): Lifecycle {
  if (now.phase === "in" || beganMs < now.atMs) return now;
  // What is paused on its way out goes on with that afterwards.
  const hasEnded = !facts.running && facts.status !== "paused";
  if (now.phase === "out" || hasEnded) return LIFECYCLE_START;
  if (now.startedAt !== "" && facts.startedAt !== now.startedAt) return LIFECYCLE_START;
  if (beganMs < now.untilMs) return now;
  const seconds = STILL_ALIVE_MS / 1_000;
  // The events do not carry the time that `docker stop --time` gives.
  return {
    phase: "in",
    note: `sent signal ${now.signal}, still runs ${seconds} s after its stop timeout: offered again`,
  };
}

/** An event that came before an inspect told the container's stop signal. */
export interface EarlyEvent {
  readonly event: ContainerEvent;
  /** Monotonic. */
  readonly atMs: number;
}

/** What is kept of early events: nothing from before a start or an end, and the last pause and signal of each kind. Pure. */
export function remember(early: readonly EarlyEvent[], event: ContainerEvent, atMs: number): readonly EarlyEvent[] {
  const { action, signal } = event;
  if (action === "start" || action === "die") return [{ event, atMs }];
  if (action !== "kill" && action !== "pause") return early;
  return [...early.filter((one) => one.event.action !== action || one.event.signal !== signal), { event, atMs }];
}

/** What they decide, now that the stop signal is known: an inspect does not show a stop that is under way. Pure. */
export function decideEarly(early: readonly EarlyEvent[], facts: SignalFacts): Lifecycle {
  return early.reduce<Lifecycle>((now, { event, atMs }) => afterEvent(now, event, facts, atMs), LIFECYCLE_START);
}

/** Undefined while it may be offered, else why not. */
export function outReason(now: Lifecycle, facts: Pick<ContainerFacts, "running" | "status">): string | undefined {
  if (now.phase !== "in") return now.reason;
  return facts.running ? undefined : `not running: ${facts.status}`;
}
