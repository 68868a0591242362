import {
  type Clock,
  describeError,
  type EventBus,
  type Instance,
  type InstanceRecord,
  isStackError,
  keepAlive,
  lossOf,
  type NodeEntry,
  type Random,
  type Readiness,
  type Registry,
  type Session,
  type StackError,
  sleep,
  type Transition,
  withDeadline,
} from "@smartstack/core";
import { type Changes, changes, type Scope } from "./changes.ts";
import { follow } from "./follow.ts";
import { type Desired, plan } from "./plan.ts";
import { type RegistryWriter, registryWriter, type WriterDeps } from "./registry-writer.ts";

/** Leaving takes no longer than this, whatever the registry does; of it, a write under way may take a sixth. */
const STOP_MS = 3_000;

export interface AnnouncerDeps extends WriterDeps {
  readonly registry: Registry;
  readonly owner: NodeEntry;
  readonly clock: Clock;
  readonly random: Random;
  readonly events: EventBus;
  /** What shall lie in the registry now, as far as `scope` goes; read again before every round of writes. */
  readonly desired: (scope: Scope) => Desired;
  /** Called once, with what an earlier run of this node left behind, before anything is written. */
  readonly adopt: (entries: ReadonlyMap<string, Instance>) => void;
}

export interface Announcer {
  /** What is desired may have changed: what lies at these keys, or anything. */
  readonly changed: Pick<Changes, "mark" | "markAll">;
  /** What the registry holds for this node; undefined while there is no session. */
  entries(): ReadonlyMap<string, Instance> | undefined;
  /** Set once another nerve has taken the node over: nothing is written any more. */
  fenced(): StackError | undefined;
  /** Why the registry does not take what shall lie at this key. */
  refusal(key: string): string | undefined;
  readiness(): Readiness;
  /** `keep` leaves the entries to their ttl, after deleting those that `drops` names. Never throws; ≤ 3 s. */
  stop(mode: "keep" | "withdraw", drops: (key: string) => boolean): Promise<void>;
}

/** Holds this node's session and keeps the registry at the newest desired state. Ends for good when another nerve has taken the node over. */
export function startAnnouncer(deps: AnnouncerDeps): Announcer {
  const { registry, owner, clock, random, events } = deps;
  const stopping = new AbortController();
  const changed = changes();
  const writer = registryWriter(deps);
  const report = reporter(registry.type, owner.node, events);
  const options = { clock, random, onTransition: report.transition };
  const refused = new Map<string, string>();
  let session: Session | undefined;
  let adopted = false;

  const hold = async (signal: AbortSignal, holding: () => void): Promise<void> => {
    // What an earlier run left behind may say more than we know yet, such as "draining": the first time it is left as it is.
    const restore = adopted ? allRecords(deps.desired("all")) : [];
    const held = await registry.announce(owner, restore, signal);
    session = held;
    if (adopted) writer.restored(restore, held);
    else {
      deps.adopt(held.entries());
      writer.adopted(held.entries());
    }
    adopted = true;
    held.onForeignChange(changed.markAll);
    const live = AbortSignal.any([signal, held.lost]);
    const { desired } = deps;
    await follow({
      ...options,
      session: held,
      writer,
      desired,
      changed,
      refused,
      events,
      signal: live,
      healthy: holding,
    });
    if (signal.aborted) return;
    session = undefined;
    await held.close("keep");
    throw lossOf(held);
  };
  const ended = keepAlive(hold, { ...options, signal: stopping.signal }).catch((error: unknown) => report.end(error));

  return {
    changed,
    entries: () => session?.entries(),
    fenced: report.fenced,
    refusal: (key) => refused.get(key),
    readiness: () => withRefusals(report.readiness(), refused, session?.entries().size ?? 0),
    async stop(mode, drops) {
      stopping.abort();
      const leaving = leave(ended, () => session, writer, mode, drops, clock);
      try {
        await withDeadline(leaving, { clock, ms: STOP_MS, what: "leaving the registry", side: "registry" });
      } catch (error) {
        // Nobody is left to try again: the entries end with their ttl.
        report.transition({ state: "down", error, reason: describeError(error) });
      }
    },
  };
}

function allRecords(desired: Desired): InstanceRecord[] {
  return [...desired.keys].flatMap((key) => desired.record(key) ?? []);
}

async function leave(
  ended: Promise<void>,
  current: () => Session | undefined,
  writer: RegistryWriter,
  mode: "keep" | "withdraw",
  drops: (key: string) => boolean,
  clock: Clock,
): Promise<void> {
  const waited = new AbortController();
  await Promise.race([ended, sleep(clock, STOP_MS / 6, waited.signal)]);
  waited.abort();
  const session = current();
  if (session === undefined) return;
  try {
    const keeps = (key: string): boolean => mode === "withdraw" || !drops(key);
    const entries = session.entries();
    const { drop } = plan({ keys: new Set(entries.keys()), record: () => undefined, keeps }, entries);
    if (session.lost.aborted) return;
    const refused = await writer.apply(session, { put: [], drop }, "nerve is stopping");
    for (const error of refused.values()) throw error;
  } finally {
    await session.close(mode);
  }
}

/** Refused entries are theirs to say, unless nothing else is announced. Pure. */
function withRefusals(status: Readiness, refused: ReadonlyMap<string, string>, announced: number): Readiness {
  const [first] = refused;
  if (!status.ready || first === undefined) return status;
  const [key, why] = first;
  const others = refused.size === 1 ? "" : ` and ${refused.size - 1} more`;
  return { ...status, ready: announced > 0, reason: `${status.reason}; the registry refuses ${key}${others}: ${why}` };
}

interface Reporter {
  readonly transition: (transition: Transition) => void;
  /** The announcing ended for good. */
  end(error: unknown): void;
  readonly fenced: () => StackError | undefined;
  readonly readiness: () => Readiness;
}

/** The session and the writes both report here: one outage is one transition. */
function reporter(registry: string, node: string, events: EventBus): Reporter {
  let status: Readiness = { part: "announce", ready: false, reason: `connecting to registry ${registry}` };
  let fenced: StackError | undefined;
  let told: boolean | undefined;
  const transition = (now: Transition): void => {
    const up = now.state === "up";
    status = { part: "announce", ready: up, reason: up ? `announcing as ${node}` : now.reason };
    if (told === up) return;
    told = up;
    if (up) events.publish("registry.connected", { registry, role: "announce" });
    else events.publish("registry.disconnected", { registry, role: "announce", reason: status.reason });
  };
  return {
    transition,
    end(error) {
      const reason = describeError(error);
      if (isStackError(error) && error.code === "REGISTRY_FENCED") {
        fenced = error;
        status = { part: "announce", ready: false, reason };
        events.publish("nerve.fenced", { node, reason });
      } else transition({ state: "down", error, reason });
    },
    fenced: () => fenced,
    readiness: () => status,
  };
}
