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
import type { CloseOptions } from "../snapshot.ts";
import { ended, type Member } from "./member.ts";

/** A worker that does not serve by then is given up. */
const READY_MS = 10_000;
const SILENT_MS = 10_000;
const LOOK_EVERY_MS = 1_000;
/** What a worker may take beyond its grace to end. */
const END_SLACK_MS = 1_000;
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
  /** Starts a worker that knows all there is to know. */
  readonly start: () => Member;
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
  /** Resolves once all are gone. A second call can only shorten it. */
  close(options: CloseOptions): Promise<void>;
}

interface Slot {
  member: Member | undefined;
}

export function createRoster(options: RosterOptions): Roster {
  const { clock, random, events, count, start, onGone, silentMs = SILENT_MS } = options;
  const members = new Set<Member>();
  const slots: Slot[] = Array.from({ length: count }, () => ({ member: undefined }));
  const abort = new AbortController();
  let replacing: Promise<void> | undefined;

  function enlist(): Member {
    const member = start();
    members.add(member);
    member.gone.then((how) => {
      members.delete(member);
      onGone(member);
      if (!member.retired) events.publish("worker.ended", { pid: member.pid, reason: how });
    });
    return member;
  }

  async function readied(member: Member): Promise<void> {
    try {
      await withDeadline(member.ready, { clock, ms: READY_MS, what: `start of worker ${member.pid}`, side: "self" });
      events.publish("worker.started", { pid: member.pid });
    } catch (error) {
      member.kill();
      throw error;
    }
  }

  async function occupy(slot: Slot, healthy: () => void): Promise<void> {
    slot.member = enlist();
    await readied(slot.member);
    healthy();
    // The slot may have been given to another meanwhile, whose end then counts.
    for (;;) {
      const member: Member = slot.member;
      const how = await member.gone;
      if (slot.member === member) throw ended(member.pid, how);
    }
  }

  async function replace(): Promise<void> {
    if (abort.signal.aborted) return;
    const fresh = slots.map(enlist);
    try {
      await Promise.all(fresh.map(readied));
    } catch (error) {
      for (const member of fresh) member.kill();
      events.publish("workers.kept", { reason: describeError(error) });
      return;
    }
    for (const [index, slot] of slots.entries()) {
      const old = slot.member;
      slot.member = fresh[index];
      old?.retire({ graceMs: options.retireMs, acceptWhileDraining: false, waitForKept: true });
    }
    events.publish("workers.replaced", { workers: count });
  }

  for (const slot of slots) {
    void keepAlive((_, healthy) => occupy(slot, healthy), { clock, random, signal: abort.signal, backoff: RESTART });
  }
  const stopLooking = every(clock, LOOK_EVERY_MS, () => {
    for (const member of members) if (clock.monotonic() - member.heardMs > silentMs) member.kill();
  });

  return {
    all: () => members,
    serving: () => slots.flatMap(({ member }) => (member !== undefined && member.settled >= 0 ? member : [])),
    replaceAll() {
      // The code on the disk may have become newer since those that are starting now were started.
      const next = (replacing ?? Promise.resolve()).then(replace);
      replacing = next;
      return next;
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
