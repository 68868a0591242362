import {
  type Clock,
  describeError,
  type EventBus,
  every,
  exponentialBackoff,
  keepAlive,
  type Random,
  withDeadline,
} from "@smartstack/core";
import type { CloseOptions } from "../data-plane.ts";
import { ended, type Member } from "./member.ts";

/** A worker that does not serve by then is given up. */
const READY_MS = 10_000;
const SILENT_MS = 10_000;
const LOOK_EVERY_MS = 1_000;
/** What a worker may take beyond its grace to end. */
const END_SLACK_MS = 1_000;
/** So many replaced workers may go on serving what they have; then the oldest end sooner. */
const RETIRED_MAX = 32;
const CROWDED_GRACE_MS = 5_000;
const RESTART = exponentialBackoff({ minMs: 100, maxMs: 5_000 });

export interface RosterOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly events: EventBus;
  readonly count: number;
  /** How long a replaced worker may serve what it has, milliseconds. */
  readonly retireMs: number;
  /** A worker that tells nothing for so long, though it reports every second, is frozen or drowned; default 10 s. */
  readonly silentMs?: number;
  /** Starts a worker that knows all there is to know, as the one of this index, below `count`. */
  readonly start: (index: number) => Member;
  readonly onGone: (member: Member) => void;
}

/** The workers: as many as wanted at all times, and those that were replaced and still have clients. */
export interface Roster {
  /** All that live, retired ones too. */
  all(): Iterable<Member>;
  /** Those that take new clients. */
  serving(): readonly Member[];
  /** Puts new workers, of the code that lies on the disk then, in the place of all, one call after the other. Does not reject: it tells by events. */
  replaceAll(): Promise<void>;
  /** Ends all of them now, whatever they serve. */
  kill(): void;
  /** Resolves once all are gone. A second call can only shorten it. */
  close(options: CloseOptions): Promise<void>;
}

interface Slot {
  member: Member | undefined;
  /** Called with the reason when its member is gone. */
  vacate: (error: Error) => void;
}

export function createRoster(options: RosterOptions): Roster {
  const { clock, random, events, count, start, onGone, silentMs = SILENT_MS } = options;
  const members = new Set<Member>();
  /** Why those were given up that did not end on their own. */
  const blamed = new WeakMap<Member, string>();
  const slots: Slot[] = Array.from({ length: count }, () => ({ member: undefined, vacate: () => undefined }));
  const abort = new AbortController();
  let replacing: Promise<void> | undefined;
  let lookedMs = clock.monotonic();

  function enlist(index: number): Member {
    const member = start(index);
    members.add(member);
    member.gone.then((how) => {
      members.delete(member);
      onGone(member);
      if (!member.retired) events.publish("worker.ended", { pid: member.pid, reason: blamed.get(member) ?? how });
      const slot = slots.find((each) => each.member === member);
      if (slot === undefined) return;
      slot.member = undefined;
      slot.vacate(ended(member.pid, how));
    });
    return member;
  }

  function giveUp(member: Member, reason: string): void {
    blamed.set(member, reason);
    member.kill();
  }

  async function readied(member: Member): Promise<void> {
    try {
      await withDeadline(member.ready, { clock, ms: READY_MS, what: `start of worker ${member.pid}`, side: "self" });
      events.publish("worker.started", { pid: member.pid });
    } catch (error) {
      giveUp(member, describeError(error));
      throw error;
    }
  }

  /** Keeps the slot filled, by whomever: a replacement may take it at any time. Throws when it is vacated. */
  async function occupy(slot: Slot, healthy: () => void): Promise<void> {
    if (slot.member === undefined) await fill(slot);
    healthy();
    if (slot.member === undefined) return;
    await new Promise<never>((_, reject) => {
      slot.vacate = reject;
    });
  }

  async function fill(slot: Slot): Promise<void> {
    const member = enlist(slots.indexOf(slot));
    slot.member = member;
    try {
      await readied(member);
    } catch (error) {
      if (slot.member === undefined || slot.member === member) throw error;
    }
  }

  async function replace(): Promise<void> {
    if (abort.signal.aborted) return;
    const fresh: Member[] = [];
    try {
      for (let made = 0; made < count; made++) fresh.push(enlist(made));
      await Promise.all(fresh.map(readied));
    } catch (error) {
      for (const member of fresh) member.kill();
      if (!abort.signal.aborted) events.publish("workers.kept", { reason: describeError(error) });
      return;
    }
    // A stop that came meanwhile has told them all what to do.
    if (abort.signal.aborted) return;
    for (const [index, slot] of slots.entries()) {
      const old = slot.member;
      slot.member = fresh[index];
      old?.retire({ graceMs: options.retireMs, acceptWhileDraining: false, waitForKept: true });
    }
    for (const slot of slots) {
      const { member } = slot;
      if (member === undefined || members.has(member)) continue;
      slot.member = undefined;
      slot.vacate(ended(member.pid, "while it took over"));
    }
    endOldest();
    events.publish("workers.replaced", { workers: count });
  }

  function endOldest(): void {
    const retired = [...members].filter((member) => member.retired);
    for (const member of retired.slice(0, Math.max(0, retired.length - RETIRED_MAX)))
      member.retire({ graceMs: CROWDED_GRACE_MS, acceptWhileDraining: false });
  }

  for (const slot of slots) {
    void keepAlive((_, healthy) => occupy(slot, healthy), { clock, random, signal: abort.signal, backoff: RESTART });
  }
  const stopLooking = every(clock, LOOK_EVERY_MS, () => {
    const nowMs = clock.monotonic();
    // Who was not looking itself, frozen or suspended, has heard nobody.
    const wasAway = nowMs - lookedMs > 2 * LOOK_EVERY_MS;
    lookedMs = nowMs;
    for (const member of members) {
      if (wasAway) member.heardMs = nowMs;
      else if (nowMs - member.heardMs > silentMs) giveUp(member, `it told nothing for more than ${silentMs} ms`);
    }
  });

  return {
    all: () => members,
    serving: () =>
      slots.flatMap(({ member }) => (member !== undefined && member.settled >= 0 && !member.retired ? member : [])),
    replaceAll() {
      // The code on the disk may have become newer since those that are starting now were started.
      const next = (replacing ?? Promise.resolve()).then(replace);
      replacing = next;
      return next;
    },
    kill() {
      for (const member of members) member.kill();
    },
    async close(close) {
      abort.abort();
      stopLooking();
      for (const member of members) member.retire(close);
      const cancel = clock.after(close.graceMs + END_SLACK_MS, () => {
        for (const member of members) member.kill();
      });
      await Promise.all([...members].map(({ gone }) => gone));
      cancel();
    },
  };
}
