import {
  type Clock,
  describeError,
  type EventBus,
  keepAlive,
  type Random,
  type Registry,
  type Transition,
  withDeadline,
} from "@smartstack/core";

/** Opening imports a client library and does no I/O beyond that. */
const OPEN_MS_MAX = 10_000;

export interface LinkDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly events: EventBus;
}

export interface Reader<T> {
  /** Opens the stream; called again after each failure. */
  readonly open: (registry: Registry, signal: AbortSignal) => AsyncIterable<T>;
  readonly onNews: (news: T) => void;
  /** The stream cannot be read now; said once per outage. After it, the stream begins anew. */
  readonly onAway?: (reason: string) => void;
}

/** One registry as synapse reads it: any number of streams that are each kept open, and one verdict over them all. */
export interface RegistryLink {
  /** Reads until `signal` aborts. Never rejects: what coming again cannot help is away, with the reason. */
  read<T>(reader: Reader<T>, signal: AbortSignal): Promise<void>;
  /** Undefined when nothing reads it. `awaySinceMs` is monotonic. */
  state(): LinkState | undefined;
}

export interface LinkState {
  readonly target: string;
  /** Everything that is read of it could be read at some time. */
  readonly everRead: boolean;
  readonly awaySinceMs: number | undefined;
  readonly reason: string;
}

/**
 * @param open the registry; asked again at each attempt, as opening it may fail too.
 * @param name how to call it until it is open.
 */
export function registryLink(open: () => Promise<Registry>, name: string, deps: LinkDeps): RegistryLink {
  const { clock, random, events } = deps;
  const readings = new Set<object>();
  const away = new Map<object, string>();
  let target = name;
  let connected: boolean | undefined;
  let everRead = false;
  let sinceMs = clock.monotonic();

  function turn(now: boolean, reason: string): void {
    if (connected === now) return;
    connected = now;
    sinceMs = clock.monotonic();
    if (now) events.publish("registry.connected", { registry: target, role: "watch" });
    else events.publish("registry.disconnected", { registry: target, role: "watch", reason });
  }

  function arrived(reader: object): void {
    away.delete(reader);
    everRead ||= away.size === 0;
    if (away.size === 0) turn(true, "");
  }

  async function readOnce<T>(reader: Reader<T>, signal: AbortSignal, healthy: () => void): Promise<void> {
    const registry = await withDeadline(open(), {
      clock,
      ms: OPEN_MS_MAX,
      what: `opening ${target}`,
      side: "registry",
    });
    target = registry.status().target;
    for await (const news of reader.open(registry, signal)) {
      if (signal.aborted) return;
      healthy();
      arrived(reader);
      reader.onNews(news);
    }
  }

  return {
    async read(reader, signal) {
      const lost = (reason: string): void => {
        away.set(reader, reason);
        turn(false, reason);
        reader.onAway?.(reason);
      };
      const onTransition = (transition: Transition): void => {
        if (transition.state === "down") lost(transition.reason);
      };
      readings.add(reader);
      try {
        const run = (runSignal: AbortSignal, healthy: () => void) => readOnce(reader, runSignal, healthy);
        await keepAlive(run, { clock, random, signal, onTransition });
      } catch (error) {
        lost(`given up: ${describeError(error)}`);
        if (!signal.aborted) await aborted(signal);
      }
      readings.delete(reader);
      away.delete(reader);
      // The only stream that could not be read is gone: what is left can be.
      if (readings.size > 0 && away.size === 0 && connected === false) turn(true, "");
    },
    state() {
      if (readings.size === 0) return undefined;
      if (connected === true) return { target, everRead, awaySinceMs: undefined, reason: "read" };
      return { target, everRead, awaySinceMs: sinceMs, reason: [...away.values()][0] ?? "not read yet" };
    },
  };
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}
