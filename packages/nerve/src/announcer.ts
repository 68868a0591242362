import {
  type Clock,
  describeError,
  type EventBus,
  encodeInstance,
  entryKey,
  type Instance,
  type InstanceRecord,
  isStackError,
  keepAlive,
  lossOf,
  mailbox,
  type NodeEntry,
  type Random,
  type Readiness,
  type Registry,
  type Session,
  StackError,
  sleep,
  type Transition,
  withDeadline,
} from "@smartstack/core";
import { type Desired, type Plan, plan } from "./plan.ts";

/** Writes that wait for the registry at the same time. */
const WRITES_MAX = 16;
/** Leaving takes no longer than this, whatever the registry does. */
const STOP_MS = 3_000;

export interface AnnouncerDeps {
  readonly registry: Registry;
  readonly owner: NodeEntry;
  readonly clock: Clock;
  readonly random: Random;
  readonly events: EventBus;
  /** What shall lie in the registry now; read again before every round of writes. */
  readonly desired: () => Desired;
  /** Why an entry goes, for people. */
  readonly withdrawalReason: (key: string) => string;
  /** Called once, with what an earlier run of this node left behind, before anything is written. */
  readonly adopt: (entries: ReadonlyMap<string, Instance>) => void;
}

export interface Announcer {
  /** The desired state may have changed. */
  wake(): void;
  /** What the registry held for this node when it was last known. */
  entries(): ReadonlyMap<string, Instance>;
  readiness(): Readiness;
  /** `keep` leaves the entries to their ttl, after deleting those that `drops` names. Never throws; ≤ 3 s. */
  stop(mode: "keep" | "withdraw", drops: (key: string) => boolean): Promise<void>;
}

/** Holds this node's session and keeps the registry at the newest desired state. Ends for good when another nerve has taken the node over. */
export function startAnnouncer(deps: AnnouncerDeps): Announcer {
  const { registry, owner, clock, random, events } = deps;
  const stopping = new AbortController();
  const changed = mailbox<true>();
  /** What we last wrote, encoded: an entry that differs from it without our doing is repaired. */
  const written = new Map<string, string>();
  let session: Session | undefined;
  let adopted = false;
  let reported = false;
  let status: Readiness = { part: "announce", ready: false, reason: `connecting to registry ${registry.type}` };

  // Two loops report here, the session's and the writes': one outage is one transition.
  const onTransition = (transition: Transition): void => {
    const up = transition.state === "up";
    const turned = up !== status.ready || !reported;
    status = { part: "announce", ready: up, reason: up ? `announcing as ${owner.node}` : transition.reason };
    reported = true;
    if (!turned) return;
    const where = { registry: registry.type, role: "announce" as const };
    if (up) events.publish("registry.connected", where);
    else events.publish("registry.disconnected", { ...where, reason: status.reason });
  };
  const options = { clock, random, onTransition };

  const hold = async (signal: AbortSignal): Promise<void> => {
    // What an earlier run left behind may say more than we know yet, such as "draining": the first time it is left as it is.
    const restore = adopted ? [...deps.desired().records.values()] : [];
    const held = await registry.announce(owner, restore, signal);
    session = held;
    if (signal.aborted) return;
    if (!adopted) deps.adopt(held.entries());
    adopted = true;
    held.onForeignChange(() => changed.put(true));
    const live = AbortSignal.any([signal, held.lost]);
    await keepAlive((inner, healthy) => follow(held, inner, healthy), { ...options, signal: live });
    if (!held.lost.aborted) return;
    await held.close("keep");
    throw lossOf(held);
  };

  /** Level-triggered: whatever woke it, it compares everything and writes the difference. */
  const follow = async (held: Session, signal: AbortSignal, healthy: () => void): Promise<void> => {
    while (!signal.aborted) {
      await apply(held, plan(deps.desired(), held.entries()));
      healthy();
      await changed.take(signal);
    }
  };

  const apply = async (held: Session, work: Plan): Promise<void> => {
    const jobs = [
      ...work.drop.map(
        ({ service, id }) =>
          () =>
            drop(held, service, id),
      ),
      ...work.put.map((record) => () => put(held, record)),
    ];
    const worker = async (): Promise<void> => {
      for (let job = jobs.shift(); job !== undefined; job = jobs.shift()) await job();
    };
    await Promise.all(Array.from({ length: Math.min(WRITES_MAX, jobs.length) }, worker));
  };

  const put = async (held: Session, record: InstanceRecord): Promise<void> => {
    const { service, id, instance } = record;
    const key = entryKey(service, id);
    const text = encodeInstance(instance);
    await retriable(held.put(record));
    if (written.get(key) === text) events.publish("instance.repaired", { service, id });
    else if (!written.has(key))
      events.publish("instance.announced", { service, id, address: `${instance.host}:${instance.port}` });
    written.set(key, text);
  };

  const drop = async (held: Session, service: string, id: string): Promise<void> => {
    const key = entryKey(service, id);
    const reason = deps.withdrawalReason(key);
    await retriable(held.drop(service, id));
    written.delete(key);
    events.publish("instance.withdrawn", { service, id, reason });
  };

  const main = async (): Promise<void> => {
    try {
      await keepAlive(hold, { ...options, signal: stopping.signal });
    } catch (error) {
      const reason = describeError(error);
      if (isStackError(error) && error.code === "REGISTRY_FENCED")
        events.publish("nerve.fenced", { node: owner.node, reason });
      else onTransition({ state: "down", error, reason });
      status = { part: "announce", ready: false, reason };
    }
  };
  const ended = main();

  return {
    wake: () => changed.put(true),
    entries: () => session?.entries() ?? new Map(),
    readiness: () => status,
    async stop(mode, drops) {
      const held = session;
      const leave = async (): Promise<void> => {
        stopping.abort();
        // A write that hangs must not use up the time that the others need.
        await Promise.race([ended, sleep(clock, STOP_MS / 6)]);
        if (held === undefined) return;
        if (mode === "keep" && !held.lost.aborted) {
          const going = [...held.entries().keys()].filter(drops).map((key) => key.split("/"));
          await apply(held, { put: [], drop: going.map(([service = "", id = ""]) => ({ service, id })) });
        }
        await held.close(mode);
      };
      try {
        await withDeadline(leave(), { clock, ms: STOP_MS, what: "leaving the registry", side: "registry" });
      } catch (error) {
        // The entries end with their ttl; there is nobody left to try again.
        events.publish("registry.disconnected", {
          registry: registry.type,
          role: "announce",
          reason: describeError(error),
        });
      }
    },
  };
}

/** Only being fenced ends the announcing: a write that a driver calls hopeless must not take all the others with it. */
async function retriable(write: Promise<void>): Promise<void> {
  try {
    await write;
  } catch (cause) {
    if (isStackError(cause) && (cause.retry !== "never" || cause.code === "REGISTRY_FENCED")) throw cause;
    throw new StackError("REGISTRY_FAILED", "a write to the registry failed", {
      side: "registry",
      retry: "after-backoff",
      cause,
    });
  }
}
